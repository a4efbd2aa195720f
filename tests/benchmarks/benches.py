"""The benches: their arguments by size, a run of one in a process of its own, and the machine they ran on."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tests.benchmarks.measure import RECORD_TO

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER: Final = Path(__file__).parent
PACKAGES: Final = ("duckdb", "polars", "pyarrow", "kafka-python", "uvicorn")
TIMEOUT_SECONDS: Final = {"quick": 900, "full": 4 * 3600}


class Arguments(NamedTuple):
    """The arguments of a bench by size."""

    quick: Sequence[str] = ("--quick",)
    full: Sequence[str] = ()


# A bench that is not named here takes --quick, and no argument for its full size.
ARGUMENTS: Final = {
    "alarms": Arguments(quick=("--speed",), full=("--speed",)),  # what it finds is seeded: only its page changes
    "goaccess": Arguments(quick=("--lines", "100000", "--rounds", "1")),
    "kafka": Arguments(quick=("10",), full=("480",)),  # less tells more of its start than of its pace
    "landing": Arguments(quick=("--rows", "200000")),
    "minutes": Arguments(quick=("--rows", "500000", "--days", "1")),
    "parsing": Arguments(quick=("10000",)),
    "questions": Arguments(quick=("--rows", "200000", "--days", "10"), full=("--rows", "10000000")),
    "receiving": Arguments(quick=("10",)),
    "report": Arguments(quick=("--rows", "500000", "--days", "2"), full=("--rows", "10000000", "--days", "30")),
    "workers": Arguments(quick=("10",)),
}
LEFT_OUT: Final = ("hostile",)  # bounds under attack, by tests; it takes minutes by itself and has no ratio


class BenchError(Exception):
    """A bench that did not run to its end; the message has its last line."""


def names() -> list[str]:
    """The benches that there are, by name."""
    found = sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))
    return [name for name in found if name not in LEFT_OUT]


def run(name: str, size: str) -> list[dict[str, Any]]:
    """Run a bench; what it prints goes to stdout. Returns what it recorded.

    Raises :class:`BenchError` when it fails or takes longer than :data:`TIMEOUT_SECONDS`.
    """
    given = ARGUMENTS.get(name, Arguments())
    command = [sys.executable, "-m", f"tests.benchmarks.bench_{name}", *getattr(given, size)]
    with tempfile.TemporaryDirectory() as folder:
        left = Path(folder) / "measures.jsonl"
        print(f"\n{' '.join(command[1:])}", flush=True)
        try:
            subprocess.run(command, check=True, env=os.environ | {RECORD_TO: str(left)}, timeout=TIMEOUT_SECONDS[size])
        except subprocess.SubprocessError as error:
            raise BenchError(f"{name}: {error}") from None
        return [json.loads(line) for line in left.read_text("utf-8").splitlines()] if left.exists() else []


def machine() -> dict[str, Any]:
    """What the figures depend on, apart from the code: processor, cores, memory, versions."""
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "cpu": cpu[0].partition(":")[2].strip() if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory_gb),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }
