"""From rows of the lake to rows of ``minutes``: all that is counted, but for whether the log was there. Pure.

Lines are counted as rows, since a delivery tells only the time of its last line. Two tables have not one row per line:
the values of a line of samples share its instant and source, and a PHP event holds its further lines in ``trace``.
Imports are left out where they can be told: load balancers, access logs without a dyno. So is what is no frame: its
time is that of its coming.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from ingest.schema import MINUTES, STEP_MINUTES, STEP_REQUESTS_MIN
from transforms.minutes import served
from transforms.minutes.flights import HOUR_US, MINUTE_US, hourly_peaks
from transforms.minutes.latency import buckets_of, values_of

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA: Final = pl.Schema(MINUTES.arrow)
GROUP: Final = ("per", "key", "app", "minute")
ROUTER_COLUMNS: Final = (*served.COLUMNS, "app", "route", "code", "bytes")
SIDE_COLUMNS: Final = {
    "access": ("timestamp", "app", "dyno"),
    "php": ("timestamp", "app", "trace"),
    "platform": ("timestamp", "app", "dyno", "event", "memory_mb", "memory_percent", "lines_dropped"),
    "samples": ("timestamp", "app", "source", "kind", "metric", "value"),
    "releases": ("timestamp", "app"),
    "lines": ("timestamp", "app", "defect"),
}
_MB: Final = 1 << 20
_ABSURD: Final = 10**12  # a count beyond it must not make a sum overflow
_MINUTE: Final = (pl.col("timestamp").dt.epoch("us") // MINUTE_US).alias("minute")
_CLIENT_MADE: Final = ("H27", "H28")
_FAILED: Final = ((pl.col("status") >= 500).fill_null(value=False) | pl.col("code").is_not_null()) & ~(
    pl.col("code").is_in(_CLIENT_MADE).fill_null(value=False)
)
# As in the question `latency`.
_TIMED: Final = (
    pl.col("service_ms").is_not_null()
    & (pl.col("dyno").is_not_null() | pl.col("code").is_null())
    & pl.col("status").ne_missing(101)
)
_OF_STEP: Final = ("key", "app", "step")
_STEP: Final = (pl.col("minute") // STEP_MINUTES).alias("step")
_MARKS: Final = (_FAILED.alias("is_failed"), _TIMED.alias("is_timed"))
_NAMES: Final = ("app", "route", "dyno", "code")
_STATUS: Final = pl.when(pl.col("status") >= 500).then(pl.col("status").cast(pl.String))
_KEYS: Final = {
    "app": pl.lit(None, pl.Categorical),
    "route": pl.col("route"),
    "dyno": pl.col("dyno"),
    "code": pl.coalesce(pl.col("code").cast(pl.String), _STATUS).cast(pl.Categorical),
}
_MAXIMA: Final = ("memory_mb", "memory_percent", "connections")
_SUMS: Final = ("lines", "lines_lost")


def empty() -> pl.DataFrame:
    """No rows, as :func:`joined` gives them."""
    types = {name: dtype for name, dtype in SCHEMA.items() if name not in {"timestamp", "is_covered"}}
    return pl.DataFrame(schema={**types, "minute": pl.Int64}).select(*GROUP, pl.exclude(GROUP))


def of_router(rows: pl.DataFrame, hour: int) -> pl.DataFrame:
    """The minutes of an hour from the router rows that ended in it, and those that were in flight in it.

    The rows are such as :func:`narrowed` gives.
    """
    ended = rows.filter(served.HOUR.eq(hour))
    bucket = buckets_of(ended["service_ms"].fill_null(0).cast(pl.Int64).to_numpy())
    ended = ended.select(*_NAMES, "status", "bytes", _MINUTE, *_MARKS, bucket=pl.Series(bucket))
    flights = rows.filter(served.IS_SERVED).select(*_NAMES, start_us=served.START_US, end_us=served.END_US)
    parts = []
    for per, key in _KEYS.items():
        keyed = ended.select("app", "minute", "is_failed", "is_timed", "bytes", "bucket", key=key)
        if per in {"dyno", "code"}:
            keyed = keyed.filter(pl.col("key").is_not_null())
        timed = keyed.filter("is_timed").group_by("key", "app", "minute", "bucket").agg(count=pl.len().cast(pl.Int32))
        counted = _counted(keyed).join(_histograms(timed), on=("key", "app", "minute"), how="left", nulls_equal=True)
        if per != "code":
            counted = counted.join(_p95(timed), on=_OF_STEP, how="left", nulls_equal=True)
            peaks = _peaks(flights.select("app", "start_us", "end_us", key=key), hour)
            counted = counted.join(peaks, on=("key", "app", "minute"), how="full", coalesce=True, nulls_equal=True)
            counted = counted.with_columns(pl.col("peak_in_flight").fill_null(0))
        parts.append(counted.drop("step").with_columns(pl.col("app", "key").cast(pl.String), per=pl.lit(per)))
    return pl.concat(parts, how="diagonal")


def narrowed(rows: pl.DataFrame, is_wanted: pl.Expr) -> pl.DataFrame:
    """Some of Heroku's rows of the router, numbers for names: a quarter of the memory, and grouped in half the time."""
    rows = rows.with_columns(pl.col(*_NAMES, "source").cast(pl.Categorical))
    return rows.filter(served.IS_HEROKU & is_wanted)


def _counted(keyed: pl.DataFrame) -> pl.DataFrame:
    counted = keyed.group_by("key", "app", "minute").agg(
        requests=pl.len().cast(pl.Int64),
        failed=pl.col("is_failed").sum().cast(pl.Int64),
        bytes=pl.col("bytes").clip(0, _ABSURD).sum(),
    )
    return counted.with_columns(_STEP)


def _histograms(timed: pl.DataFrame) -> pl.DataFrame:
    grouped = timed.sort("bucket").group_by("key", "app", "minute", maintain_order=True)
    return grouped.agg(latency_buckets="bucket", latency_counts="count")


def _p95(timed: pl.DataFrame) -> pl.DataFrame:
    """The 95th percentile (nearest rank) of each key, app and step, where it has enough requests."""
    counts = timed.group_by("key", "app", _STEP, "bucket").agg(pl.col("count").sum().cast(pl.Int64)).sort("bucket")
    rank = pl.col("count").cum_sum().over(_OF_STEP)
    total = pl.col("count").sum().over(_OF_STEP)
    # Times 95 by 100 in whole numbers: as a float 0.95 x 20 could be a little more than 19.
    reached = counts.filter((total >= STEP_REQUESTS_MIN) & (rank * 100 >= total * 95))
    found = reached.group_by(_OF_STEP).agg(pl.col("bucket").min())
    return found.select(*_OF_STEP, step_p95_ms=pl.Series(values_of(found["bucket"].to_numpy()), dtype=pl.Float64))


def _peaks(flights: pl.DataFrame, hour: int) -> pl.DataFrame:
    groups = flights.select("app", "key").unique().with_row_index("group")
    numbered = flights.join(groups, on=("app", "key"), how="left", nulls_equal=True, maintain_order="none")
    group, start, end = (numbered[name].cast(pl.Int64).to_numpy() for name in ("group", "start_us", "end_us"))
    group, minute, peak = hourly_peaks(group, start, end, hour * HOUR_US)
    found = {"group": group.astype(np.uint32), "minute": minute + hour * 60, "peak_in_flight": peak.astype(np.int32)}
    return pl.DataFrame(found).join(groups, on="group").drop("group")


def of_side(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    """What the rows of another table than the router's tell of minutes: lines, losses, memory, connections."""
    rows = rows.with_columns(_MINUTE)
    return pl.concat([empty().select(*GROUP, *_SUMS, *_MAXIMA), *_told(table, rows)], how="diagonal")


def _told(table: str, rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    if table == "samples":
        yield _of_app(rows.unique(("app", "timestamp", "source"), keep="any"), pl.len())
        yield from _memory(_sampled_memory(rows))
        in_use = rows.filter((pl.col("kind") == "postgres") & (pl.col("metric") == "active_connections"))
        yield _of_app(in_use, pl.lit(0), connections=pl.col("value").max())
    elif table == "platform":
        lost = pl.col("lines_dropped").clip(0, _ABSURD).sum()
        yield _of_app(rows, pl.len(), lines_lost=lost)
        yield from _memory(rows.filter((pl.col("event") == "memory") & pl.col("dyno").is_not_null()))
    elif table == "php":
        yield _of_app(rows, pl.len() + (pl.col("trace").str.count_matches("\n", literal=True) + 1).sum())
    elif table == "access":
        yield _of_app(rows.filter(pl.col("dyno").is_not_null()), pl.len())
    elif table == "lines":
        yield _of_app(rows.filter(pl.col("defect").is_null()), pl.len())
    else:
        yield _of_app(rows, pl.len())


def _of_app(rows: pl.DataFrame, lines: pl.Expr, **more: pl.Expr) -> pl.DataFrame:
    found = rows.group_by("app", "minute").agg(lines=lines.cast(pl.Int64), **more)
    return found.with_columns(per=pl.lit("app"), key=pl.lit(None, pl.String))


def _sampled_memory(rows: pl.DataFrame) -> pl.DataFrame:
    def value(metric: str) -> pl.Expr:
        return pl.col("value").filter(pl.col("metric") == metric).max()

    # The values of one line have one instant: so total and quota belong together.
    lines = rows.filter((pl.col("kind") == "dyno") & pl.col("metric").is_in(("memory_total", "memory_quota")))
    lines = lines.group_by("app", "minute", "timestamp", pl.col("source").alias("dyno")).agg(
        total=value("memory_total"), quota=value("memory_quota")
    )
    percent = pl.when(pl.col("quota") > 0).then(pl.col("total") / pl.col("quota") * 100)
    return lines.with_columns(memory_mb=pl.col("total") / _MB, memory_percent=percent)


def _memory(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Highest memory of each dyno, and of any dyno of the app."""
    most = [pl.col("memory_mb", "memory_percent").max()]
    yield rows.group_by("app", "minute", pl.col("dyno").alias("key")).agg(most).with_columns(per=pl.lit("dyno"))
    yield _of_app(rows, pl.lit(0), memory_mb=pl.col("memory_mb").max(), memory_percent=pl.col("memory_percent").max())


def joined(router: pl.DataFrame, sides: pl.DataFrame) -> pl.DataFrame:
    """The rows of minutes from both; each group once. ``sides`` may have several rows of a group, one per file."""
    told = sides.group_by(GROUP).agg(pl.col(_SUMS).sum(), pl.col(_MAXIMA).max())
    both = pl.concat([empty(), router], how="diagonal").drop(_SUMS, _MAXIMA)
    both = both.join(told, on=GROUP, how="full", coalesce=True, nulls_equal=True)
    # A request is a line of the router, which the other tables do not hold.
    return _completed(both.with_columns(lines=pl.col("lines").fill_null(0) + pl.col("requests").fill_null(0)))


def _completed(rows: pl.DataFrame) -> pl.DataFrame:
    """Counts of what did not appear as 0, and NULL where the column has no meaning."""
    is_app = pl.col("per") == "app"
    return rows.with_columns(
        pl.col("requests", "failed", "bytes").fill_null(0),
        pl.col("latency_buckets", "latency_counts").fill_null([]),
        peak_in_flight=pl.when(pl.col("per") != "code").then(pl.col("peak_in_flight").fill_null(0)),
        lines=pl.when(is_app).then("lines"),
        lines_lost=pl.when(is_app).then(pl.col("lines_lost").fill_null(0)),
    ).select(empty().columns)


def quiet(minutes: pl.DataFrame) -> pl.DataFrame:
    """Rows of apps for minutes (columns ``app``, ``minute``) in which nothing was."""
    rows = minutes.select("app", "minute", per=pl.lit("app"), lines=pl.lit(0, pl.Int64))
    return _completed(pl.concat([empty(), rows], how="diagonal"))
