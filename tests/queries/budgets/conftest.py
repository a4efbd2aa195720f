"""Minutes in memory, so that each of many examples costs no files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pytest

from ingest.schema import MINUTES
from queries import database
from tests.queries.lakes import Row, instant, write_lake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Minutes = Callable[[Iterable[Row]], duckdb.DuckDBPyConnection]

# In a lake no minute has requests that has neither lines nor is covered.
HOURS = """
INSERT INTO rows BY NAME
SELECT
  timestamp, date, app, 'sum_app' AS per,
  list(bucket ORDER BY bucket) AS latency_buckets, list(held ORDER BY bucket) AS latency_counts
FROM (
  SELECT date_trunc('hour', timestamp) AS timestamp, date, app, bucket, sum(held) AS held
  FROM (
    SELECT *, unnest(latency_buckets) AS bucket, unnest(latency_counts) AS held
    FROM rows
    WHERE per = 'app' AND (is_covered OR lines > 0)
  )
  GROUP BY ALL
)
GROUP BY ALL
"""
SCHEMA = pa.schema([*MINUTES.arrow, pa.field("date", pa.date32())])


@pytest.fixture(scope="session")
def minutes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Minutes]:
    """Gives a connection whose table `minutes` holds these rows of covered apps, until the next call."""
    lake = write_lake(tmp_path_factory.mktemp("budgets") / "lake", {})
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for statement in database.statements(str(lake)):
            connection.execute(statement)
        connection.execute("CREATE TABLE rows AS SELECT * FROM minutes")
        connection.execute("CREATE OR REPLACE VIEW minutes AS FROM rows")

        def hold(rows: Iterable[Row]) -> duckdb.DuckDBPyConnection:
            full = [{"app": "shop", "per": "app", "is_covered": True, "failed": 0, **row} for row in rows]
            for row in full:
                row["timestamp"] = instant(row["timestamp"])
            given = pa.Table.from_pylist([{**row, "date": row["timestamp"].date()} for row in full], schema=SCHEMA)
            connection.execute("DELETE FROM rows")
            connection.register("given", given)
            connection.execute("INSERT INTO rows BY NAME FROM given")
            connection.unregister("given")
            connection.execute(HOURS)
            return connection

        yield hold
