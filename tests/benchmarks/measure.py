"""CPU time, peak memory and a small table of results."""

from __future__ import annotations

import resource
import time
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
    """The most memory this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def report(results: list[Result], baseline: str) -> None:
    """Print the results as a table with their ratio to the baseline."""
    base = next(result for result in results if result.name == baseline).lines_per_second
    print(f"{'':34} {'lines/CPU-s':>12} {'MB/CPU-s':>9} {'ratio':>6}")
    for result in results:
        speed = result.lines_per_second
        megabytes = result.octets / result.cpu_seconds / 1e6
        print(f"{result.name:34} {speed:12,.0f} {megabytes:9.1f} {speed / base:5.1f}x")
    print(f"peak memory {peak_memory_mb():,.0f} MB")
