"""One question to the lake's Parquet from several engines, each with nothing of drainlake: docs/scale.md tells of them.

    python tests/benchmarks/engines.py LAKE SINCE [ENGINE…]

SINCE is ISO 8601 in UTC ("2026-10-03T12:00:00"). Without names it asks every engine that can be imported here; each may
lie in an environment of its own, so this file imports nothing else of the project. Exit code 1 when two answers differ.
"""

from __future__ import annotations

import importlib.util
import sys
from datetime import UTC, datetime
from pathlib import Path

SELECT = """
SELECT app, count(*) AS requests, sum(bytes) AS bytes, count(code) AS failed, max(service_ms) AS slowest_ms,
  count(DISTINCT route) AS routes
FROM {table}
WHERE {since}
GROUP BY app ORDER BY app"""
Rows = list[tuple[object, ...]]


def duckdb(lake: Path, since: datetime) -> Rows:
    """DuckDB."""
    import duckdb as engine

    engine.sql("SET TimeZone = 'UTC'")
    files = f"read_parquet('{lake}/router/**/*.parquet', hive_partitioning = true)"
    wanted = f"date >= '{since:%Y-%m-%d}' AND timestamp >= '{since:%Y-%m-%d %H:%M:%S}+00'"
    return engine.sql(SELECT.format(table=files, since=wanted)).fetchall()


def polars(lake: Path, since: datetime) -> Rows:
    """The lazy frames of polars."""
    import polars as pl

    rows = pl.scan_parquet(f"{lake}/router/**/*.parquet", hive_partitioning=True)
    asked = (
        rows.filter(pl.col("date") >= since.date(), pl.col("timestamp") >= since)
        .group_by("app")
        .agg(
            pl.len().alias("requests"),
            pl.col("bytes").sum(),
            pl.col("code").count().alias("failed"),
            pl.col("service_ms").max().alias("slowest_ms"),
            pl.col("route").drop_nulls().n_unique().alias("routes"),
        )
        .sort("app")
    )
    return asked.collect().rows()


def pyarrow(lake: Path, since: datetime) -> Rows:
    """The datasets of Arrow."""
    import pyarrow.compute as pc
    import pyarrow.dataset as ds

    rows = ds.dataset(str(lake / "router"), format="parquet", partitioning="hive")
    wanted = (pc.field("date") >= f"{since:%Y-%m-%d}") & (pc.field("timestamp") >= since)
    found = rows.to_table(["app", "bytes", "code", "service_ms", "route"], filter=wanted)
    sums = [([], "count_all"), ("bytes", "sum"), ("code", "count"), ("service_ms", "max"), ("route", "count_distinct")]
    grouped = found.group_by("app").aggregate(sums).sort_by("app")
    names = ["app", "count_all", "bytes_sum", "code_count", "service_ms_max", "route_count_distinct"]
    return list(zip(*(grouped.column(name).to_pylist() for name in names), strict=True))


def datafusion(lake: Path, since: datetime) -> Rows:
    """DataFusion."""
    import datafusion as engine

    context = engine.SessionContext()
    context.sql(
        f"CREATE EXTERNAL TABLE router STORED AS PARQUET PARTITIONED BY (date) LOCATION '{lake}/router/'"
    ).collect()
    wanted = f"date >= '{since:%Y-%m-%d}' AND timestamp >= '{since:%Y-%m-%dT%H:%M:%S}Z'"
    return [tuple(row.values()) for row in context.sql(SELECT.format(table="router", since=wanted)).to_pylist()]


def chdb(lake: Path, since: datetime) -> Rows:
    """ClickHouse in this process; the day is read from the path."""
    import json

    import chdb as engine

    wanted = f"extract(_path, 'date=([^/]*)') >= '{since:%Y-%m-%d}'"
    wanted += f" AND timestamp >= toDateTime64('{since:%Y-%m-%d %H:%M:%S}', 6, 'UTC')"
    sql = SELECT.format(table=f"file('{lake}/router/**/*.parquet', Parquet)", since=wanted)
    answer = engine.query(f"{sql} SETTINGS output_format_json_quote_64bit_integers = 0", "JSONCompact")
    return [tuple(row) for row in json.loads(str(answer))["data"]]


def pyspark(lake: Path, since: datetime) -> Rows:
    """Spark in one process; it finds the days by itself."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    session = builder.config("spark.sql.session.timeZone", "UTC").getOrCreate()
    session.read.parquet(f"{lake}/router").createOrReplaceTempView("router")
    wanted = f"date >= '{since:%Y-%m-%d}' AND timestamp >= '{since:%Y-%m-%d %H:%M:%S}'"
    return [tuple(row) for row in session.sql(SELECT.format(table="router", since=wanted)).collect()]


ENGINES = {each.__name__: each for each in (duckdb, polars, pyarrow, datafusion, chdb, pyspark)}


def main() -> int:
    """Ask all, print the answers, compare."""
    lake, since, *names = sys.argv[1:]
    at = datetime.fromisoformat(since).replace(tzinfo=UTC)
    asked = names or [name for name in ENGINES if importlib.util.find_spec(name)]
    answers = {}
    for name in asked:
        answers[name] = ENGINES[name](Path(lake).absolute(), at)
        print(f"{name:11}{answers[name]}", flush=True)
    return 0 if len({str(answer) for answer in answers.values()}) == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
