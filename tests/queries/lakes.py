"""Small lakes written by hand, in the layout of the contract, without the landing code."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from ingest.schema import DERIVED, TABLES
from queries.views import DAYS_BY_ROWS, ROUTER_DAYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

Row = dict[str, Any]
ALL = {**TABLES, **DERIVED}
# For tables in memory in the place of files, which have no times.
COUNTED_DAYS = f"CREATE OR REPLACE VIEW {ROUTER_DAYS} AS {DAYS_BY_ROWS}"


def write_lake(lake: Path, tables: Mapping[str, Iterable[Row]], sequence: int = 1) -> Path:
    """Write rows (absent columns are NULL), one file per table and day, and all sentinels; gives the lake."""
    write_sentinels(lake)
    write_rows(lake, tables, sequence)
    return lake


def write_rows(lake: Path, tables: Mapping[str, Iterable[Row]], sequence: int) -> None:
    """One file per table and day with these rows."""
    for table, rows in tables.items():
        for day, of_day in _by_day(rows).items():
            write_file(lake / table / f"date={day}" / f"e0-{sequence:06d}.parquet", table, of_day)


def write_sentinels(lake: Path) -> None:
    """The 0-row file of each table that makes globs and views work on an empty lake."""
    for table in ALL:
        write_file(lake / table / "date=1970-01-01" / "empty-0.parquet", table, [])


def write_file(file: Path, table: str, rows: list[Row], without: str = "") -> None:
    """One Parquet file with the table's schema; ``without`` names a column that an older version lacked."""
    schema = pa.schema([field for field in ALL[table].arrow if field.name != without])
    unknown = {name for row in rows for name in row} - set(schema.names)
    assert not unknown, f"{table} has no columns {unknown}"
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), file, compression="zstd")


def _by_day(rows: Iterable[Row]) -> dict[str, list[Row]]:
    days: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(map(_with_times, rows), key=lambda row: (row["app"], row["timestamp"])):
        days[row["timestamp"].date().isoformat()].append(row)
    return days


def _with_times(row: Row) -> Row:
    return {key: instant(value) if key in {"timestamp", "received_at"} else value for key, value in row.items()}


def instant(moment: str | datetime) -> datetime:
    """A UTC datetime from ISO text."""
    return datetime.fromisoformat(moment).astimezone(UTC) if isinstance(moment, str) else moment
