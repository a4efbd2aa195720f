"""The built wheel in a fresh environment: what a user gets from a package index works without the source tree."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ingest.scanner import building

ROOT = Path(__file__).parent.parent
SAVED = (
    '2026-11-23T10:00:01.000000+00:00 heroku[router]: at=error code=H12 desc="Request timeout" method=GET path="/slow"'
    ' host=www.example.org request_id=r1 fwd="203.0.113.8" dyno=web.1 connect=0ms service=30000ms status=503 bytes=0'
    " protocol=https\n"
)


def run(*command: str | Path, cwd: Path) -> str:
    """Run to a good end, away from the source tree; what it printed."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("DRAINLAKE_", "PYTHON"))}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=kept, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as a release would build it."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


def test_every_question_is_in_the_wheel(wheel: Path) -> None:
    """The .sql files travel with the package, the texts of their fixes, and what the report's page is made of."""
    inside = set(zipfile.ZipFile(wheel).namelist())
    kinds = ("*.sql", "*.txt", "*.html", "*.css", "*.js")
    sources = {path.relative_to(ROOT).as_posix() for kind in kinds for path in (ROOT / "queries").rglob(kind)}
    assert len(sources) > 33
    assert sources <= inside


def test_the_wheel_holds_the_compiled_scanner(wheel: Path) -> None:
    """Such a wheel is of one platform, and of any Python."""
    assert f"ingest/scanner/{building.LIBRARY}" in zipfile.ZipFile(wheel).namelist()
    assert "-py3-none-linux_" in wheel.name


def test_without_a_compiler_the_wheel_is_made_without_the_scanner(tmp_path: Path) -> None:
    """Everything works without it, so nobody needs a compiler to install."""
    source, tools = tmp_path / "source", tmp_path / "tools"
    for package in ("drainlake", "ingest", "transforms", "queries"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    for name in ("pyproject.toml", "README.md", "hatch_build.py"):
        shutil.copy(ROOT / name, source)
    tools.mkdir()
    without_compiler = f"PATH={tools}"
    run("env", without_compiler, sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, source, cwd=tmp_path)
    (built,) = tmp_path.glob("*.whl")
    assert built.name.endswith("-py3-none-any.whl")
    assert f"ingest/scanner/{building.LIBRARY}" not in zipfile.ZipFile(built).namelist()


@pytest.mark.timeout(600)  # the packages may have to be downloaded
def test_the_wheel_answers_in_a_fresh_environment(wheel: Path, tmp_path: Path) -> None:
    """Installed alone, the command imports a saved log and answers from it."""
    run(sys.executable, "-m", "venv", tmp_path / "fresh", cwd=tmp_path)
    scripts = tmp_path / "fresh/bin"
    # Compiling all that is installed, and not what is used, would be most of the work.
    run(scripts / "pip", "install", "--quiet", "--no-compile", wheel, cwd=tmp_path)
    (tmp_path / "saved.log").write_text(SAVED)
    run(scripts / "drainlake", "import", "heroku", "saved.log", "--app", "shop", cwd=tmp_path)
    answer = json.loads(run(scripts / "drainlake", "query", "h12_timeouts", "--format", "json", cwd=tmp_path))
    assert [(row["app"], row["route"], row["timeouts"]) for row in answer["rows"]] == [("shop", "/slow", 1)]
