"""Reads the event log in bounded bites: what landing holds in memory at a time, however long the backlog is.

An entry's payload can be small and unpack large, so a bite is bounded by rows and by the memory of the
decoded rows, not by payload bytes. The one thing that can exceed the bounds is a single entry, which is
never cut: a file's offset could not say that half of an entry is in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from ingest.eventlog.entry import decode
from transforms.parquet import SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ingest.eventlog.contract import Entry, EventLog

OFFSET: Final = "_offset"
CONTINUES: Final = "continues"
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

    ``last`` is the offset of the last entry, which may have no rows. ``more`` says that the bounds ended the
    bite, not the log: without it landing would chase a busy receiver with ever smaller bites.
    """

    rows: pl.DataFrame
    last: int
    more: bool


def next_bite(log: EventLog, table: str, partition: str, after: int) -> Bite | None:
    """The next entries above ``after`` as one frame, or None when there are none."""
    frames: list[pl.DataFrame] = []
    offsets: list[int] = []
    rows = memory = 0
    more = False
    for entry in _entries(log, table, partition, after):
        frame = _frame(entry)
        rows += frame.height
        memory += memory_bytes(frame)
        if frames and (rows > BITE_ROWS or memory > BITE_MEMORY_BYTES):
            more = True
            break
        frames.append(frame)
        offsets.append(entry.offset)
    if not frames:
        return None
    offset = np.repeat(offsets, [frame.height for frame in frames])
    whole = pl.concat(frames, rechunk=True).with_columns(pl.Series(OFFSET, offset, dtype=pl.Int64))
    return Bite(whole, offsets[-1], more)


def memory_bytes(rows: pl.DataFrame) -> int:
    """About what a frame takes in memory. Polars counts the text alone, not the view of each string."""
    strings = sum(dtype == pl.String for dtype in rows.dtypes)
    return int(rows.estimated_size()) + _VIEW_BYTES * strings * rows.height


def _entries(log: EventLog, table: str, partition: str, after: int) -> Iterator[Entry]:
    while entries := log.read(table, partition, after, rows_max=BITE_ROWS, bytes_max=READ_BYTES):
        yield from entries
        after = entries[-1].offset


def _frame(entry: Entry) -> pl.DataFrame:
    try:
        rows = decode(entry.payload)
    except Exception as error:
        raise EntryError(
            f"entry {entry.offset} of {entry.table} in the event log cannot be decoded ({error}); "
            "restore the log from a copy, or report this with the entry."
        ) from error
    return _conform(rows, entry.table)


def _conform(rows: pl.DataFrame, table: str) -> pl.DataFrame:
    """The table's columns in order, whatever version of drainlake wrote the entry."""
    wanted = entry_schema(table)
    if rows.schema == wanted:
        return rows
    present = [
        pl.col(name).cast(dtype) if name in rows.columns else pl.lit(None, dtype).alias(name)
        for name, dtype in wanted.items()
    ]
    return rows.select(present)


def entry_schema(table: str) -> pl.Schema:
    """The columns of an entry: the table's own, and for php whether the row continues the one before."""
    return _ENTRY_SCHEMAS[table]


_ENTRY_SCHEMAS: Final = {
    name: pl.Schema({**schema, CONTINUES: pl.Boolean()} if name == "php" else dict(schema))
    for name, schema in SCHEMAS.items()
}
