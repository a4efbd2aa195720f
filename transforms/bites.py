"""Reads the event log in bounded bites: what landing holds in memory at a time, however long the backlog is.

An entry's payload can be small and unpack large, so a bite is bounded by rows and by the memory of the
decoded rows, not by payload bytes. The one thing that can exceed the bounds is a single entry, which is
never cut: a file's offset could not say that half of an entry is in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import polars as pl

from ingest import schema
from ingest.eventlog.entry import decode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ingest.eventlog.contract import Entry, EventLog

OFFSET: Final = "_offset"
BITE_ROWS: Final = 250_000
# About 90,000 router rows. Decoded, sorted and encoded, with what the allocator keeps, that makes a process of
# 300 to 350 MB, measured; half as much again breaks the bound of 400 MB and is no faster.
BITE_MEMORY_BYTES: Final = 40 << 20
READ_BYTES: Final = 4 << 20
_VIEW_BYTES: Final = 16


class EntryError(Exception):
    """An entry of the log cannot be decoded; the message names it and what to try."""


@dataclass(frozen=True)
class Bite:
    """Rows of consecutive entries in log order, their entry's offset in the column ``_offset``.

    ``stamps`` are the entries, some of which may have no rows. ``more`` says that the bounds ended the
    bite, not the log: without it landing would chase a busy receiver with ever smaller bites.
    """

    rows: pl.DataFrame
    stamps: list[Stamp]
    more: bool

    @property
    def last(self) -> int:
        """The offset of the last entry."""
        return self.stamps[-1].offset


class Stamp(NamedTuple):
    """Where an entry lies, when it was appended, and since when it was on its way (seconds since 1970)."""

    offset: int
    appended_at: float
    since: float | None


def next_bite(log: EventLog, table: str, partition: str, after: int) -> Bite | None:
    """The next entries above ``after`` as one frame, or None when there are none."""
    frames: list[pl.DataFrame] = []
    stamps: list[Stamp] = []
    rows = memory = 0
    more = False
    for entry in entries_after(log, table, partition, after):
        frame = rows_of(entry, with_pieces=log.may_repeat)
        rows += frame.height
        memory += memory_bytes(frame)
        if frames and (rows > BITE_ROWS or memory > BITE_MEMORY_BYTES):
            more = True
            break
        frames.append(frame)
        stamps.append(Stamp(entry.offset, entry.appended_at, entry.since))
    if not frames:
        return None
    offset = np.repeat([stamp.offset for stamp in stamps], [frame.height for frame in frames])
    whole = pl.concat(frames, rechunk=True).with_columns(pl.Series(OFFSET, offset, dtype=pl.Int64))
    return Bite(whole, stamps, more)


def memory_bytes(rows: pl.DataFrame) -> int:
    """About what a frame takes in memory. Polars counts the text alone, not the view of each string."""
    strings = sum(dtype == pl.String for dtype in rows.dtypes)
    return int(rows.estimated_size()) + _VIEW_BYTES * strings * rows.height


def entries_after(log: EventLog, table: str, partition: str, after: int) -> Iterator[Entry]:
    """The entries above ``after``, read in portions, until there are no more."""
    while entries := log.read(table, partition, after, rows_max=BITE_ROWS, bytes_max=READ_BYTES):
        yield from entries
        after = entries[-1].offset


def rows_of(entry: Entry, *, with_pieces: bool) -> pl.DataFrame:
    """The rows of an entry, with the columns of :func:`entry_schema`; raises :class:`EntryError`."""
    try:
        return _conform(decode(entry.payload), entry_schema(entry.table, with_pieces=with_pieces))
    except (Exception, pl.exceptions.PanicException) as error:  # a panic of polars is no Exception
        raise EntryError(
            f"entry {entry.offset} of {entry.table} in the event log cannot be decoded ({error}); "
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


_WITH_PIECES: Final = {name: pl.Schema(schema.entry_schema(table)) for name, table in schema.TABLES.items()}
_WITHOUT_PIECES: Final = {
    name: pl.Schema({column: dtype for column, dtype in full.items() if column not in {schema.PIECE, schema.PIECES}})
    for name, full in _WITH_PIECES.items()
}
