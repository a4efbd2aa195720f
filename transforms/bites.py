"""Reads the event log in bounded bites: what landing holds in memory at a time, however long the backlog is.

An entry's payload can be small and unpack large, so a bite is bounded by rows and by the memory of the
decoded rows, not by payload bytes. The one thing that can exceed the bounds is a single entry, which is
never cut: a file's offset could not say that half of an entry is in it.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from ingest import schema
from ingest.eventlog.entry import as_polars, decode_batch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ingest.eventlog.contract import Entry, EventLog

OFFSET: Final = "_offset"
BITE_ROWS: Final = 250_000
# About 110,000 router rows. Decoded, sorted and encoded, with what the allocators keep, that makes a process of 320 to
# 370 MB, measured, most where entries are small. A thirteenth more breaks the bound of 400 MB and is no faster; as much
# less makes row groups smaller, and a router row 5 % larger.
BITE_MEMORY_BYTES: Final = 52 << 20
READ_BYTES: Final = 4 << 20
_VIEW_BYTES: Final = 16


class EntryError(Exception):
    """An entry of the log cannot be decoded; the message names it and what to try."""


@dataclass(frozen=True)
class Bite:
    """Rows of consecutive entries in log order, their entry's offset in the column ``_offset``.

    ``stamps`` are the entries, some of which may have no rows.
    """

    rows: pl.DataFrame
    stamps: list[Stamp]

    @property
    def last(self) -> int:
        """The offset of the last entry."""
        return self.stamps[-1].offset


class Stamp(NamedTuple):
    """Where an entry lies, when it was appended, and since when it was on its way (seconds since 1970)."""

    offset: int
    appended_at: float
    since: float | None


def bites(log: EventLog, table: str, partition: str, after: int) -> Iterator[Bite]:
    """The entries above ``after`` as frames, each made when it is asked for.

    Ends with the bite that the end of the log ended, not the bounds: else landing would chase a busy receiver with ever
    smaller bites.
    """
    wanted = entry_schema(table, with_pieces=log.may_repeat)
    entries = entries_after(log, table, partition, after)
    left = next(entries, None)
    while left is not None:
        bite = _Gathering(table, wanted)
        left = next((entry for entry in chain([left], entries) if not bite.take(entry)), None)
        yield bite.whole()


class _Gathering:
    """The entries of a bite, until they are too many."""

    def __init__(self, table: str, wanted: pl.Schema) -> None:
        self._table, self._wanted = table, wanted
        self._stamps: list[Stamp] = []
        self._decoded: list[pa.RecordBatch] = []
        self._rows = self._memory = 0

    def take(self, entry: Entry) -> bool:
        """Take an entry in; False if there is no room for it."""
        found = _decoded(entry)
        self._rows += found.num_rows
        self._memory += found.get_total_buffer_size() + _VIEW_BYTES * _TEXTS[self._table] * found.num_rows
        if self._stamps and (self._rows > BITE_ROWS or self._memory > BITE_MEMORY_BYTES):
            return False
        self._decoded.append(found)
        self._stamps.append(Stamp(entry.offset, entry.appended_at, entry.since))
        return True

    def whole(self) -> Bite:
        """All that was taken, which is not kept here."""
        offset = np.repeat([stamp.offset for stamp in self._stamps], [found.num_rows for found in self._decoded])
        rows = _together(self._table, self._stamps, self._decoded, self._wanted)
        return Bite(rows.with_columns(pl.Series(OFFSET, offset, dtype=pl.Int64)), self._stamps)


def _together(table: str, stamps: Sequence[Stamp], decoded: list[pa.RecordBatch], wanted: pl.Schema) -> pl.DataFrame:
    """The rows of entries as one frame; all at once if they are alike, since each alone costs more.

    ``decoded`` is empty then: its rows would be in memory twice while polars takes them over.
    """
    entries: Sequence[pa.RecordBatch | pa.Table] = decoded
    first = decoded[0].schema
    alike = all(found.schema.equals(first) for found in decoded)
    if alike and all(name in first.names and first.field(name).type == _TYPES[table][name] for name in wanted.names()):
        ends = np.cumsum([found.num_rows for found in decoded])
        joined = pa.Table.from_batches(decoded).select(wanted.names()).combine_chunks()
        decoded.clear()
        with suppress(ValueError):  # else one by one, so that the error names its entry
            return as_polars(joined)
        entries = [joined.slice(start, end - start) for start, end in zip([0, *ends], ends, strict=False)]
    frames = [_framed(table, stamp.offset, found, wanted) for stamp, found in zip(stamps, entries, strict=True)]
    return pl.concat(frames, rechunk=True)


def memory_bytes(rows: pl.DataFrame) -> int:
    """About what a frame takes in memory. Polars counts the text alone, not the view of each string."""
    return int(rows.estimated_size()) + least_memory_bytes(rows)


def least_memory_bytes(rows: pl.DataFrame) -> int:
    """What a frame takes at least; to look at each text takes as long as to hash a column."""
    strings = sum(dtype == pl.String for dtype in rows.dtypes)
    return _VIEW_BYTES * strings * rows.height


def entries_after(log: EventLog, table: str, partition: str, after: int) -> Iterator[Entry]:
    """The entries above ``after``, read in portions, until there are no more."""
    while entries := log.read(table, partition, after, rows_max=BITE_ROWS, bytes_max=READ_BYTES):
        yield from entries
        after = entries[-1].offset


def rows_of(entry: Entry, *, with_pieces: bool) -> pl.DataFrame:
    """The rows of an entry, with the columns of :func:`entry_schema`; raises :class:`EntryError`."""
    wanted = entry_schema(entry.table, with_pieces=with_pieces)
    return _framed(entry.table, entry.offset, _decoded(entry), wanted)


def _decoded(entry: Entry) -> pa.RecordBatch:
    with _naming(entry.table, entry.offset):
        return decode_batch(entry.payload)


def _framed(table: str, offset: int, decoded: pa.RecordBatch | pa.Table, wanted: pl.Schema) -> pl.DataFrame:
    with _naming(table, offset):
        return _conform(as_polars(decoded), wanted)


@contextmanager
def _naming(table: str, offset: int) -> Iterator[None]:
    """Make an :class:`EntryError` of whatever goes wrong with an entry."""
    try:
        yield
    except (Exception, pl.exceptions.PanicException) as error:  # a panic of polars is no Exception
        raise EntryError(
            f"entry {offset} of {table} in the event log cannot be decoded ({error}); "
            "restore the log from a copy, or report this with the entry."
        ) from error


def _conform(rows: pl.DataFrame, wanted: pl.Schema) -> pl.DataFrame:
    """The wanted columns in order, whatever version of drainlake wrote the entry."""
    if rows.schema == wanted:
        return rows
    present = [
        pl.col(name).cast(dtype) if name in rows.columns else pl.lit(None, dtype).alias(name)
        for name, dtype in wanted.items()
    ]
    return rows.select(present)


def entry_schema(table: str, *, with_pieces: bool = False) -> pl.Schema:
    """The columns of an entry that landing reads; those that tell repeats apart only where there can be any."""
    return (_WITH_PIECES if with_pieces else _WITHOUT_PIECES)[table]


_TYPES: Final = {
    name: {field.name: field.type for field in schema.entry_schema(table)} for name, table in schema.TABLES.items()
}
_TEXTS: Final = {name: sum(map(pa.types.is_string, table.arrow.types)) for name, table in schema.TABLES.items()}
_WITH_PIECES: Final = {name: pl.Schema(schema.entry_schema(table)) for name, table in schema.TABLES.items()}
_WITHOUT_PIECES: Final = {
    name: pl.Schema({column: dtype for column, dtype in full.items() if column not in {schema.PIECE, schema.PIECES}})
    for name, full in _WITH_PIECES.items()
}
