"""Entries: what is encoded comes back, whichever way it was compressed."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from ingest.eventlog.entry import LZ4_MAX_BYTES, decode, decode_batch, encode
from ingest.schema import LINES, entry_schema

ZSTD, LZ4 = bytes.fromhex("28b52ffd"), bytes.fromhex("04224d18")


def lines(count: int) -> pa.RecordBatch:
    """Rows of ``lines``."""
    rows = [{"app": "shop", "message": f"line {number} \N{SNOWMAN}", "piece": bytes(16)} for number in range(count)]
    return pa.RecordBatch.from_pylist(rows, entry_schema(LINES))


@pytest.mark.parametrize(("count", "magic"), [(0, LZ4), (1, LZ4), (LZ4_MAX_BYTES // 20, ZSTD)])
def test_rows_come_back(count: int, magic: bytes) -> None:
    """Small entries are compressed with LZ4 and large ones with zstd; both are read, by Arrow and by polars."""
    rows = lines(count)
    payload = encode(rows)
    assert payload[:4] == magic
    assert decode_batch(payload).equals(rows) if count else decode(payload).is_empty()
    assert decode(payload).to_dicts() == rows.to_pylist()


def test_a_part_of_rows_is_encoded_alone() -> None:
    """A slice takes along no byte of the rows that it leaves out."""
    part = lines(1000).slice(10, 5)
    assert decode(encode(part)).to_dicts() == part.to_pylist()
    assert len(encode(part)) < 1000


def test_a_small_entry_of_an_earlier_version_is_read() -> None:
    """It is compressed with zstd."""
    rows = lines(3)
    stream = b"".join((rows.schema.serialize(), rows.serialize()))
    assert decode(pa.Codec("zstd").compress(stream, asbytes=True)).to_dicts() == rows.to_pylist()


@pytest.mark.parametrize("count", [3, LZ4_MAX_BYTES // 20])
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
