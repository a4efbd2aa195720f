"""The lake's files as they are listed once: several statements choose from them which they look at.

To list a year of them takes as long as a quick question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ingest.schema import ASSET_SIZES
from queries.views import ROUTER_DAYS

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_TOLD: Final = f"""
SELECT
  date,
  has_sizes,
  has_sizes AND date NOT IN (SELECT date FROM {ASSET_SIZES.name} WHERE source <> 'heroku') AS is_herokus
FROM {ROUTER_DAYS}
"""  # noqa: S608 - names of tables


class Listing:
    """What is known of the files and the days, for connections that see all days; all of it raises duckdb.Error."""

    def __init__(self) -> None:
        self._files: pa.Table | None = None
        self._days: pa.Table | None = None

    def files(self, connection: duckdb.DuckDBPyConnection) -> pa.Table:
        """The files of all tables: table_name, file, date. None of a lake on S3."""
        if self._files is None:
            self._files = connection.sql("FROM drainlake_files").to_arrow_table()
        return self._files

    def days(self, connection: duckdb.DuckDBPyConnection) -> pa.Table:
        """What the sizes of assets tell of the router's days: date, has_sizes, and is_herokus if nobody else logged."""
        if self._days is None:
            self._days = connection.sql(_TOLD).to_arrow_table()
        return self._days
