"""Makes a lake of many millions of requests directly as Parquet, in the lake's layout, one day at a time.

The figures are of apps of unlike size with 200 routes of unlike weight and speed, by day and night, on dynos that are
measured every 20 s. A tenth of the routes are assets. Service times are log-normal. Timeouts (H12) come in one burst a
day and now and then alone. The files are written by landing's own writer and hold as many rows as landing leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import duckdb
import polars as pl

from transforms import parquet
from transforms.locallake import LocalLake

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROUTES = 200
DYNOS = 10
FILE_ROWS = 240_000
SECONDS = 86_400
SAMPLED_DYNOS = 20  # with more dynos each is measured less often, so that samples do not outgrow requests


@dataclass(frozen=True)
class BigLake:
    """Which lake: its requests in all, its days and the first of them, its apps, and whether it has access lines."""

    rows: int
    days: int
    first: date = date(2026, 10, 1)
    has_access: bool = False
    apps: int = 2

    @property
    def rows_a_day(self) -> int:
        """Requests of each day."""
        return self.rows // self.days

    @property
    def dynos(self) -> int:
        """Dynos of each app."""
        return DYNOS if self.apps <= 10 else 1

    @property
    def name(self) -> str:
        """A name for its folder: what it holds."""
        return f"lake-{self.rows}-{self.days}-{self.apps}{'-access' if self.has_access else ''}"

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
        _add_router(connection, lake, wanted, day)
        _add_samples(connection, lake, wanted, day)
        _add_platform(connection, lake, wanted, day)


# A day's curve: the share of the day that lies before an instant is bent by a sine, so nights are quieter.
_REQUESTS = """
CREATE OR REPLACE TEMP TABLE part AS
SELECT
  number % 10 = 9 AS is_asset,
  CASE WHEN share BETWEEN 0.6 AND 0.61 THEN 0.04 ELSE 0.000004 END AS timing_out,
  timing_out + 0.0016 AS failing,
  TIMESTAMPTZ '{day} 00:00:00+00'
    + to_microseconds((86400e6 * (share - 0.09 * sin(2 * pi() * share)))::BIGINT) AS timestamp,
  CASE size WHEN 0 THEN 'shop' WHEN 1 THEN 'blog' ELSE 'app-' || size END AS app,
  'heroku' AS source,
  CASE WHEN fate < failing THEN 'error' ELSE 'info' END AS level,
  CASE WHEN fate < timing_out THEN 'H12' END AS code,
  CASE WHEN fate < timing_out THEN 'Request timeout' END AS description,
  'GET' AS method,
  'www.example.org' AS host,
  CASE WHEN is_asset THEN '/build/app-' ELSE '/section-' END || number AS place,
  CASE WHEN is_asset THEN place || '.css' ELSE place || '/' || (item * 5000)::INTEGER END AS path,
  CASE WHEN is_asset THEN place || '.css' ELSE place || '/{{id}}' END AS route,
  uuid()::VARCHAR AS request_id,
  '203.0.113.' || (item * 250)::INTEGER AS client_ip,
  'web.' || (1 + (item * 7919)::INTEGER % {dynos}) AS dyno,
  (item * 4)::INTEGER AS connect_ms,
  CASE WHEN fate < timing_out THEN 30000 ELSE least(exp(2 + number % 5 + spread), 29999)::INTEGER END AS service_ms,
  CASE WHEN fate < timing_out THEN 503 WHEN fate < failing THEN 500 ELSE 200 END::SMALLINT AS status,
  CASE WHEN is_asset THEN 20000 + 1000 * number ELSE exp(8 + spread) * 10 END::BIGINT AS bytes,
  'http1.1' AS protocol
FROM (
  SELECT
    ({begin} + range + random()) / {rows} AS share,
    random() AS fate,
    random() AS item,
    sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()) * 0.8 AS spread,
    ({routes} * pow(random(), 3))::INTEGER % {routes} AS number,
    floor({apps} * pow(random(), 2))::INTEGER AS size
  FROM range({count})
)
ORDER BY app, timestamp
"""


def _add_router(connection: duckdb.DuckDBPyConnection, lake: Path, wanted: BigLake, day: date) -> None:
    rows = wanted.rows_a_day
    fixed = {"day": day, "rows": rows, "routes": ROUTES, "dynos": wanted.dynos, "apps": wanted.apps}
    for sequence, begin in enumerate(range(0, rows, FILE_ROWS), 1):
        connection.execute(_REQUESTS.format(**fixed, begin=begin, count=min(FILE_ROWS, rows - begin)))
        _write(connection, lake, "router", day, sequence, "part")
        if wanted.has_access:
            columns = "timestamp, app, dyno, timestamp AS logged_at, client_ip, method, path, route, status, bytes"
            columns += ", request_id, service_ms AS request_ms, 'text/html' AS content_type"
            _write(connection, lake, "access", day, sequence, f"(SELECT {columns} FROM part)")


_MEASURED = """(
  SELECT
    TIMESTAMPTZ '{day} 00:00:00+00' + to_seconds({every} * tick + dyno) AS timestamp,
    CASE size WHEN 0 THEN 'shop' WHEN 1 THEN 'blog' ELSE 'app-' || size END AS app,
    'web.' || dyno AS dyno,
    random() AS chance
  FROM range({ticks}) AS ticks(tick), range(1, {dynos} + 1) AS dynos(dyno), range({apps}) AS sizes(size)
)"""


def _measured(wanted: BigLake, day: date) -> str:
    """The instants at which Heroku measures a dyno, each with a chance of something."""
    every = 20 * max(1, wanted.apps * wanted.dynos // SAMPLED_DYNOS)
    ticks = SECONDS // every - 1
    return _MEASURED.format(day=day, every=every, ticks=ticks, dynos=wanted.dynos, apps=wanted.apps)


def _add_samples(connection: duckdb.DuckDBPyConnection, lake: Path, wanted: BigLake, day: date) -> None:
    rows = f"""(
      SELECT
        timestamp,
        app,
        dyno AS source,
        'dyno' AS kind,
        metric,
        CASE metric WHEN 'memory_quota' THEN 536870912 ELSE 3e8 + 1e8 * chance END AS value,
        'bytes' AS unit
      FROM {_measured(wanted, day)}, (VALUES ('memory_total'), ('memory_quota')) AS metrics(metric)
      ORDER BY app, timestamp
    )"""
    _write(connection, lake, "samples", day, 1, rows)


def _add_platform(connection: duckdb.DuckDBPyConnection, lake: Path, wanted: BigLake, day: date) -> None:
    """A dyno over its quota now and then: what it uses, and an R14 beside it."""
    rows = f"""(
      SELECT
        timestamp,
        app,
        dyno,
        event,
        CASE event WHEN 'error' THEN 'R14' END AS code,
        CASE event WHEN 'memory' THEN 512 + 5000 * chance END AS memory_mb,
        CASE event WHEN 'memory' THEN 100 + 5000 * chance / 5.12 END AS memory_percent
      FROM {_measured(wanted, day)}, (VALUES ('memory'), ('error')) AS events(event)
      WHERE chance < 0.02
      ORDER BY app, timestamp
    )"""
    _write(connection, lake, "platform", day, 1, rows)


def _write(connection: duckdb.DuckDBPyConnection, lake: Path, table: str, day: date, sequence: int, rows: str) -> None:
    """Write rows as landing does: all columns of the table, and no other."""
    found = pl.DataFrame(connection.sql(f"FROM {rows}").to_arrow_table())
    schema = parquet.SCHEMAS[table]
    there = [pl.col(name) if name in found.columns else pl.lit(None).alias(name) for name in schema]
    folder = lake / table / f"date={day}"
    folder.mkdir(parents=True, exist_ok=True)
    encoded = parquet.encode(found.select(there).cast(dict(schema)), {})
    (folder / f"e0-{sequence:06d}.parquet").write_bytes(encoded)
