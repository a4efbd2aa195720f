"""The lake's tables as views over its Parquet: all files of a table by a pattern, or some of them by name."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ingest.schema import ASSET_SIZES, DERIVED, ROUTER, SIZES_KEY, TABLES
from queries.literals import literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ingest.schema import Table

VIEWS: Final = {**TABLES, **DERIVED}
ROUTER_DAYS: Final = "drainlake_router_days"
# The router's rows, at least of days whose sizes of assets are not kept.
UNSIZED: Final = "drainlake_unsized"
# Of which date a file is, by the column `file`; NULL where its folder tells none.
DATE_OF_FILE: Final = r"TRY_CAST(regexp_extract(file, '/date=([^/]*)/[^/]*$', 1) AS DATE)"


def view(table: Table, sources: Iterable[str]) -> str:
    """The query of a view with exactly the table's columns and ``date``, whatever files there are.

    ``sources`` are queries of rows by the names of the table's columns, as :func:`reading` makes them. read_parquet
    fails on a pattern without files and on a column that no file has, so a typed empty SELECT stands first, or alone.
    """
    # With the name of what they are of: a macro whose parameter has a column's name could not read the view else.
    names = ", ".join(f'files."{column.name}"' for column in table.columns)
    nothing = ", ".join(f'NULL::{column.type} AS "{column.name}"' for column in table.columns)
    # The date stands first here, because DuckDB reads the first column to count rows, and this one is in no file.
    rows = " UNION ALL BY NAME ".join([f"SELECT NULL::DATE AS date, {nothing} WHERE false", *sources])
    # Names come from ingest.schema, and paths are quoted literals.
    return f"SELECT {names}, files.date FROM ({rows}) AS files"  # noqa: S608


def reading(files: str | Sequence[str]) -> str:
    """A query of the rows of files: those of a pattern, or these."""
    return (
        f"FROM read_parquet({_paths(files)}, hive_partitioning = true, union_by_name = true,"
        " hive_types = {'date': DATE})"
    )


def days_by_files(router: str, asset_sizes: str) -> str:
    """A query of the days that the router has files of, (date, has_sizes): whether `asset_sizes` tells all of a day.

    Both are patterns of files on a local disk. A file of sizes names the files that it was made from, with lengths and
    times; one without rows is of a day that has too many sizes to keep. DuckDB 1.5 tells times by the second only.
    """
    return f"""
SELECT
  date,
  bool_and(coalesce(
    there.size = made.size
      AND (there.us = made.us OR (there.us % 1000000 = 0 AND there.us = made.us // 1000000 * 1000000)),
    false
  )) AS has_sizes
FROM (
  SELECT {DATE_OF_FILE} AS date, parse_filename(file) AS name, size, epoch_us(last_modified) AS us
  FROM (SELECT filename AS file, size, last_modified FROM read_blob({_paths(router)}))
) AS there
FULL JOIN (
  SELECT
    {DATE_OF_FILE} AS date,
    source[1] AS name,
    split_part(source[2], '-', 2)::BIGINT AS size,
    split_part(source[2], '-', 3)::BIGINT // 1000 AS us
  FROM (
    SELECT file_name AS file, unnest(from_json(json_extract(decode(value), '$[1]'), '[["VARCHAR"]]')) AS source
    FROM parquet_kv_metadata({_paths(asset_sizes)}) JOIN parquet_file_metadata({_paths(asset_sizes)}) USING (file_name)
    WHERE decode(key) = '{SIZES_KEY}' AND num_rows > 0
  )
) AS made USING (date, name)
GROUP BY date
HAVING count(there.size) > 0
"""  # noqa: S608 - literals, and names of our own


# The same of a lake on S3, which tells no times.
DAYS_BY_ROWS: Final = f"""
SELECT date, coalesce(rows = responses, false) AS has_sizes
FROM (SELECT date, count(*) AS rows FROM {ROUTER.name} GROUP BY date)
LEFT JOIN (
  SELECT date, sum(responses) AS responses FROM {ASSET_SIZES.name} WHERE path IS NULL GROUP BY date
) USING (date)
"""  # noqa: S608 - names of tables


def _paths(files: str | Sequence[str]) -> str:
    return literal(files) if isinstance(files, str) else f"[{', '.join(map(literal, files))}]"


def pattern(lake: str, table: str) -> str:
    """The files of one table; absolute, because the database is opened from any working directory.

    Raises ValueError for a backslash, which DuckDB takes for a folder separator and cannot escape.
    """
    if "\\" in lake:
        raise ValueError(f"The lake's path {lake!r} has a backslash; choose a folder without one.")
    place = lake.rstrip("/") if _is_remote(lake) else str(Path(lake).absolute())
    return f"{glob.escape(place)}/{table}/*/*.parquet"


def _is_remote(lake: str) -> bool:
    return "://" in lake
