"""Receiving: deliveries over HTTP, parsed and durable before the answer, against a receiver that only keeps bytes.

    python -m tests.benchmarks.bench_receiving [megabytes]

Eight drains send 100 KB deliveries to a real receiver process. The baseline is the same server (Starlette, uvicorn)
that appends each body to a file, waits for the disk and answers: no authentication, no parsing, nothing to ask later.
Reply times at rest are those of one small delivery at a time.
"""

from __future__ import annotations

import concurrent.futures
import itertools
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil

from tests.benchmarks import mix
from tests.ingest.running import Running, post, receiver, wait_until_it_listens

if TYPE_CHECKING:
    from collections.abc import Iterator

DRAINS = 8
SMALL_POSTS = 50
BASELINE = """
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
    """What a receiver did under load."""

    megabytes_per_cpu_second: float
    lines_per_cpu_second: float
    p50_ms: float
    p99_ms: float
    small_p50_ms: float
    resident_mb: float


def main(megabytes: int) -> None:
    """Measure both, check that every line was kept, print the table."""
    framed = mix.frames(20_000)
    bodies = mix.deliveries(framed, 102_400)
    bodies = (bodies * (megabytes * 10 // len(bodies) + 1))[: megabytes * 10]
    lines = sum(body.count(b" host ") for body in bodies)
    with tempfile.TemporaryDirectory() as folder:
        with _keeper(Path(folder) / "kept") as running:
            baseline = load_of(running, bodies, lines)
        with receiver(Path(folder) / "log.db") as running:
            ours = load_of(running, bodies, lines)
        with sqlite3.connect(Path(folder) / "log.db") as log:
            (kept,) = log.execute("SELECT sum(rows) FROM entries WHERE \"table\" <> 'deliveries'").fetchone()
    assert kept >= lines, (kept, lines)  # a line of measures gives several rows
    print(f"{'':24}{'MB/CPU-s':>10}{'lines/CPU-s':>13}{'p50 ms':>8}{'p99 ms':>8}{'small p50':>11}{'resident':>10}")
    for name, load in (("bytes to a file", baseline), ("drainlake", ours)):
        print(
            f"{name:24}{load.megabytes_per_cpu_second:10.1f}{load.lines_per_cpu_second:13,.0f}{load.p50_ms:8.1f}"
            f"{load.p99_ms:8.1f}{load.small_p50_ms:11.1f}{load.resident_mb:7.0f} MB"
        )
    print(f"ratio {ours.megabytes_per_cpu_second / baseline.megabytes_per_cpu_second:.2f}")


@contextmanager
def _keeper(path: Path) -> Iterator[Running]:
    process = subprocess.Popen([sys.executable, "-c", BASELINE, str(path)], stderr=subprocess.PIPE, text=True)
    try:
        yield wait_until_it_listens(process, path)
    finally:
        process.kill()
        process.wait()


def load_of(running: Running, bodies: list[bytes], lines: int) -> Load:
    """Let drains send the bodies after a warm-up, and tell what it took of the receiver."""
    small = mix.frames(1)[0]
    _drain(running, bodies[:8])  # warm
    at_rest = sorted(_drain(running, [small] * SMALL_POSTS))
    process = psutil.Process(running.process.pid)
    before = sum(process.cpu_times()[:2])
    with concurrent.futures.ThreadPoolExecutor(DRAINS) as pool:
        per_drain = pool.map(lambda number: _drain(running, bodies[number::DRAINS]), range(DRAINS))
        times = sorted(itertools.chain.from_iterable(per_drain))
    seconds = sum(process.cpu_times()[:2]) - before
    return Load(
        sum(map(len, bodies)) / 1e6 / seconds,
        lines / seconds,
        times[len(times) // 2] * 1000,
        times[int(len(times) * 0.99)] * 1000,
        at_rest[len(at_rest) // 2] * 1000,
        process.memory_info().rss / 1e6,
    )


def _drain(running: Running, bodies: list[bytes]) -> list[float]:
    """Send deliveries one after the other on one connection; the seconds each took."""
    connection = running.connect()
    times = []
    for body in bodies:
        begun = time.perf_counter()
        assert post(connection, body) == 204
        times.append(time.perf_counter() - begun)
    connection.close()
    return times


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60)
