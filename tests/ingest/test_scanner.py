"""The compiled scanner: it is the one of these sources, it reads nearly all, and it touches no memory but its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ingest import scanner
from ingest.parsing import Body
from ingest.scanner.building import SOURCES, command
from ingest.text import Text
from tests.benchmarks import mix
from tests.drainlake.receivers import free_port
from tests.ingest import ways

ROOT = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler (apt-get install gcc libc6-dev)")


def scanned(framed: list[bytes]) -> scanner.Scan:
    """A body of these frames, through the scanner alone."""
    body = b"".join(framed)
    found = scanner.scan(Text(body), np.array([len(body)]), ["shop"])
    assert found is not None
    return found


def test_the_scanner_is_compiled_and_of_these_sources() -> None:
    """Else all other tests would run without it; install again (pip install -e .) after a change to its sources."""
    assert scanner.load() is not None


def test_nearly_all_lines_of_the_standard_mix_are_read() -> None:
    """What is left costs many times as much: events of dynos and releases, no more."""
    scan = scanned(mix.frames(4000))
    assert scan.general == 0
    assert len(scan.left.number) < 0.02 * 4000


def test_the_standard_mix_is_read_as_by_column() -> None:
    """Deliveries of several apps and sizes, among them one of several parts, give the very same tables both ways."""
    framed = mix.frames(3000)
    bodies = [Body(f"app-{number % 3}", body) for number, body in enumerate(mix.deliveries(framed[:1000], 25_000))]
    ways.parse([*bodies, Body("shop", b"".join(framed[1000:]))], 0)


def test_a_scanner_of_other_sources_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its structures can differ, and then it would write over memory that is not its own."""
    shutil.copytree(SOURCES, tmp_path / "scanner")
    (tmp_path / "scanner/text.h").write_text("/* changed */\n" + (SOURCES / "text.h").read_text("utf-8"))
    monkeypatch.setattr(scanner, "LIBRARY", tmp_path / "scanner" / scanner.LIBRARY.name)
    assert scanner.load() is None


@pytest.mark.parametrize("octets", [b"", b"no library", bytes.fromhex("cffaedfe0c000001") + bytes(500)])
def test_a_library_of_another_system_is_not_loaded(
    octets: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source tree that was compiled on macOS and copied into a container is as good as not compiled."""
    monkeypatch.setattr(scanner, "LIBRARY", tmp_path / scanner.LIBRARY.name)
    scanner.LIBRARY.write_bytes(octets)
    assert scanner.load() is None


def test_a_compiler_that_fails_hides_no_other(tmp_path: Path) -> None:
    """The first that can is taken; where none can the build goes on, even in a tree where nothing may be written."""
    sources, compilers = shutil.copytree(SOURCES, tmp_path / "scanner"), tmp_path / "bin"
    (sources / scanner.LIBRARY.name).unlink()
    compilers.mkdir()
    for name, program in (("cc", "exit 1"), ("gcc", 'while [ "$1" != -o ]; do shift; done; : > "$2"')):
        (compilers / name).write_text(f"#!/bin/sh\n{program}\n", "utf-8")
        (compilers / name).chmod(0o755)
    compile_it = [sys.executable, sources / "building.py"]
    path = {"PATH": f"{compilers}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(compile_it, check=True, env=os.environ | path)
    assert (sources / scanner.LIBRARY.name).exists()
    done = subprocess.run(compile_it, env={"PATH": ""}, capture_output=True, text=True, check=False)
    assert (done.returncode, "several times slower" in done.stderr, "Traceback" in done.stderr) == (1, True, False)


def test_texts_beyond_the_offsets_of_a_column_are_left() -> None:
    """A column of text reaches 2 GB; more would be read from anywhere in memory."""
    body = mix.frames(1)[0] * 100
    assert scanner.scan(Text(body), np.array([len(body)]), ["a" * 30_000_000]) is None


def test_any_bytes_touch_no_memory_but_their_own(tmp_path: Path) -> None:
    """Thousands of mutated deliveries, under the compiler's checks of addresses and of undefined behaviour."""
    sources = shutil.copytree(SOURCES, tmp_path / "scanner")
    library = sources / scanner.LIBRARY.name
    checks = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-Wall", "-Werror")
    subprocess.run(command("cc", sources, library, checks), check=True)
    runtime = [
        subprocess.run(["cc", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    done = subprocess.run(
        [sys.executable, "-m", "tests.ingest.sanitized", library, "6000"], cwd=ROOT, capture_output=True, text=True,
        check=False, env=os.environ | {"LD_PRELOAD": " ".join(runtime), "ASAN_OPTIONS": "detect_leaks=0"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) > 1000  # rows; most mutations make lines that are left


def test_what_a_scan_held_is_given_back() -> None:
    """Nothing leaks: not where a batch is refused, not where its tables are dropped."""
    bodies = [b"".join(mix.frames(2000)), b"".join(mix.frames(2000)) + b"x"]

    def resident_mb() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def scan_all() -> None:
        for body in bodies:
            scanner.scan(Text(body), np.array([len(body)]), ["shop"])

    for _ in range(20):
        scan_all()
    before = resident_mb()
    for _ in range(100):
        scan_all()
    assert resident_mb() - before < 20  # a leak of the tables alone would be 60 MB


def test_a_receiver_without_the_scanner_says_so(tmp_path: Path) -> None:
    """Who runs one learns from its first lines what it costs and what to try."""
    program = (
        "import sys; from ingest import scanner; scanner.load = lambda: None; from drainlake.cli import main; main()"
    )
    command_line = [sys.executable, "-c", program, "--home", tmp_path, "serve"]
    with subprocess.Popen(
        command_line, env=os.environ | {"PORT": str(free_port())}, stderr=subprocess.PIPE, text=True
    ) as serving:
        assert serving.stderr is not None
        said = next((line for line in serving.stderr if "scanner" in line), "")
        serving.terminate()
    assert "several times slower" in said
    assert "Try: install gcc" in said
