"""Entries: what is encoded comes back, whoever compressed it."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

from ingest.eventlog.entry import decode, decode_batch, encode
from ingest.schema import LINES, entry_schema


def lines(count: int) -> pa.RecordBatch:
    """Rows of ``lines``."""
    rows = [{"app": "shop", "message": f"line {number} \N{SNOWMAN}", "piece": bytes(16)} for number in range(count)]
    return pa.RecordBatch.from_pylist(rows, entry_schema(LINES))


@pytest.mark.parametrize("count", [0, 1, 2000])
def test_rows_come_back(count: int) -> None:
    """Any zstd reads a payload, and any Arrow what is in it; here Arrow and polars do."""
    rows = lines(count)
    payload = encode(rows)
    with pa.CompressedInputStream(pa.BufferReader(payload), "zstd") as stream:
        assert pa.ipc.open_stream(stream.read()).read_all().to_pylist() == rows.to_pylist()
    assert decode_batch(payload).equals(rows) if count else decode(payload).is_empty()
    assert decode(payload).to_dicts() == rows.to_pylist()


def test_a_part_of_rows_is_encoded_alone() -> None:
    """A slice takes along no byte of the rows that it leaves out."""
    part = lines(1000).slice(10, 5)
    assert decode(encode(part)).to_dicts() == part.to_pylist()
    assert len(encode(part)) < 1000


def test_a_frame_that_does_not_say_its_size_is_read() -> None:
    """Streaming writers cannot know it, and a damaged size must not be believed."""
    rows = lines(3)
    stream = pa.BufferOutputStream()
    with pa.CompressedOutputStream(stream, "zstd") as compressed:
        compressed.write(b"".join((rows.schema.serialize(), rows.serialize())))
    assert decode(stream.getvalue().to_pybytes()).to_dicts() == rows.to_pylist()


def test_several_threads_encode_and_decode_at_once() -> None:
    """Each has contexts of its own; one shared context would mix their bytes."""
    rows = [lines(count) for count in range(200, 240)]
    with ThreadPoolExecutor(8) as threads:
        back = list(threads.map(lambda some: decode_batch(encode(some)), rows * 5))
    assert all(found.equals(wanted) for found, wanted in zip(back, rows * 5, strict=True))


@pytest.mark.parametrize("count", [3, 2000])
def test_a_damaged_entry_raises(count: int) -> None:
    """Whatever a disk makes of it is an exception or rows, never the end of the process."""
    payload, pick = encode(lines(count)), random.Random(1)
    failures = 0
    for _ in range(200):
        damaged = bytearray(payload)
        damaged[pick.randrange(len(damaged))] ^= 1 << pick.randrange(8)
        try:
            decode(bytes(damaged))
        except (ValueError, OSError, MemoryError, pa.ArrowException):
            failures += 1
    assert failures
