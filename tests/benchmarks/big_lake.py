"""Makes a lake of many millions of requests directly as Parquet, in the lake's layout, one day at a time.

The figures are of one app with 200 routes of unlike weight and speed, by day and night, on ten dynos that are measured
every 20 s. An hour's requests come in files as landing would leave them; the service times are log-normal.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import duckdb

from ingest.schema import TABLES
from transforms.locallake import LocalLake

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROUTES = 200
DYNOS = 10
FILE_ROWS = 240_000
SECONDS = 86_400


@dataclass(frozen=True)
class BigLake:
    """Which lake: its requests in all, its days, the first of them, and whether access lines are in it, too."""

    rows: int
    days: int
    first: date = date(2026, 10, 1)
    has_access: bool = False

    @property
    def rows_a_day(self) -> int:
        """Requests of each day."""
        return self.rows // self.days

    @property
    def name(self) -> str:
        """A name for its folder: what it holds."""
        return f"lake-{self.rows}-{self.days}{'-access' if self.has_access else ''}"

    def dates(self) -> Iterator[date]:
        """Its days."""
        return (self.first + timedelta(days=number) for number in range(self.days))


def make(folder: Path, wanted: BigLake) -> Path:
    """The lake in a folder, made unless it is there already; a day that is there whole is not made again."""
    lake = folder / wanted.name
    LocalLake(lake).prepare()
    for day in wanted.dates():
        done = lake / f".done-{day}"
        if not done.exists():
            _make_day(lake, wanted, day)
            done.touch()
    return lake


def _make_day(lake: Path, wanted: BigLake, day: date) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET threads = 2; SET TimeZone = 'UTC'; SET preserve_insertion_order = true")
        connection.execute("SELECT setseed(?)", [day.toordinal() % 1000 / 1000])
        _add_router(connection, lake, wanted.rows_a_day, day, has_access=wanted.has_access)
        _add_samples(connection, lake, day)


# A day's curve: the share of the day that lies before an instant is bent by a sine, so nights are quieter.
_REQUESTS = """
CREATE OR REPLACE TEMP TABLE part AS
SELECT
  TIMESTAMPTZ '{day} 00:00:00+00'
    + to_microseconds((86400e6 * (share - 0.09 * sin(2 * pi() * share)))::BIGINT) AS timestamp,
  'shop' AS app,
  'heroku' AS source,
  CASE WHEN fate < 0.002 THEN 'error' ELSE 'info' END AS level,
  CASE WHEN fate < 0.0004 THEN 'H12' END AS code,
  CASE WHEN fate < 0.0004 THEN 'Request timeout' END AS description,
  'GET' AS method,
  'www.example.org' AS host,
  '/section-' || number || '/' || (item * 5000)::INTEGER AS path,
  '/section-' || number || '/{{id}}' AS route,
  uuid()::VARCHAR AS request_id,
  '203.0.113.' || (item * 250)::INTEGER AS client_ip,
  'web.' || (1 + (item * 7919)::INTEGER % {dynos}) AS dyno,
  (item * 4)::INTEGER AS connect_ms,
  CASE WHEN fate < 0.0004 THEN 30000 ELSE least(exp(2 + number % 5 + spread), 29999)::INTEGER END AS service_ms,
  CASE WHEN fate < 0.0004 THEN 503 WHEN fate < 0.002 THEN 500 ELSE 200 END::SMALLINT AS status,
  (exp(8 + spread) * 10)::BIGINT AS bytes,
  'http1.1' AS protocol
FROM (
  SELECT
    ({begin} + range + random()) / {rows} AS share,
    random() AS fate,
    random() AS item,
    sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()) * 0.8 AS spread,
    ({routes} * pow(random(), 3))::INTEGER % {routes} AS number
  FROM range({count})
)
ORDER BY timestamp
"""


def _add_router(connection: duckdb.DuckDBPyConnection, lake: Path, rows: int, day: date, *, has_access: bool) -> None:
    for sequence, begin in enumerate(range(0, rows, FILE_ROWS), 1):
        count = min(FILE_ROWS, rows - begin)
        asked = {"day": day, "begin": begin, "rows": rows, "count": count, "routes": ROUTES, "dynos": DYNOS}
        connection.execute(_REQUESTS.format(**asked))
        _write(connection, lake, "router", day, sequence, "part")
        if has_access:
            columns = "timestamp, app, dyno, timestamp AS logged_at, client_ip, method, path, route, status, bytes"
            columns += ", request_id, service_ms AS request_ms, 'text/html' AS content_type"
            _write(connection, lake, "access", day, sequence, f"(SELECT {columns} FROM part)")


def _add_samples(connection: duckdb.DuckDBPyConnection, lake: Path, day: date) -> None:
    rows = f"""(
      SELECT
        TIMESTAMPTZ '{day} 00:00:00+00' + to_seconds(20 * tick + dyno) AS timestamp,
        'shop' AS app,
        'web.' || dyno AS source,
        'dyno' AS kind,
        metric,
        CASE metric WHEN 'memory_quota' THEN 536870912 ELSE 3e8 + 1e8 * random() END AS value,
        'bytes' AS unit
      FROM range({SECONDS // 20 - 1}) AS ticks(tick), range(1, {DYNOS + 1}) AS dynos(dyno),
        (VALUES ('memory_total'), ('memory_quota')) AS metrics(metric)
      ORDER BY timestamp
    )"""
    _write(connection, lake, "samples", day, 1, rows)


def _write(connection: duckdb.DuckDBPyConnection, lake: Path, table: str, day: date, sequence: int, rows: str) -> None:
    """Write rows with all columns of the table and the types that landing gives them."""
    there = {row[0] for row in connection.execute(f"DESCRIBE FROM {rows}").fetchall()}
    columns = ", ".join(
        f"{column.name if column.name in there else 'NULL'}::{column.type} AS {column.name}"
        for column in TABLES[table].columns
    )
    folder = lake / table / f"date={day}"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"e0-{sequence:06d}.parquet"
    connection.execute(
        f"COPY (SELECT {columns} FROM {rows}) TO '{target}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 61440)"
    )
