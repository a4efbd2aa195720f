"""Where the microseconds of a line go in the receiver: each step, and the least that the machine takes for its bytes.

    python -m tests.benchmarks.bench_hot_path [--quick]

Prints the tables of docs/performance.md. CPU time per line of the standard mix in 100 KB deliveries, one and eight to a
batch: what a real receiver process takes when nothing is stored (HTTP), and the steps of storing in this process, in
their order. Each step has a floor: a bare copy of the same bytes through a socket or in memory, the same bytes hashed
or compressed by one call, the same payload written and synced to a bare file. That a batch is whole in the log is
checked. The last table compares ways to compress an entry.
"""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import psutil
import pyarrow as pa
import zstandard

from ingest import plain
from ingest.batch import prepare
from ingest.deliveries import Delivery
from ingest.eventlog.embedded import EmbeddedLog
from ingest.eventlog.entry import decode_batch, encode
from ingest.parsing import Body
from tests.benchmarks import mix
from tests.benchmarks.measure import best_of, like_the_receiver, record
from tests.ingest.running import post, receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ingest.batch import Batch

DELIVERY_BYTES: Final = 102_400
CODECS: Final = ("lz4", "zstd at -1", "zstd at 1", "zstd at 3")
COUNTS: Final = (1, 8)  # deliveries to a batch
AT_US: Final = 1_795_651_200_000_000
STORE_NOTHING: Final = """
from ingest import groupcommit
from ingest.batch import Counts
groupcommit.store = lambda log, deliveries, own_drains=None: Counts(0, 0, 0, 0, 0, {})
"""


class Step(NamedTuple):
    """One step of a line's way: CPU seconds for a batch, and for the least that could be done with its bytes."""

    name: str
    seconds: float
    floor: str
    floor_seconds: float


def main(rounds: int) -> None:
    """Measure and print the tables."""
    like_the_receiver()
    bodies = mix.deliveries(mix.frames(3_500), DELIVERY_BYTES)[: COUNTS[-1]]
    http = _http(bodies, rounds)
    for count in COUNTS:
        some = bodies[:count]
        lines = sum(body.count(b" host ") for body in some)
        storing = _storing(some, lines, rounds)
        seconds = http.seconds * count - storing[0].seconds  # the digests are made by the event loop
        steps = [http._replace(seconds=seconds, floor_seconds=http.floor_seconds * count), *storing]
        _print(count, steps, lines, sum(map(len, some)))
        for step in steps:
            name = f"hot path, {step.name}, {count} to a batch"
            record(name, step.seconds / lines * 1e9, "ns", baseline=step.floor_seconds / lines * 1e9)
    _print_codecs(bodies, rounds)


def _print_codecs(bodies: Sequence[bytes], rounds: int) -> None:
    """What else the rows of entries could be compressed with, of one delivery and of all."""
    print("\n| rows | bytes | codec | compressed | microseconds | to decompress |\n|---|--:|---|--:|--:|--:|")
    for count, name in ((1, "platform"), (1, "router"), (len(bodies), "router")):
        batch = prepare([Delivery("shop", body, AT_US) for body in bodies[:count]])
        table = next(decode_batch(entry.payload) for entry in batch.entries if entry.table == name)
        stream = b"".join((table.schema.serialize(), table.serialize()))
        for codec in CODECS:
            times, octets = _codec(stream, codec, rounds)
            figures = " | ".join(f"{seconds * 1e6:,.0f}" for seconds in times)
            print(f"| {table.num_rows:,} of {name} | {len(stream):,} | {codec} | {octets:,} | {figures} |")


def _codec(stream: bytes, codec: str, rounds: int) -> tuple[tuple[float, float], int]:
    """Seconds to compress and to decompress, and bytes; zstd with contexts that are kept."""
    name, _, level = codec.partition(" at ")
    lz4, unpacker = pa.Codec("lz4"), zstandard.ZstdDecompressor()
    pack: Callable[[bytes], bytes] = (
        lz4.compress if name == "lz4" else zstandard.ZstdCompressor(level=int(level)).compress
    )
    packed = bytes(pack(stream))
    unpack = (lambda: lz4.decompress(packed, len(stream))) if name == "lz4" else lambda: unpacker.decompress(packed)
    return (best_of(rounds, lambda: pack(stream) and None), best_of(rounds, unpack)), len(packed)


def _print(count: int, steps: Sequence[Step], lines: int, octets: int) -> None:
    total = sum(step.seconds for step in steps)
    print(f"\n{count} x 100 KB to a batch, {lines} lines of {octets / lines:.0f} bytes\n")
    print("| step | ns per line | share | floor | ns per line | times the floor |\n|---|--:|--:|---|--:|--:|")
    for step in steps:
        figures = f"{step.seconds / lines * 1e9:,.0f} | {step.seconds / total:.0%}"
        floor = f"{step.floor_seconds / lines * 1e9:,.0f} | {step.seconds / step.floor_seconds:.1f}"
        print(f"| {step.name} | {figures} | {step.floor} | {floor} |")
    rates = f"{octets / total / 1e6:.0f} MB of body and {lines / total:,.0f} lines per CPU-second"
    print(f"| all | {total / lines * 1e9:,.0f} | 100% | {rates} | | |")


def _storing(bodies: Sequence[bytes], lines: int, rounds: int) -> list[Step]:
    """The steps from bodies to a durable batch."""
    deliveries = [Delivery("shop", body, AT_US, frame_id=f"frame {n}") for n, body in enumerate(bodies)]
    parts = [Body(delivery.app, piece.octets) for delivery in deliveries for piece in delivery.new]
    batch = prepare(deliveries)
    assert batch.counts.lines == lines, "lines were lost"
    tables = [decode_batch(entry.payload) for entry in batch.entries]
    streams = [b"".join((table.schema.serialize(), table.serialize())) for table in tables]
    parse = best_of(rounds, lambda: plain.parse_as(None, parts, AT_US))
    encoding = best_of(rounds, lambda: [encode(table) for table in tables])
    rest = _without_parsing(deliveries, parts, rounds) - encoding
    copied = best_of(rounds, lambda: [bytearray(body) for body in bodies])
    hashed = best_of(rounds, lambda: [hashlib.sha256(body).digest() for body in bodies])
    return [
        Step("digests", best_of(rounds, lambda: _digests(bodies)), "SHA-256 of the bodies", hashed),
        Step("frames and fields", parse, "a copy of the bodies", copied),
        Step("ledger, split by app", rest, "a copy of the bodies", copied),
        Step("encoding", encoding, "zstd of the rows", best_of(rounds, lambda: _compress(streams))),
        _append(batch, rounds),
    ]


def _without_parsing(deliveries: Sequence[Delivery], parts: Sequence[Body], rounds: int) -> float:
    """CPU seconds from tables to encoded entries."""
    parsed, parse_as = plain.parse_as(None, parts, AT_US), plain.parse_as
    plain.parse_as = lambda *_: parsed
    try:
        return best_of(rounds, lambda: prepare(deliveries))
    finally:
        plain.parse_as = parse_as


def _digests(bodies: Sequence[bytes]) -> None:
    for body in bodies:
        assert Delivery("shop", body, AT_US, frame_id="a").marks


def _compress(streams: Sequence[bytes]) -> None:
    compressor = zstandard.ZstdCompressor(level=1)
    for stream in streams:
        compressor.compress(stream)


def _append(batch: Batch, rounds: int) -> Step:
    """Appends with the marks that each batch has, and the same payload in a bare file; the mean, as both sync."""
    payload = b"".join(entry.payload for entry in batch.entries)
    with tempfile.TemporaryDirectory() as folder, closing(EmbeddedLog(Path(folder) / "log.db")) as log:

        def append() -> None:
            log.append(batch.entries, [mark._replace(digest=os.urandom(16)) for mark in batch.marks])

        def write() -> None:
            os.write(bare.fileno(), payload)
            os.fdatasync(bare.fileno())

        append()
        with (Path(folder) / "bare").open("wb") as bare:
            seconds, floor_seconds = _mean_of(rounds, append), _mean_of(rounds, write)
        rows = sum(entry.rows for entry in batch.entries)
        kept = sum(lag.rows or 0 for lag in log.backlog())
    assert kept == rows * (rounds + 1), "the log does not hold what was appended"
    return Step("append, durable", seconds, "the payload written and synced", floor_seconds)


def _mean_of(rounds: int, work: Callable[[], None]) -> float:
    begun = time.process_time()
    for _ in range(rounds):
        work()
    return (time.process_time() - begun) / rounds


def _http(bodies: Sequence[bytes], rounds: int) -> Step:
    """What a receiver that stores nothing takes per delivery, and a bare reader of the same bytes."""
    with (
        tempfile.TemporaryDirectory() as folder,
        receiver(Path(folder) / "log.db", setup=STORE_NOTHING) as running,
        closing(running.connect()) as connection,
    ):
        process = psutil.Process(running.process.pid)

        def send() -> float:
            before = sum(process.cpu_times()[:2])
            for _ in range(rounds):
                for body in bodies:
                    assert post(connection, body) == 204
            return sum(process.cpu_times()[:2]) - before

        send()
        seconds = min(send() for _ in range(3)) / rounds / len(bodies)
    return Step("HTTP", seconds, "the body read from a socket", _socket_seconds(bodies, rounds) / len(bodies))


def _socket_seconds(bodies: Sequence[bytes], rounds: int) -> float:
    """CPU seconds of a thread that reads the bodies from a TCP connection."""
    whole = b"".join(bodies)
    room = bytearray(256 << 10)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as sender:
        reader, _ = server.accept()
        writing = threading.Thread(target=lambda: [sender.sendall(whole) for _ in range(rounds)])
        writing.start()
        begun, left = time.thread_time(), rounds * len(whole)
        with reader:
            while left:
                left -= reader.recv_into(room)
        seconds = time.thread_time() - begun
        writing.join()
    return seconds / rounds


if __name__ == "__main__":
    main(10 if "--quick" in sys.argv else 60)
