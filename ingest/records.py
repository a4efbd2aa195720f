"""Records: parsed frames as columns, ready for the parser of their table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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

    def messages(self) -> pl.Series:
        """The messages as a text column."""
        return self.text.strings(self.message)

    def processes(self) -> pl.Series:
        """PROCID of each record as a text column."""
        return self.text.strings(self.process)


POLARS_TYPES: Final = {
    "TIMESTAMPTZ": pl.Datetime("us", "UTC"),
    "VARCHAR": pl.String(),
    "BIGINT": pl.Int64(),
    "INTEGER": pl.Int32(),
    "SMALLINT": pl.Int16(),
    "DOUBLE": pl.Float64(),
}


def timestamps(microseconds: Positions) -> pl.Series:
    """A column of UTC times."""
    return pl.Series(microseconds.view("datetime64[us]")).dt.replace_time_zone("UTC")


def rows(table: Table, records: Records, columns: Mapping[str, pl.Series]) -> pl.DataFrame:
    """One row per record in the table's schema: timestamp and app from the records, missing columns NULL."""
    given = {
        "timestamp": timestamps(records.timestamp_us),
        "app": app_column(records.apps, records.app),
        **columns,
    }
    height = len(records)
    return pl.DataFrame(
        {
            column.name: given[column.name].cast(POLARS_TYPES[column.type])
            if column.name in given
            else pl.repeat(None, height, dtype=POLARS_TYPES[column.type], eager=True)
            for column in table.columns
        }
    )


def app_column(apps: Sequence[str], index: Positions) -> pl.Series:
    """The names of the apps behind their indexes."""
    if len(apps) == 1:
        return pl.repeat(apps[0], len(index), dtype=pl.String, eager=True)
    return pl.Series(apps, dtype=pl.String).gather(index.astype(np.uint32))


def reread(
    table: pl.DataFrame,
    schema: Table,
    first: int,
    records: Records,
    odd: Mask,
    parse_line: Callable[[str], Mapping[str, object]],
) -> pl.DataFrame:
    """Replace the odd rows, from column ``first`` of the schema on, by what reading their lines one by one gives.

    ``parse_line`` gives times as microseconds since 1970, UTC, and may leave columns out: they become NULL.
    """
    types = {column.name: POLARS_TYPES[column.type] for column in schema.columns[first:]}
    raw = {name: pl.Int64() if isinstance(dtype, pl.Datetime) else dtype for name, dtype in types.items()}
    lines = pl.DataFrame([parse_line(message) for message in records.take(odd).messages()], schema=raw)
    where = pl.Series(np.flatnonzero(odd))
    return table.with_columns(
        table[name].scatter(where, lines[name].cast(dtype)) for name, dtype in types.items()
    )
