"""From requests, and what the other tables tell, to rows of ``minutes``: all but whether the log was there. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
import pyarrow as pa

from ingest.schema import MINUTES
from transforms.minutes import requests, served
from transforms.minutes.flights import HOUR_US, MINUTE_US, hourly_peaks, in_flight_at
from transforms.minutes.latency import buckets_of
from transforms.minutes.numbers import compact, union
from transforms.minutes.ranks import ranked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from transforms.minutes.flights import Peaks, Tops
    from transforms.minutes.requests import Counts

    Whole = NDArray[np.int64]
    Flags = NDArray[np.bool_]

SCHEMA: Final = pl.Schema(MINUTES.arrow)
GROUP: Final = ("per", "key", "app", "minute")
SUMS: Final = ("lines", "lines_lost")
MAXIMA: Final = ("memory_mb", "memory_percent", "connections")
ROUTER_COLUMNS: Final = (*served.COLUMNS, "app", "route", "code", "bytes")
ABSURD: Final = 10**12  # a count beyond it must not make a sum overflow
MINUTE: Final = (pl.col("timestamp").dt.epoch("us") // MINUTE_US).alias("minute")
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
    "minute": MINUTE,
    "is_failed": _FAILED,
    "is_timed": _TIMED,
    "is_in_flight": served.IS_SERVED,
    "is_timed_out": (pl.col("code") == "H12").fill_null(value=False),
    "bytes": pl.col("bytes").clip(0, ABSURD).fill_null(0),
    "service_ms": pl.col("service_ms").fill_null(0),
    "start_us": served.START_US.fill_null(0),
    "end_us": served.END_US.fill_null(0),
}
_COUNTED: Final = ("is_ended", "minute", "is_failed", "bytes", "is_timed", "bucket")
_FLIGHT: Final = ("start_us", "end_us", "is_timed_out")
_COUNTS: Final = [name for name in SCHEMA if name not in {*GROUP, "timestamp", "is_covered"}]
EMPTY: Final = pl.DataFrame(schema={name: SCHEMA.get(name, pl.Int64()) for name in (*GROUP, *_COUNTS)})
"""No rows, with the columns that the rows of :func:`of_hours` have."""


def of_hours(rows: pl.DataFrame, sides: pl.DataFrame, hours: range) -> Iterator[pl.DataFrame]:
    """The minutes of hours that follow each other: first those per app, then those per code, dyno and route.

    Each is sorted by ``app``, ``key``, ``minute``. ``rows`` are the router's that ended in these hours or were in
    flight in them, as :func:`narrowed` gives them. ``sides`` are the rows of these hours as ``sides.of_side`` gives
    them; those of several files are put together.
    """
    fields = rows.select(*_NAMES, "status", **_FIELDS)
    fields = fields.with_columns(
        bucket=pl.Series(buckets_of(fields["service_ms"].to_numpy())),
        is_ended=in_hours(hours),
    )
    told = sides.group_by(GROUP).agg(pl.col(SUMS).sum(), pl.col(MAXIMA).max())
    has_code = pl.col("is_ended") & (pl.col("code").is_not_null() | (pl.col("status") >= 500))
    parts: dict[str, Callable[[], pl.DataFrame]] = {
        "app": lambda: fields.with_columns(key=pl.lit(None, pl.Categorical)),
        "code": lambda: fields.filter(has_code).with_columns(key=_CODE, is_in_flight=False),
        "dyno": lambda: fields.filter(pl.col("dyno").is_not_null()).with_columns(key="dyno"),
        "route": lambda: fields.with_columns(key="route"),
    }
    for per, part in parts.items():
        made = _of_keys(part(), told.filter(per=per), hours).with_columns(per=pl.lit(per))
        yield _completed(pl.concat([EMPTY, made], how="diagonal"))


def in_hours(hours: range) -> pl.Expr:
    """Whether a row's ``minute`` is in these hours."""
    return (pl.col("minute") // requests.MINUTES).is_between(hours.start, hours.stop - 1)


def narrowed(rows: pl.DataFrame, is_wanted: pl.Expr) -> pl.DataFrame:
    """Some of Heroku's rows of the router, numbers for names: a quarter of the memory, and grouped in half the time."""
    rows = rows.with_columns(pl.col(*_NAMES, "source").cast(pl.Categorical))
    return rows.filter(served.IS_HEROKU & is_wanted)


def _of_keys(fields: pl.DataFrame, told: pl.DataFrame, hours: range) -> pl.DataFrame:
    """The minutes of each app and key.

    Cells are numbered through: each app and key has as many as there are minutes, and each hour of these is a group.
    """
    number, of_told, names = _numbered(fields, told)
    first, minutes = hours.start * requests.MINUTES, len(hours) * requests.MINUTES
    counts = _counts(fields, number * minutes - first)
    peaks, tops, is_late = _flights(fields, number, hours)
    at_peak = peaks.group * requests.MINUTES + peaks.minute
    at_top = tops.group * requests.MINUTES + tops.start_us // MINUTE_US
    at_told = of_told * minutes + told["minute"].to_numpy() - first
    cells = union(counts.cells, at_peak, at_told)
    begins_us = (hours.start + tops.group % len(hours)) * HOUR_US
    highest = pl.DataFrame(
        {"peak_at": begins_us + tops.start_us, "peak_logged_at": begins_us + tops.end_us, "is_peak_timed_out": is_late}
    )
    columns = _of_counts(np.searchsorted(cells, counts.cells), counts, cells.size)
    peak = _spread(np.searchsorted(cells, at_peak), peaks.peak.astype(np.int32), cells.size)
    columns |= {"peak_in_flight": pl.Series(peak)}
    columns |= _sparse(np.searchsorted(cells, at_top), highest, cells.size)
    columns |= _sparse(np.searchsorted(cells, at_told), told.select(SUMS + MAXIMA), cells.size)
    return names[cells // minutes].with_columns(minute=cells % minutes + first, **columns)


def _numbered(fields: pl.DataFrame, told: pl.DataFrame) -> tuple[Whole, Whole, pl.DataFrame]:
    """Each row's app and key as a number, in their order as text, for both tables; and of each number the two names."""
    both = [pl.concat([each[name].cast(pl.Categorical) for each in (fields, told)]) for name in ("app", "key")]
    app, key = map(ranked, both)
    pair = app.of_row * key.names.len() + key.of_row
    pairs, number = compact(pair)
    of_pair = pl.DataFrame(
        {"app": app.names.gather(pairs // key.names.len()), "key": key.names.gather(pairs % key.names.len())}
    )
    return number[: fields.height], number[fields.height :], of_pair


def _counts(fields: pl.DataFrame, cell_of_row: Whole) -> Counts:
    """The counts of the requests that ended in these hours; ``cell_of_row`` is the cell of each row's minute 0."""
    is_ended, minute, *told = (fields[name].to_numpy() for name in _COUNTED)
    return requests.counted((cell_of_row + minute)[is_ended], *(values[is_ended] for values in told))


def _flights(fields: pl.DataFrame, number: Whole, hours: range) -> tuple[Peaks, Tops, Flags]:
    """Peaks and tops of each hour of each app and key, and whether at a top a request was in flight that timed out."""
    is_in_flight = fields["is_in_flight"].to_numpy()
    start, end, is_timed_out = (fields[name].to_numpy()[is_in_flight] for name in _FLIGHT)
    first = np.maximum(start // HOUR_US, hours.start)
    held = np.maximum(np.minimum((end - 1) // HOUR_US, hours.stop - 1) - first + 1, 0)
    # A request that is in flight in several hours is there once for each.
    row = np.repeat(np.arange(held.size), held)
    hour = first[row] + np.arange(row.size) - np.repeat(np.cumsum(held) - held, held)
    group = number[is_in_flight][row] * len(hours) + hour - hours.start
    start, end, is_timed_out = start[row] - hour * HOUR_US, end[row] - hour * HOUR_US, is_timed_out[row]
    peaks, tops = hourly_peaks(group, start, end)
    return peaks, tops, in_flight_at(tops, group[is_timed_out], start[is_timed_out], end[is_timed_out])


def _of_counts(place: Whole, counts: Counts, size: int) -> dict[str, pl.Series]:
    """The columns of what was counted."""
    lengths = _spread(place, np.diff(counts.offsets), size)
    offsets = pa.array(np.r_[0, np.cumsum(lengths)], pa.int32())
    return {
        "requests": pl.Series(_spread(place, counts.requests, size)),
        "failed": pl.Series(_spread(place, counts.failed, size)),
        "bytes": pl.Series(_spread(place, counts.bytes, size)),
        "latency_buckets": pl.Series(pa.ListArray.from_arrays(offsets, pa.array(counts.buckets))),
        "latency_counts": pl.Series(pa.ListArray.from_arrays(offsets, pa.array(counts.counts))),
        "step_p95_ms": pl.Series(_spread(place, counts.step_p95_ms, size, np.nan)).fill_nan(None),
    }


def _spread(place: Whole, values: NDArray[Any], size: int, nothing: float = 0) -> NDArray[Any]:
    """A column of so many rows with these values at their places."""
    column = np.full(size, nothing, values.dtype)
    column[place] = values
    return column


def _sparse(place: Whole, values: pl.DataFrame, size: int) -> dict[str, pl.Series]:
    """Columns of so many rows with these values at their places, and null elsewhere."""
    row = _spread(place, np.arange(place.size), size, -1)
    rows = pl.Series(pa.array(row, mask=row < 0))
    return {name: values[name].gather(rows).cast(SCHEMA[name]) for name in values.columns}


def _completed(rows: pl.DataFrame) -> pl.DataFrame:
    """Counts of what did not appear as 0, and NULL where the column has no meaning."""
    is_app, is_flown = pl.col("per") == "app", pl.col("per") != "code"
    return rows.with_columns(
        pl.col("requests", "failed", "bytes").fill_null(0),
        pl.col("latency_buckets", "latency_counts").fill_null([]),
        peak_in_flight=pl.when(is_flown).then(pl.col("peak_in_flight").fill_null(0)),
        step_p95_ms=pl.when(is_flown).then("step_p95_ms"),
        is_peak_timed_out=pl.when(is_flown).then(pl.col("is_peak_timed_out").fill_null(value=False)),
        # A request is a line of the router, which the other tables do not hold.
        lines=pl.when(is_app).then(pl.col("lines").fill_null(0) + pl.col("requests").fill_null(0)),
        lines_lost=pl.when(is_app).then(pl.col("lines_lost").fill_null(0)),
    ).select(EMPTY.columns)


def quiet(minutes: pl.DataFrame) -> pl.DataFrame:
    """Rows of apps for minutes (columns ``app``, ``minute``) in which nothing was."""
    rows = minutes.select("app", "minute", per=pl.lit("app"), lines=pl.lit(0, pl.Int64))
    return _completed(pl.concat([EMPTY, rows], how="diagonal"))
