"""Records: parsed frames as columns, ready for the parser of their table; and how its rows are put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.schema import ARROW_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from ingest.schema import Table
    from ingest.text import Mask, Positions, Spans, Text


@dataclass(frozen=True)
class Records:
    """Frames whose header was read: one row each, in the order of their deliveries and bodies."""

    text: Text
    apps: Sequence[str]
    app: Positions  # index into ``apps``
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
            self.app[rows],
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


def timestamps(microseconds: Positions, valid: Mask | None = None) -> pa.Array:
    """A column of UTC times; NULL where not valid."""
    return pa.array(microseconds, pa.timestamp("us", "UTC"), mask=None if valid is None else ~valid)


def numbers(values: NDArray[np.int64] | NDArray[np.float64], type_: str, valid: Mask) -> pa.Array:
    """A column of numbers of a schema type; NULL where not valid. Valid values must fit the type."""
    arrow = ARROW_TYPES[type_]
    return pa.array(np.where(valid, values, 0).astype(arrow.to_pandas_dtype()), arrow, mask=~valid)


def matches(column: pa.StringArray, expression: str) -> Mask:
    """Which values match a regular expression; NULL does not."""
    found: Mask = pc.match_substring_regex(column, expression).fill_null(False).to_numpy(zero_copy_only=False)
    return found


def rows(table: Table, records: Records, columns: Mapping[str, pa.Array]) -> pa.RecordBatch:
    """One row per record in the table's schema: timestamp and app from the records, missing columns NULL."""
    given = {
        "timestamp": timestamps(records.timestamp_us),
        "app": app_column(records.apps, records.app),
        **columns,
    }
    schema = table.arrow
    arrays = [
        given[field.name] if field.name in given else pa.nulls(len(records), field.type) for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def app_column(apps: Sequence[str], index: Positions) -> pa.StringArray:
    """The names of the apps behind their indexes."""
    return pa.DictionaryArray.from_arrays(index.astype(np.int32), pa.array(apps, pa.string())).cast(
        pa.string()
    )


def read_singly(
    table: Table, records: Records, parse_line: Callable[[str], Mapping[str, object]]
) -> pa.RecordBatch:
    """Rows for lines that are read one by one.

    ``parse_line`` gives times as microseconds since 1970, UTC, and may leave columns out: they become NULL.
    """
    lines = [parse_line(message) for message in records.messages().to_pylist()]
    columns = {
        column.name: pa.array([line.get(column.name) for line in lines], ARROW_TYPES[column.type])
        for column in table.columns[2:]
    }
    return rows(table, records, columns)


def replace_odd(
    batch: pa.RecordBatch,
    table: Table,
    records: Records,
    odd: Mask,
    parse_line: Callable[[str], Mapping[str, object]],
    keep: Sequence[str] = (),
) -> pa.RecordBatch:
    """Replace the odd rows by what reading their lines one by one gives, but for the columns to ``keep``."""
    if not odd.any():
        return batch
    reread = read_singly(table, records.take(odd), parse_line)
    mask = pa.array(odd)
    arrays = [
        column
        if field.name in {"timestamp", "app", *keep}
        else pc.replace_with_mask(column, mask, reread[field.name])
        for field, column in zip(batch.schema, batch.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=batch.schema)
