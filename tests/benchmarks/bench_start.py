"""How long commands take to begin: wall and CPU seconds of cold processes, against Python and DuckDB alone.

    python -m tests.benchmarks.bench_start [--quick]

Each is the best of several: whoever else uses the machine only ever adds. "Cold" means a new process; the files it
reads are in the system's memory. The lake is the documents' example. `serve` is ready when `/readyz` says so.
"""

from __future__ import annotations

import functools
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import psutil

from drainlake.documents import example_lake
from tests.benchmarks import measure

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS: Final = 15
QUICK_ROUNDS: Final = 4
READY_MAX_SECONDS: Final = 30
PYTHON, DUCKDB = "python -c pass", 'python -c "import duckdb"'


class Took(NamedTuple):
    """What one start took, in seconds."""

    wall: float
    cpu: float


class Start(NamedTuple):
    """A start: the arguments after ``python``, the baseline it is compared with, the wall seconds to reach."""

    arguments: tuple[str, ...]
    baseline: str
    reach: float | None = None


def starts(home: Path) -> dict[str, Start]:
    """What is started, by name."""
    command = ("-m", "drainlake", "--home", str(home))
    since = ("--since", example_lake.DAY.isoformat())
    return {
        PYTHON: Start(("-c", "pass"), PYTHON),
        DUCKDB: Start(("-c", "import duckdb"), PYTHON),
        "drainlake --help": Start(("-m", "drainlake", "--help"), PYTHON, 0.3),
        "drainlake query": Start((*command, "query"), PYTHON),
        "drainlake query h12_timeouts": Start((*command, "query", "h12_timeouts", *since), DUCKDB, 1.0),
        "drainlake query latency": Start((*command, "query", "latency", *since), DUCKDB, 1.0),
        "drainlake sql": Start((*command, "sql", "SELECT count(*) FROM router"), DUCKDB),
    }


def run(arguments: tuple[str, ...]) -> Took:
    """Start, wait for the end; something must have been printed, but by the baselines."""
    cpu, wall = _children(), time.perf_counter()
    found = subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    wall = time.perf_counter() - wall
    assert found.stdout or arguments[0] == "-c", arguments
    return Took(wall, _children() - cpu)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def serve(home: Path) -> Took:
    """Start a receiver and wait until it is ready; then it is killed."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {
        "DRAINLAKE_HOME": str(home / "serve"),
        "DRAINLAKE_DRAINS": "shop:a-secret-of-the-bench",
        "PORT": str(port),
    }
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "drainlake", "serve"], env=os.environ | settings, stderr=subprocess.DEVNULL
    )
    try:
        while not _is_ready(port):
            assert time.perf_counter() < begun + READY_MAX_SECONDS, "serve never became ready"
            time.sleep(0.002)
        wall = time.perf_counter() - begun
        own = psutil.Process(process.pid)
        return Took(wall, sum(sum(each.cpu_times()[:2]) for each in [own, *own.children(recursive=True)]))
    finally:
        process.terminate()
        process.wait(READY_MAX_SECONDS)


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def best_of(rounds: int, tasks: dict[str, Callable[[], Took]]) -> dict[str, Took]:
    """Do each in turn, so often, after a first time that reads files from the disk and makes ``lake.duckdb``."""
    for task in tasks.values():
        task()
    took = [{name: task() for name, task in tasks.items()} for _ in range(rounds)]
    return {name: Took(min(each[name].wall for each in took), min(each[name].cpu for each in took)) for name in tasks}


def main(rounds: int) -> None:
    """Start all, print and record the best of each."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        example_lake.make(home)
        wanted = starts(home)
        tasks = {name: functools.partial(run, start.arguments) for name, start in wanted.items()}
        wanted["drainlake serve, ready"] = Start((), PYTHON, 1.5)
        best = best_of(rounds, tasks | {"drainlake serve, ready": functools.partial(serve, home)})
    print(f"{'':32}{'wall s':>8}{'CPU s':>8}  CPU ratio")
    for name, start in wanted.items():
        wall, cpu = best[name]
        base = best[start.baseline].cpu
        print(f"{name:32}{wall:8.3f}{cpu:8.3f}{cpu / base:7.1f} x {start.baseline}")
        if name != PYTHON:
            measure.record(f"start, {name}, wall", wall, "s", reach=start.reach)
            measure.record(f"start, {name}", cpu, "CPU s", baseline=base)


if __name__ == "__main__":
    main(QUICK_ROUNDS if "--quick" in sys.argv else ROUNDS)
