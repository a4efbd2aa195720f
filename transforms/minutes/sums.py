"""Adds up minutes for what reads weeks of them: keys by steps, histograms of apps by hours. Pure."""

from __future__ import annotations

from typing import Final

import polars as pl

from ingest.schema import APP_HOUR, STEP_MINUTES, STEPS
from transforms.minutes.counting import SCHEMA

_NONE: Final = pl.DataFrame(schema=SCHEMA)
_HISTOGRAM: Final = ("latency_buckets", "latency_counts")
_MAXIMA: Final = ("step_p95_ms", "memory_mb", "memory_percent")


def is_sum() -> pl.Expr:
    """Rows of sums."""
    return pl.col("per").is_in([APP_HOUR, *STEPS.values()])


def of(rows: pl.DataFrame) -> pl.DataFrame:
    """The sums of rows of a day as the lake holds them, which are all of each of their keys; in the same order."""
    hours, steps = _hours(rows.filter(per="app")), _steps(rows.filter(pl.col("per").is_in([*STEPS])))
    return pl.concat([_NONE, hours, steps], how="diagonal").select(SCHEMA.names())


def _steps(minutes: pl.DataFrame) -> pl.DataFrame:
    """The steps of keys in which requests ended or memory was measured."""
    is_there = (pl.col("requests") > 0) | pl.col("memory_mb").is_not_null()
    step = pl.col("timestamp").dt.truncate(f"{STEP_MINUTES}m")
    of_step = minutes.filter(is_there).group_by("per", "app", "key", timestamp=step, maintain_order=True)
    steps = of_step.agg(pl.col("requests", "failed").sum(), pl.col(_MAXIMA).max())
    return steps.with_columns(pl.col("per").replace(STEPS))


def _hours(apps: pl.DataFrame) -> pl.DataFrame:
    """The histograms of apps' hours."""
    hour = pl.col("timestamp").dt.truncate("1h")
    held = apps.select("app", *_HISTOGRAM, timestamp=hour).explode(_HISTOGRAM).drop_nulls("latency_buckets")
    buckets = held.group_by("app", "timestamp", "latency_buckets").agg(pl.col("latency_counts").sum())
    of_hour = buckets.sort("app", "timestamp", "latency_buckets").group_by("app", "timestamp", maintain_order=True)
    return of_hour.agg(_HISTOGRAM).with_columns(per=pl.lit(APP_HOUR))
