"""Receiving: deliveries over HTTP, parsed and durable before the answer, against a receiver that only keeps bytes.

    python -m tests.benchmarks.bench_receiving [megabytes]

Eight drains send 100 KB deliveries to a real receiver process, as fast as it answers. Then they send at half the pace
that it kept up with; a reply is timed from the moment it was due, so that one that is late makes the next ones late
too. Small deliveries are sent one at a time, and what the disk takes for the same bytes, measured beside, is told
apart. The baseline is the same server (Starlette, uvicorn) that appends each body to a file, waits for the disk and
answers: no authentication, no parsing, nothing to ask later. All lines must be in the log once each.
"""

from __future__ import annotations

import concurrent.futures
import itertools
import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import psutil

from ingest.columns import integers
from ingest.eventlog.embedded import PARTITION, EmbeddedLog
from ingest.eventlog.entry import decode_batch
from ingest.schema import DELIVERIES, SAMPLES, TABLES
from tests.benchmarks import mix
from tests.benchmarks.measure import record
from tests.ingest.running import Running, post, receiver, wait_until_it_listens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from ingest.eventlog.contract import EventLog

DRAINS: Final = 8
SMALL_POSTS: Final = 50
DELIVERY_BYTES: Final = 102_400
REACH: Final = {"received": 60.0, "small": 15.0, "p99": 100.0, "peak": 300.0}
BASELINE: Final = """
import asyncio, os, socket, sys
import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
kept = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
async def logs(request):
    body = await request.body()
    await asyncio.to_thread(lambda: (os.write(kept, body), os.fsync(kept)))
    return Response(status_code=204)
listener = socket.create_server(("127.0.0.1", 0))
print(f"receiving on http://127.0.0.1:{listener.getsockname()[1]}/logs", file=sys.stderr, flush=True)
server = uvicorn.Server(uvicorn.Config(Starlette(routes=[Route("/logs", logs, methods=["POST"])]), log_config=None))
asyncio.run(server.serve(sockets=[listener]))
"""


class Load(NamedTuple):
    """What a receiver did under load. ``small_ms`` is beyond what the disk takes for a small delivery."""

    megabytes_per_cpu_second: float
    lines_per_cpu_second: float
    p50_ms: float
    p99_ms: float
    small_ms: float
    peak_mb: float


def main(megabytes: int) -> None:
    """Measure both, check that every line was kept, print the table."""
    bodies = bodies_of(megabytes)
    with tempfile.TemporaryDirectory() as folder:
        with _keeper(Path(folder) / "kept") as running:
            baseline = load_of(running, bodies)
        with receiver(Path(folder) / "log.db") as running:
            ours = load_of(running, bodies)
        with closing(EmbeddedLog(Path(folder) / "log.db")) as log:
            check_kept(log, bodies)
    heads = ("MB/CPU-s", "lines/CPU-s", "p50 ms", "p99 ms", "small ms", "peak MB")
    print(f"{'':18}" + "".join(f"{head:>13}" for head in heads))
    for name, load in (("bytes to a file", baseline), ("drainlake", ours)):
        print(f"{name:18}" + "".join(f"{value:13,.1f}" for value in load))
    print(f"{'ratio':18}" + "".join(f"{mine / base:13.2f}" for mine, base in zip(ours, baseline, strict=True)))
    _record(ours, baseline)


def _record(ours: Load, baseline: Load) -> None:
    """Leave the results for the runner."""
    kept = (
        ("receiving, body", "MB/CPU-s", ours.megabytes_per_cpu_second, baseline.megabytes_per_cpu_second, "received"),
        ("receiving, p99 at half load", "ms", ours.p99_ms, baseline.p99_ms, "p99"),
        ("receiving, a small delivery beyond the disk", "ms", ours.small_ms, None, "small"),
        ("receiving, peak memory", "MB", ours.peak_mb, baseline.peak_mb, "peak"),
    )
    for name, unit, value, base, key in kept:
        record(name, value, unit, baseline=base, reach=REACH[key])


def bodies_of(megabytes: int) -> list[bytes]:
    """Deliveries of about so many bytes in all; no two lines have the same time."""
    per_line = len(b"".join(mix.frames(1000))) / 1000
    return mix.deliveries(mix.frames(int(megabytes * 1e6 / per_line)), DELIVERY_BYTES)


def load_of(running: Running, bodies: Sequence[bytes]) -> Load:
    """Let drains send one half of the bodies at full load and the other at half load, and tell what it took."""
    _drain(running, [b""] * DRAINS)  # warm
    small_ms = _small_ms(running)
    process = psutil.Process(running.process.pid)
    full, rest = bodies[: len(bodies) // 2], bodies[len(bodies) // 2 :]
    before, begun = sum(process.cpu_times()[:2]), time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(DRAINS) as pool:
        list(pool.map(lambda number: _drain(running, full[number::DRAINS]), range(DRAINS)))
    seconds, pace = sum(process.cpu_times()[:2]) - before, len(full) / (time.monotonic() - begun)
    times = sorted(_at_pace(running, rest, pace / 2))
    return Load(
        sum(map(len, full)) / 1e6 / seconds,
        sum(body.count(b" host ") for body in full) / seconds,
        times[len(times) // 2] * 1000,
        times[int(len(times) * 0.99)] * 1000,
        small_ms,
        _peak_mb(process.pid),
    )


def _small_ms(running: Running) -> float:
    """What a small delivery alone takes beyond the disk, which is asked in turn with the receiver."""
    small = mix.frames(1)[0]
    beyond = []
    with closing(running.connect()) as connection, tempfile.TemporaryFile(dir=running.log_path.parent) as file:
        for _ in range(SMALL_POSTS):
            begun = time.perf_counter()
            os.write(file.fileno(), small)
            os.fsync(file.fileno())
            synced = time.perf_counter()
            assert post(connection, small) == 204
            beyond.append(time.perf_counter() - synced - (synced - begun))
    return median(beyond) * 1000


def _at_pace(running: Running, bodies: Sequence[bytes], per_second: float) -> list[float]:
    """Send bodies when they are due, by several drains; the seconds from then to the answers."""
    begun = time.perf_counter() + 0.1

    def drain(number: int) -> list[float]:
        times = []
        with closing(running.connect()) as connection:
            for place in range(number, len(bodies), DRAINS):
                due = begun + place / per_second
                time.sleep(max(0.0, due - time.perf_counter()))
                assert post(connection, bodies[place]) == 204
                times.append(time.perf_counter() - due)
        return times

    with concurrent.futures.ThreadPoolExecutor(DRAINS) as pool:
        return list(itertools.chain.from_iterable(pool.map(drain, range(DRAINS))))


def _drain(running: Running, bodies: Sequence[bytes]) -> None:
    """Send deliveries one after the other on one connection."""
    with closing(running.connect()) as connection:
        for body in bodies:
            assert post(connection, body) == 204


def _peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024 / 1e6


@contextmanager
def _keeper(path: Path) -> Iterator[Running]:
    process = subprocess.Popen([sys.executable, "-c", BASELINE, str(path)], stderr=subprocess.PIPE, text=True)
    try:
        yield wait_until_it_listens(process, path)
    finally:
        process.kill()
        process.wait()


def check_kept(log: EventLog, bodies: Sequence[bytes]) -> None:
    """Every line of the bodies is in the log once; the time of each tells it from all others but the small one."""
    small = SMALL_POSTS  # which have the time of the first line
    sent = np.arange(sum(body.count(b" host ") for body in bodies)) * mix.STEP_US
    times = [_times(log, table) for table in TABLES if table not in {DELIVERIES.name, SAMPLES.name}]
    times.append(np.unique(_times(log, SAMPLES.name)))  # a line of measures gives several rows
    kept = np.sort(np.concatenate(times))
    kept -= kept[0]
    assert (kept[: small + 1] == 0).all(), "not every small delivery is in the log"
    assert np.array_equal(kept[small:], sent), f"{len(sent)} lines were sent and {len(kept) - small} are in the log"


def _times(log: EventLog, table: str) -> NDArray[np.int64]:
    """Of all rows of a table in the log."""
    found = [np.zeros(0, dtype=np.int64)]
    partitions = [PARTITION] if isinstance(log, EmbeddedLog) else log.all_partitions(table)
    for partition in partitions:
        after = -1
        while entries := log.read(table, partition, after, rows_max=100_000, bytes_max=16 << 20):
            found += [integers(decode_batch(entry.payload)["timestamp"].cast("int64")) for entry in entries]
            after = entries[-1].offset
    return np.concatenate(found)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60)
