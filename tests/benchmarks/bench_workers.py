"""Receiving with one process and with several: lines by second and by CPU second, and reply times at half load.

    python -m tests.benchmarks.bench_workers [megabytes] [workers …]

Drains, each a thread of one generating process, send 100 KB deliveries as fast as they are answered to a real
`drainlake serve --workers N`; then half as many a second as it took. The generator, the receiver and its disk share the
machine, so with few processors the seconds say what is left for the receiver: the share that the generator took
is shown beside them.
"""

from __future__ import annotations

import concurrent.futures
import itertools
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil

from tests.benchmarks import mix
from tests.benchmarks.measure import record
from tests.ingest.running import crew, post

if TYPE_CHECKING:
    from tests.ingest.running import Running

DRAINS = 16
HALF_LOAD_SECONDS = 8.0
P99_REACH_MS = 100.0


class Load(NamedTuple):
    """What a receiver did."""

    lines_per_second: float
    lines_per_cpu_second: float
    busy_processors: float
    generator_processors: float
    p99_ms: float
    half_p50_ms: float
    half_p99_ms: float
    resident_mb: float


def main(megabytes: int, counts: list[int]) -> None:
    """Measure each number of workers, check that every delivery was kept, print the table."""
    bodies = mix.deliveries(mix.frames(20_000), 102_400)
    bodies = (bodies * (megabytes * 10 // len(bodies) + 1))[: megabytes * 10]
    lines = sum(body.count(b" host ") for body in bodies)
    print(
        f"{'workers':8}{'lines/s':>10}{'lines/CPU-s':>13}{'busy':>7}{'generator':>11}{'p99 ms':>8}"
        f"{'half p50':>10}{'half p99':>10}{'resident':>11}"
    )
    first: Load | None = None
    for count in counts:
        with tempfile.TemporaryDirectory() as folder, crew(Path(folder), count) as running:
            load = load_of(running, bodies, lines)
        print(
            f"{count:<8}{load.lines_per_second:10,.0f}{load.lines_per_cpu_second:13,.0f}{load.busy_processors:7.2f}"
            f"{load.generator_processors:11.2f}{load.p99_ms:8.1f}{load.half_p50_ms:10.1f}{load.half_p99_ms:10.1f}"
            f"{load.resident_mb:8.0f} MB"
        )
        first = first or load
        _record(count, load, first)


def _record(count: int, load: Load, first: Load) -> None:
    """Leave the results for the runner; the baseline is the first number of workers, one if nothing else is asked."""
    base = first if load is not first else None
    pairs = (
        ("lines taken", "lines/s", load.lines_per_second, base and base.lines_per_second, None),
        ("lines", "lines/CPU-s", load.lines_per_cpu_second, base and base.lines_per_cpu_second, None),
        ("p99 at half load", "ms", load.half_p99_ms, base and base.half_p99_ms, P99_REACH_MS),
    )
    for what, unit, value, baseline, reach in pairs:
        record(f"workers, {count}: {what}", value, unit, baseline=baseline, reach=reach)
    record(f"workers, {count}: resident at the end", load.resident_mb, "MB")


def load_of(running: Running, bodies: list[bytes], lines: int) -> Load:
    """Send all bodies as fast as they are taken, then at half that pace."""
    _all_drains(running, bodies[: 2 * DRAINS], 0.0)  # warm
    begun, before, generator = time.perf_counter(), _cpu_seconds(running), time.process_time()
    times = _all_drains(running, bodies, 0.0)
    seconds = time.perf_counter() - begun
    cpu_seconds = _cpu_seconds(running) - before
    generator = time.process_time() - generator
    pause = 2 * DRAINS * seconds / len(bodies)
    calm = _all_drains(running, bodies[: max(DRAINS, int(DRAINS * HALF_LOAD_SECONDS / pause))], pause)
    resident = sum(each.memory_info().rss for each in _processes(running)) / 1e6
    return Load(
        lines / seconds,
        lines / cpu_seconds,
        cpu_seconds / seconds,
        generator / seconds,
        times[int(len(times) * 0.99)] * 1000,
        calm[len(calm) // 2] * 1000,
        calm[int(len(calm) * 0.99)] * 1000,
        resident,
    )


def _processes(running: Running) -> list[psutil.Process]:
    parent = psutil.Process(running.process.pid)
    return [parent, *parent.children()]


def _cpu_seconds(running: Running) -> float:
    return sum(sum(each.cpu_times()[:2]) for each in _processes(running))


def _all_drains(running: Running, bodies: list[bytes], pause_seconds: float) -> list[float]:
    """Seconds of each reply, sorted."""
    with concurrent.futures.ThreadPoolExecutor(DRAINS) as pool:
        per_drain = pool.map(lambda number: _drain(running, bodies[number::DRAINS], pause_seconds), range(DRAINS))
        return sorted(itertools.chain.from_iterable(per_drain))


def _drain(running: Running, bodies: list[bytes], pause_seconds: float) -> list[float]:
    """Send deliveries on one connection, one begun every ``pause_seconds`` unless the one before is not answered."""
    connection = running.connect()
    times = []
    for body in bodies:
        begun = time.perf_counter()
        assert post(connection, body) == 204
        times.append(time.perf_counter() - begun)
        time.sleep(max(0.0, pause_seconds - times[-1]))
    connection.close()
    return times


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60, [int(each) for each in sys.argv[2:]] or [1, 2])
