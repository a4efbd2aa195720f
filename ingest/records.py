"""Records: parsed frames as columns, ready for the parser of their table; and how its rows are put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from ingest.columns import booleans, constant, indices, timestamps
from ingest.schema import ARROW_TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ingest.schema import Table
    from ingest.text import Mask, Positions, Spans, Text


FRAME: Final = "frame"
_FRAME_FIELD: Final = pa.field(FRAME, pa.int64())


@dataclass(frozen=True)
class Records:
    """Frames whose header was read: one row each, in the order of the parts of bodies that they begin in."""

    text: Text
    apps: Sequence[str]  # by part
    part: Positions
    frame: Positions  # number of the frame in the batch
    timestamp_us: Positions
    process: Spans
    message: Spans

    def __len__(self) -> int:
        return len(self.timestamp_us)

    def take(self, rows: Positions | Mask) -> Records:
        """Some of the records."""
        return Records(
            self.text,
            self.apps,
            self.part[rows],
            self.frame[rows],
            self.timestamp_us[rows],
            self.process.take(rows),
            self.message.take(rows),
        )

    def messages(self) -> pa.StringArray:
        """The messages as a text column."""
        return self.text.strings(self.message)

    def processes(self) -> pa.StringArray:
        """PROCID of each record as a text column."""
        return self.text.strings(self.process)


def rows(table: Table, records: Records, columns: Mapping[str, pa.Array]) -> pa.RecordBatch:
    """One row per record in the table's schema: timestamp and app from the records, missing columns NULL.

    Behind the table's columns stands ``FRAME``, the number of the frame that the row comes from.
    """
    given = {
        "timestamp": timestamps(records.timestamp_us),
        "app": app_column(records.apps, records.part),
        FRAME: indices(records.frame),
        **columns,
    }
    schema = with_frame(table)
    arrays = [given[field.name] if field.name in given else pa.nulls(len(records), field.type) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def app_column(apps: Sequence[str], index: Positions) -> pa.StringArray:
    """The app of each row, from the apps of the parts and the rows' parts."""
    if len(set(apps)) == 1:
        return constant(apps[0], len(index))
    return pa.array(apps, pa.string()).take(indices(index))


def rows_of_nothing(table: Table) -> pa.RecordBatch:
    """No rows, with the columns of :func:`rows`."""
    return pa.RecordBatch.from_pylist([], with_frame(table))


def with_frame(table: Table) -> pa.Schema:
    """The columns of :func:`rows`."""
    return table.arrow.append(_FRAME_FIELD)


def read_singly(
    table: Table,
    records: Records,
    lines: Sequence[Mapping[str, object]],
    columns: Mapping[str, pa.Array] | None = None,
) -> pa.RecordBatch:
    """Rows for records whose lines were read one by one; ``columns`` holds those that were not.

    Times are microseconds since 1970, UTC; columns that a line leaves out are NULL.
    """
    read = {
        column.name: pa.array([line.get(column.name) for line in lines], ARROW_TYPES[column.type])
        for column in table.columns[2:]
    }
    return rows(table, records, read | dict(columns or {}))


def replace_odd(
    batch: pa.RecordBatch,
    table: Table,
    odd_records: Records,
    odd: Mask,
    lines: Sequence[Mapping[str, object]],
    keep: Sequence[str] = (),
) -> pa.RecordBatch:
    """Replace the odd rows by their lines that were read one by one, but for the columns to ``keep``."""
    reread = read_singly(table, odd_records, lines)
    mask = booleans(odd)
    kept = {"timestamp", "app", FRAME, *keep}
    arrays = [
        column if field.name in kept else pc.replace_with_mask(column, mask, reread[field.name])
        for field, column in zip(batch.schema, batch.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=batch.schema)
