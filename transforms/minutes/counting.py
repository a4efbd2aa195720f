"""From rows of the lake to rows of ``minutes``: all that is counted, but for whether the log was there. Pure.

Lines are counted as rows, since a delivery tells only the time of its last line. Two tables have not one row per line:
the values of a line of samples share its instant and source, and a PHP event holds its further lines in ``trace``.
Imports are left out where they can be told: load balancers, access logs without a dyno. So is what is no frame: its
time is that of its coming.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
import pyarrow as pa

from ingest.schema import MINUTES
from transforms.minutes import requests, served
from transforms.minutes.flights import HOUR_US, MINUTE_US, hourly_peaks, in_flight_at
from transforms.minutes.latency import buckets_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from transforms.minutes.flights import Peaks, Tops
    from transforms.minutes.requests import Counts

    Whole = NDArray[np.int64]

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
_NAMES: Final = ("app", "route", "dyno", "code")
_CODE: Final = pl.coalesce(pl.col("code").cast(pl.String), pl.col("status").cast(pl.String)).cast(pl.Categorical)
_FIELDS: Final = {
    "minute": _MINUTE,
    "is_failed": _FAILED,
    "is_timed": _TIMED,
    "is_timed_out": (pl.col("code") == "H12").fill_null(value=False),
    "bytes": pl.col("bytes").clip(0, _ABSURD).fill_null(0),
    "service_ms": pl.col("service_ms").fill_null(0),
    "start_us": served.START_US.fill_null(0),
    "end_us": served.END_US.fill_null(0),
}
_COUNTED: Final = ("is_ended", "is_in_flight", "minute", "is_failed", "bytes", "is_timed", "bucket")
_FLIGHT: Final = ("start_us", "end_us", "is_timed_out")
_OF_FLIGHTS: Final = ("peak_in_flight", "peak_at", "peak_logged_at", "is_peak_timed_out")
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
    is_ended = served.HOUR.eq(hour)
    fields = rows.select(*_NAMES, "status", **_FIELDS, is_ended=is_ended, is_in_flight=served.IS_SERVED)
    fields = fields.with_columns(bucket=pl.Series(buckets_of(fields["service_ms"].to_numpy())))
    has_code = pl.col("is_ended") & (pl.col("code").is_not_null() | (pl.col("status") >= 500))
    parts = {
        "app": fields.with_columns(key=pl.lit(None, pl.Categorical)),
        "route": fields.with_columns(key="route"),
        "dyno": fields.filter(pl.col("dyno").is_not_null()).with_columns(key="dyno"),
        "code": fields.filter(has_code).with_columns(key=_CODE, is_in_flight=False),
    }
    found = [_of_keys(part, hour).with_columns(per=pl.lit(per)) for per, part in parts.items()]
    found[-1] = found[-1].drop("step_p95_ms", *_OF_FLIGHTS)
    return pl.concat(found, how="diagonal")


def narrowed(rows: pl.DataFrame, is_wanted: pl.Expr) -> pl.DataFrame:
    """Some of Heroku's rows of the router, numbers for names: a quarter of the memory, and grouped in half the time."""
    rows = rows.with_columns(pl.col(*_NAMES, "source").cast(pl.Categorical))
    return rows.filter(served.IS_HEROKU & is_wanted)


def _of_keys(fields: pl.DataFrame, hour: int) -> pl.DataFrame:
    """The minutes of each app and key."""
    group, names = _grouped(fields)
    is_ended, is_in_flight, minute, *told = (fields[name].to_numpy() for name in _COUNTED)
    cell = group * requests.MINUTES + minute - hour * requests.MINUTES
    counts = requests.counted(cell[is_ended], *(values[is_ended] for values in told))
    start, end, is_timed_out = (fields[name].to_numpy()[is_in_flight] for name in _FLIGHT)
    of = group[is_in_flight]
    peaks, tops = hourly_peaks(of, start, end, hour * HOUR_US)
    is_late = in_flight_at(tops, of[is_timed_out], start[is_timed_out], end[is_timed_out])
    cells, columns = _columns(counts, peaks)
    of_group = names[cells // requests.MINUTES]
    columns |= _of_tops(cells, tops, is_late, hour)
    return of_group.with_columns(minute=cells % requests.MINUTES + hour * requests.MINUTES, **columns)


def _of_tops(cells: Whole, tops: Tops, is_late: NDArray[np.bool_], hour: int) -> dict[str, pl.Series]:
    """The columns that have a value only where a group's hour has its peak."""
    place = np.searchsorted(cells, tops.group * requests.MINUTES + (tops.start_us - hour * HOUR_US) // MINUTE_US)
    is_elsewhere = np.ones(cells.size, np.bool_)
    is_elsewhere[place] = False

    def sparse(values: NDArray[Any]) -> pa.Array:
        column = np.zeros(cells.size, values.dtype)
        column[place] = values
        return pa.array(column, mask=is_elsewhere)

    told = {"peak_at": tops.start_us, "peak_logged_at": tops.end_us, "is_peak_timed_out": is_late}
    return {name: pl.Series(sparse(values)).cast(SCHEMA[name]) for name, values in told.items()}


def _grouped(fields: pl.DataFrame) -> tuple[Whole, pl.DataFrame]:
    """Each row's app and key as a number from 0 on, and of each number their names."""
    app, key = (fields[name].to_physical().cast(pl.Int64).fill_null(-1).to_numpy() + 1 for name in ("app", "key"))
    pair = app * (int(key.max(initial=0)) + 1) + key
    pairs = np.unique(pair)
    group = np.searchsorted(pairs, pair)
    any_row = np.zeros(pairs.size, np.int64)
    any_row[group] = np.arange(group.size)
    return group, fields.select(pl.col("app", "key"))[any_row].cast(pl.String)


def _columns(counts: Counts, peaks: Peaks) -> tuple[Whole, dict[str, pl.Series]]:
    """The cells in which requests ended or were in flight, and their columns."""
    at_peak = peaks.group * requests.MINUTES + peaks.minute
    cells = np.union1d(counts.cells, at_peak)
    place = np.searchsorted(cells, counts.cells)

    def spread(values: NDArray[Any], nothing: float = 0) -> NDArray[Any]:
        column = np.full(cells.size, nothing, values.dtype)
        column[place] = values
        return column

    peak = np.zeros(cells.size, np.int32)
    peak[np.searchsorted(cells, at_peak)] = peaks.peak
    offsets = pa.array(np.r_[0, np.cumsum(spread(np.diff(counts.offsets)))], pa.int32())
    columns = {
        "requests": pl.Series(spread(counts.requests)),
        "failed": pl.Series(spread(counts.failed)),
        "bytes": pl.Series(spread(counts.bytes)),
        "latency_buckets": pl.Series(pa.ListArray.from_arrays(offsets, pa.array(counts.buckets))),
        "latency_counts": pl.Series(pa.ListArray.from_arrays(offsets, pa.array(counts.counts))),
        "step_p95_ms": pl.Series(spread(counts.step_p95_ms, np.nan)).fill_nan(None),
        "peak_in_flight": pl.Series(peak),
    }
    return cells, columns


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
    is_app, is_flown = pl.col("per") == "app", pl.col("per") != "code"
    return rows.with_columns(
        pl.col("requests", "failed", "bytes").fill_null(0),
        pl.col("latency_buckets", "latency_counts").fill_null([]),
        peak_in_flight=pl.when(is_flown).then(pl.col("peak_in_flight").fill_null(0)),
        is_peak_timed_out=pl.when(is_flown).then(pl.col("is_peak_timed_out").fill_null(value=False)),
        lines=pl.when(is_app).then("lines"),
        lines_lost=pl.when(is_app).then(pl.col("lines_lost").fill_null(0)),
    ).select(empty().columns)


def quiet(minutes: pl.DataFrame) -> pl.DataFrame:
    """Rows of apps for minutes (columns ``app``, ``minute``) in which nothing was."""
    rows = minutes.select("app", "minute", per=pl.lit("app"), lines=pl.lit(0, pl.Int64))
    return _completed(pl.concat([empty(), rows], how="diagonal"))
