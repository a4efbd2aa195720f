"""Cuts an entry that is larger than the broker takes.

It is cut between parts of deliveries, so that what a part is known by stays true; a part that is too large alone is cut
between rows, each piece known by a digest of its own; a row that is too large alone gets its longest text cut, and what
was cut off follows as rows of ``lines`` with a defect that says so. Nothing is lost.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.eventlog.contract import NewEntry
from ingest.eventlog.entry import decode_batch, encode
from ingest.schema import DIGEST_BYTES, LINES, PIECE, entry_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT_MIN_BYTES: Final = 256
CUT_OFF: Final = "the rest of a line that is larger than the event log takes"


def split(entry: NewEntry, max_bytes: int) -> Iterator[NewEntry]:
    """The entry itself if its payload has at most ``max_bytes``; else several with the same rows, in order."""
    if len(entry.payload) <= max_bytes:
        yield entry
        return
    rows = decode_batch(entry.payload)
    for half in _halves(rows):
        yield from split(_entry(entry, entry.table, half), max_bytes)
    if rows.num_rows == 1:
        kept, rest = _cut(rows)
        yield from split(_entry(entry, entry.table, kept), max_bytes)
        yield from split(_entry(entry, LINES.name, rest), max_bytes)


def _entry(entry: NewEntry, table: str, rows: pa.RecordBatch) -> NewEntry:
    return NewEntry(table, entry.app, rows.num_rows, encode(rows), entry.since)


def _halves(rows: pa.RecordBatch) -> list[pa.RecordBatch]:
    """Two halves, of whole parts where there are several; none of a single row."""
    if rows.num_rows < 2:
        return []
    parts = rows.column(PIECE).to_pylist() if PIECE in rows.schema.names else [None] * rows.num_rows
    numbers = {part: number for number, part in enumerate(dict.fromkeys(parts))}
    if len(numbers) > 1:
        first = pa.array([numbers[part] < len(numbers) // 2 for part in parts])
        return [rows.filter(first), rows.filter(pc.invert(first))]
    middle = rows.num_rows // 2
    return [_renamed(rows.slice(0, middle), b"first"), _renamed(rows.slice(middle), b"second")]


def _renamed(rows: pa.RecordBatch, half: bytes) -> pa.RecordBatch:
    """Rows of one part, known by a digest of its own from now on."""
    place = rows.schema.get_field_index(PIECE)
    if place < 0 or not rows.column(place)[0].is_valid:
        return rows
    digest = hashlib.sha256(rows.column(place)[0].as_py() + half).digest()[:DIGEST_BYTES]
    return rows.set_column(place, rows.schema.field(place), pa.array([digest] * rows.num_rows, pa.binary(DIGEST_BYTES)))


def _cut(row: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """A single row with half of its longest text, and the other half as a row of ``lines``."""
    lengths = [
        len(column[0].as_py()) if pa.types.is_string(column.type) and column[0].is_valid else 0
        for column in row.columns
    ]
    place = int(np.argmax(lengths))
    text = row.column(place)[0].as_py()
    if len(text) < TEXT_MIN_BYTES:
        raise AssertionError("a row of short texts is larger than the event log takes")
    middle = len(text) // 2
    kept = row.set_column(place, row.schema.field(place), pa.array([text[:middle]], pa.string()))
    known = {name: row.column(name)[0].as_py() for name in ("timestamp", "app")}
    rest = pa.RecordBatch.from_pylist([known | {"message": text[middle:], "defect": CUT_OFF}], entry_schema(LINES))
    digest = row.column(PIECE)[0].as_py() if PIECE in row.schema.names else None
    if digest is not None:
        rest = rest.set_column(
            rest.schema.get_field_index(PIECE), rest.schema.field(PIECE), pa.array([digest], pa.binary(DIGEST_BYTES))
        )
        rest = _renamed(rest, b"cut off" + place.to_bytes(2) + len(text).to_bytes(8))
    return kept, rest
