"""The lake's tables as views over its Parquet: all files of a table by a pattern, or some of them by name."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ingest.schema import DERIVED, TABLES
from queries.literals import literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ingest.schema import Table

VIEWS: Final = {**TABLES, **DERIVED}
ROUTER_ROWS: Final = "drainlake_router_rows"
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


def counting(files: str | Sequence[str]) -> str:
    """A query of how many rows files have of each day, (date, rows): as their footers tell, on a local disk."""
    told = f"SELECT file_name AS file, num_rows FROM parquet_file_metadata({_paths(files)})"  # noqa: S608 - literals
    days = f"SELECT {DATE_OF_FILE} AS date, sum(num_rows)::BIGINT AS rows"
    return f"{days} FROM ({told}) WHERE num_rows > 0 GROUP BY ALL"


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
