"""The house rules that a reader relies on, held by tests."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

import drainlake

ROOT = Path(__file__).parent.parent
PACKAGES = ("drainlake", "ingest", "transforms", "queries")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
FUNCTION_MAX_LINES = 40
MODULE_MAX_LINES = 400

# Pure cores: bytes in, tables out; they take time as an argument and touch no file, socket or clock.
PURE = (
    "ingest/frames.py", "ingest/headers.py", "ingest/text.py", "ingest/times.py", "ingest/keyvalue.py",
    "ingest/classify.py", "ingest/redaction.py", "ingest/rewriting.py", "ingest/parsing.py", "ingest/plain.py",
    "ingest/records.py", "ingest/defects.py", "ingest/portions.py",
    *(f"ingest/http/{name}.py" for name in ("body_memory", "connections", "expiry", "framing", "slowdown",
      "unauthorized")), "ingest/figures/exposition.py", "ingest/figures/adding.py", "ingest/workers.py",
    "ingest/columns.py", *(f"ingest/parsers/{path.name}" for path in (ROOT / "ingest/parsers").glob("*.py")),
    "transforms/php_events.py", "transforms/routes.py", "transforms/route_pins.py", "transforms/route_rules.py",
    "transforms/route_learning.py", "transforms/route_looks.py", "transforms/distinct.py", "transforms/addresses.py",
    "transforms/query_strings.py", "transforms/privacy.py", "transforms/erasure.py", "queries/access/sums.py",
    "queries/access/findings.py",
    "transforms/asset_sizes/counting.py",
    *(f"transforms/minutes/{name}.py" for name in ("counting", "coverage", "filling", "flights", "latency", "numbers",
      "ranks", "requests", "served", "sides")),
    *(f"drainlake/{name}.py" for name in ("dynos", "host", "parts", "silence", "drains/states", "drains/rotation_plan",
      "ownlog/limits", "ownlog/lines", "ownlog/scrubbing", "figures/land", "figures/report", "figures/rounds")),
    "drainlake/documents/measures.py",
    "queries/catalog.py", "queries/documentation.py",
    "queries/report/causes.py", "queries/report/quoting.py", "queries/report/verdict.py", "queries/report/words.py",
    *(f"queries/budgets/{module}.py" for module in ("objectives", "burn_rates", "projection", "wording")),
    *(f"queries/report/{name}.py" for name in ("model", "escaping", "formatting", "wording", "charting", "as_text",
      "as_markdown", "as_json", "as_slack", "html/room", "html/chart_view", "html/page_view")),
    *(f"queries/delivery/{path.name}" for path in (ROOT / "queries/delivery").glob("*.py")),
    *(f"queries/anomalies/{path.name}" for path in (ROOT / "queries/anomalies").glob("*.py") if path.stem != "reading"),
    *(f"queries/load_tests/{path.name}" for path in (ROOT / "queries/load_tests").glob("*.py")),
)  # fmt: skip
IMPURE_IMPORTS = {"os", "socket", "time", "threading", "asyncio", "sqlite3", "subprocess", "random", "secrets"}

# One direction, no way back.
MAY_IMPORT = {
    "queries": {"queries", "ingest.schema"},
    "ingest": {"ingest"},
    "transforms": {"transforms", "ingest"},
    "drainlake": {"drainlake", "ingest", "transforms", "queries"},
}


def imports(path: Path) -> set[str]:
    """The modules a file imports, also late and for types."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def name(path: Path) -> str:
    """A module as its path from the root."""
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_functions_and_modules_stay_small(path: Path) -> None:
    """What does not fit on a screen cannot be read in one go."""
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= MODULE_MAX_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < FUNCTION_MAX_LINES, node.name


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_imports_go_one_way(path: Path) -> None:
    """`queries` knows no runner, `ingest` knows nobody, only the front door composes."""
    package = path.relative_to(ROOT).parts[0]
    ours = {module for module in imports(path) if module.split(".")[0] in PACKAGES}
    allowed = MAY_IMPORT[package]
    assert {module for module in ours if not any((module + ".").startswith(each + ".") for each in allowed)} == set()


@pytest.mark.parametrize("module", PURE)
def test_pure_cores_do_no_io_and_tell_no_time(module: str) -> None:
    """Their answer depends on their arguments alone."""
    assert {found.split(".")[0] for found in imports(ROOT / module)} & IMPURE_IMPORTS == set()


def test_only_settings_reads_the_environment() -> None:
    """One place knows the names, defaults and meanings."""
    readers = [name(path) for path in MODULES if re.search(r"\bos\.environ\b|\bgetenv\b", path.read_text("utf-8"))]
    assert readers == ["drainlake/settings.py"]


def test_only_durable_puts_files_into_the_lake() -> None:
    """A rename without its fsyncs is how a lake gets half a file after a power cut."""
    renames = re.compile(r"\.rename\(|os\.replace\(|\btemporary\.replace\(")
    found = [name(path) for path in MODULES if renames.search(path.read_text("utf-8")) and "transforms" in path.parts]
    assert found == ["transforms/durable.py"]


def test_versions_agree() -> None:
    """Package, command and changelog name one version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["version"] == drainlake.__version__
    assert f"## {drainlake.__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")
