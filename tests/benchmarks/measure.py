"""CPU time, peak memory, a small table of results, and the line that each result leaves for the runner."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ingest import server

if TYPE_CHECKING:
    from collections.abc import Callable


class Result(NamedTuple):
    """What one measurement gave."""

    name: str
    lines: int
    octets: int
    cpu_seconds: float

    @property
    def lines_per_second(self) -> float:
        """Lines per CPU-second."""
        return self.lines / self.cpu_seconds


def like_the_receiver() -> None:
    """Set the process up as ``serve`` does: else the kernel's page faults and a search for pandas are measured."""
    server.keep_freed_memory()
    server.leave_pandas_out()


def best_of(rounds: int, work: Callable[[], None]) -> float:
    """CPU seconds of the fastest round: the machine's noise only ever adds."""
    times = []
    for _ in range(rounds):
        begun = time.process_time()
        work()
        times.append(time.process_time() - begun)
    return min(times)


def peak_memory_mb() -> float:
    """The most memory this process ever held; ``getrusage`` would also count what its parent held at the fork."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def report(results: list[Result], baseline: str) -> None:
    """Print the results as a table with their ratio to the baseline."""
    base = next(result for result in results if result.name == baseline).lines_per_second
    print(f"{'':34} {'lines/CPU-s':>12} {'MB/CPU-s':>9} {'ratio':>6}")
    for result in results:
        speed = result.lines_per_second
        megabytes = result.octets / result.cpu_seconds / 1e6
        print(f"{result.name:34} {speed:12,.0f} {megabytes:9.1f} {speed / base:5.1f}x")
    print(f"peak memory {peak_memory_mb():,.0f} MB")


RECORD_TO = "RECORD_BENCHMARKS_TO"  # no setting of drainlake, which would tell so at every start


def record(
    name: str,
    value: float,
    unit: str,
    *,
    baseline: float | None = None,
    reach: float | None = None,
    reach_ratio: float | None = None,
) -> None:
    """Leave one result for ``python -m tests.benchmarks``; nothing is done in a bench that is run alone.

    ``name`` says bench and measure ("landing, backlog of router rows") and is the key that runs are compared by. Units
    that end with ``/s`` or ``/CPU-s`` count more as better, all others (s, CPU s, ms, MB, bytes/row) less as better.
    ``baseline`` is a value of the same unit, measured in the same run. ``reach`` is the value to reach, ``reach_ratio``
    the ratio of value to baseline to reach.
    """
    if not (place := os.environ.get(RECORD_TO)):
        return
    given = {"name": name, "value": value, "unit": unit, "baseline": baseline}
    given |= {"reach": reach, "reach_ratio": reach_ratio}
    with Path(place).open("a", encoding="utf-8") as out:  # one short write: processes of a bench may share the file
        out.write(json.dumps(given) + "\n")
