"""From requests, and what the other tables tell, to rows of ``minutes``: all but whether the log was there. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from ingest.schema import MINUTES, STEP_MINUTES
from transforms.minutes import requests, served
from transforms.minutes.flights import MINUTE_US, in_flight_at, unit_peaks
from transforms.minutes.latency import buckets_of
from transforms.minutes.numbers import compact, union
from transforms.minutes.ranks import ranked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from transforms.minutes.flights import Levels, Peaks, Tops
    from transforms.minutes.requests import Counts

    Whole = NDArray[np.int64]
    Flags = NDArray[np.bool_]

SCHEMA: Final = pl.Schema(MINUTES.arrow)
GROUP: Final = ("per", "key", "app", "minute")
SUMS: Final = ("lines", "lines_lost")
MAXIMA: Final = ("memory_mb", "memory_percent", "connections")
ROUTER_COLUMNS: Final = (*served.COLUMNS, "app", "route", "code", "bytes")
# Counting takes some 250 bytes of memory for a row that is counted at once.
HOUR_ROWS_MAX: Final = 150_000
_PART_MINUTES: Final = (30, 20, 15, 10)  # of an hour with more, multiples of STEP_MINUTES
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
_HAS_CODE: Final = pl.col("is_ended") & (pl.col("code").is_not_null() | (pl.col("status") >= 500))
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
_BY: Final[Mapping[str, Callable[[pl.DataFrame], pl.DataFrame]]] = {
    "app": lambda fields: fields.with_columns(key=pl.lit(None, pl.Categorical)),
    "code": lambda fields: fields.filter(_HAS_CODE).with_columns(key=_CODE, is_in_flight=False),
    "dyno": lambda fields: fields.filter(pl.col("dyno").is_not_null()).with_columns(key="dyno"),
    "route": lambda fields: fields.with_columns(key="route"),
}
_COUNTED: Final = ("is_ended", "minute", "is_failed", "bytes", "is_timed", "bucket")
_FLIGHT: Final = ("start_us", "end_us", "is_timed_out")
_TOP: Final = ("peak_at", "peak_logged_at", "is_peak_timed_out")
_LEVELS: Final = ("in_flight_from", "in_flight_until", "level_us", "has_timeout")
_COUNTS: Final = [name for name in SCHEMA if name not in {*GROUP, "timestamp", "is_covered"}]
EMPTY: Final = pl.DataFrame(schema={name: SCHEMA.get(name, pl.Int64()) for name in (*GROUP, *_COUNTS)})
"""No rows, with the columns that the rows of :func:`of_hours` have."""


class Span(NamedTuple):
    """Minutes that follow each other: some units, each with peaks of its own. ``first`` counts minutes since 1970."""

    first: int
    unit_minutes: int
    units: int = 1

    @classmethod
    def of_hours(cls, hours: range) -> Span:
        """Hours that follow each other; the units are the hours."""
        return cls(hours.start * requests.MINUTES, requests.MINUTES, len(hours))

    @property
    def minutes(self) -> int:
        """How many minutes it has."""
        return self.unit_minutes * self.units

    def begins_us(self, group: Whole) -> Whole:
        """When the units of some groups begin, in microseconds since 1970; groups are numbered unit by unit."""
        return (self.first + group % self.units * self.unit_minutes) * MINUTE_US

    @property
    def holds(self) -> pl.Expr:
        """Whether a row's ``minute`` is in it."""
        return pl.col("minute").is_between(self.first, self.first + self.minutes - 1)

    @property
    def touches(self) -> pl.Expr:
        """Whether a row of the router ended in it or was in flight in it."""
        end = self.first + self.minutes
        is_in_flight = served.IS_SERVED & served.START_US.lt(end * MINUTE_US)
        return MINUTE.ge(self.first) & (MINUTE.lt(end) | is_in_flight)


class _Flights(NamedTuple):
    """What was in flight in units, and of each top and each unit whether a request was there that timed out."""

    peaks: Peaks
    tops: Tops
    is_late: Flags
    levels: Levels
    has_timeout: Flags


def of_hours(rows: pl.DataFrame, sides: pl.DataFrame, hours: range) -> Iterator[pl.DataFrame]:
    """The minutes of hours that follow each other: first those per app, then those per code, dyno and route.

    Each is sorted by ``app``, ``key``, ``minute``. ``rows`` are the router's that ended in these hours or were in
    flight in them, as :func:`narrowed` gives them. ``sides`` are the rows of these hours as ``sides.of_side`` gives
    them; those of several files are put together. A single hour with very many rows is counted in parts.
    """
    told = sides.group_by(GROUP).agg(pl.col(SUMS).sum(), pl.col(MAXIMA).max())
    spans = _spans(rows.height, hours)
    if len(spans) == 1:
        made = _of_span(rows, told, spans[0])
    else:
        made = map(_together, zip(*[[*_of_span(rows.filter(span.touches), told, span)] for span in spans], strict=True))
    for minutes in made:
        yield _completed(pl.concat([EMPTY, minutes], how="diagonal"))


def _of_span(rows: pl.DataFrame, told: pl.DataFrame, span: Span) -> Iterator[pl.DataFrame]:
    """The minutes of a span for each of :data:`_BY`."""
    fields = rows.select(*_NAMES, "status", **_FIELDS)
    bucket = pl.Series(buckets_of(fields["service_ms"].to_numpy()))
    fields = fields.with_columns(bucket=bucket, is_ended=span.holds)
    for per, part in _BY.items():
        yield _of_keys(part(fields), told.filter(span.holds, per=per), span).with_columns(per=pl.lit(per))


def _spans(rows: int, hours: range) -> list[Span]:
    """The hours as one span; an hour of too many rows as several, whole steps each."""
    if len(hours) > 1 or rows <= HOUR_ROWS_MAX:
        return [Span.of_hours(hours)]
    wanted = (minutes for minutes in _PART_MINUTES if rows * minutes <= HOUR_ROWS_MAX * requests.MINUTES)
    minutes = next(wanted, STEP_MINUTES)
    return [Span(hours.start * requests.MINUTES + at, minutes) for at in range(0, requests.MINUTES, minutes)]


def _together(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The minutes of an hour from those of its parts, each of which has a top of its own.

    The hour's is the highest, of several the one whose request ended first, of these the one that began first; and
    none where as many were in flight before any of them began.
    """
    peak, of_key = pl.col("peak_in_flight"), ("app", "key")
    ended = pl.when(peak == peak.max().over(of_key)).then("peak_logged_at")
    begun = pl.when(ended == ended.min().over(of_key)).then("peak_at")
    is_top = begun == begun.min().over(of_key)
    rows = pl.concat(parts)
    return rows.with_columns(pl.when(is_top).then(pl.col(_TOP)).name.keep()).sort(*of_key, "minute")


def narrowed(rows: pl.DataFrame, is_wanted: pl.Expr) -> pl.DataFrame:
    """Some of Heroku's rows of the router, numbers for names: a quarter of the memory, and grouped in half the time."""
    rows = rows.with_columns(pl.col(*_NAMES, "source").cast(pl.Categorical))
    return rows.filter(served.IS_HEROKU & is_wanted)


def _of_keys(fields: pl.DataFrame, told: pl.DataFrame, span: Span) -> pl.DataFrame:
    """The minutes of each app and key.

    Cells are numbered through: each app and key has as many as there are minutes, and each unit of these is a group.
    """
    number, of_told, names = _numbered(fields, told)
    counts = _counts(fields, number * span.minutes - span.first)
    flights = _flights(fields, number, span)
    peaks, tops, levels = flights.peaks, flights.tops, flights.levels
    at_peak = peaks.group * span.unit_minutes + peaks.minute
    at_top = tops.group * span.unit_minutes + tops.start_us // MINUTE_US
    at_levels = levels.group * span.unit_minutes + levels.first_us // MINUTE_US
    at_told = of_told * span.minutes + told["minute"].to_numpy() - span.first
    cells = union(counts.cells, at_peak, at_told)
    columns = _of_counts(np.searchsorted(cells, counts.cells), counts, cells.size)
    peak = _spread(np.searchsorted(cells, at_peak), peaks.peak.astype(np.int32), cells.size)
    columns |= {"peak_in_flight": pl.Series(peak)}
    some = (
        (at_top, _of_tops(flights, span)),
        (at_levels, _of_levels(flights, span)),
        (at_told, told.select(SUMS + MAXIMA)),
    )
    for at, values in some:
        columns |= _sparse(np.searchsorted(cells, at), values, cells.size)
    return names[cells // span.minutes].with_columns(minute=cells % span.minutes + span.first, **columns)


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


def _flights(fields: pl.DataFrame, number: Whole, span: Span) -> _Flights:
    """What was in flight in each unit of each app and key."""
    is_in_flight = fields["is_in_flight"].to_numpy()
    start, end, is_timed_out = (fields[name].to_numpy()[is_in_flight] for name in _FLIGHT)
    unit_us, begin = span.unit_minutes * MINUTE_US, span.first // span.unit_minutes
    first = np.maximum(start // unit_us, begin)
    held = np.maximum(np.minimum((end - 1) // unit_us, begin + span.units - 1) - first + 1, 0)
    # A request that is in flight in several units is there once for each.
    row = np.repeat(np.arange(held.size), held)
    unit = first[row] + np.arange(row.size) - np.repeat(np.cumsum(held) - held, held)
    group = number[is_in_flight][row] * span.units + unit - begin
    start, end, is_timed_out = start[row] - unit * unit_us, end[row] - unit * unit_us, is_timed_out[row]
    peaks, tops, levels = unit_peaks(group, start, end, span.unit_minutes)
    timed_out = group[is_timed_out]
    is_late = in_flight_at(tops, timed_out, start[is_timed_out], end[is_timed_out])
    return _Flights(peaks, tops, is_late, levels, np.isin(levels.group, timed_out))


def _of_tops(flights: _Flights, span: Span) -> pl.DataFrame:
    """The columns of the tops."""
    tops, begins_us = flights.tops, span.begins_us(flights.tops.group)
    told = begins_us + tops.start_us, begins_us + tops.end_us, flights.is_late
    return pl.DataFrame(dict(zip(_TOP, told, strict=True)))


def _of_levels(flights: _Flights, span: Span) -> pl.DataFrame:
    """The columns of the levels."""
    levels, begins_us = flights.levels, span.begins_us(flights.levels.group)
    level_us = pa.ListArray.from_arrays(pa.array(levels.offsets, pa.int32()), pa.array(levels.held_us))
    told = begins_us + levels.first_us, begins_us + levels.last_us, pl.Series(level_us), flights.has_timeout
    return pl.DataFrame(dict(zip(_LEVELS, told, strict=True)))


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
    flags = pl.col("is_peak_timed_out", "has_timeout").fill_null(value=False)
    return rows.with_columns(
        pl.col("requests", "failed", "bytes").fill_null(0),
        pl.col("latency_buckets", "latency_counts").fill_null([]),
        pl.when(is_flown).then(flags).name.keep(),
        peak_in_flight=pl.when(is_flown).then(pl.col("peak_in_flight").fill_null(0)),
        step_p95_ms=pl.when(is_flown).then("step_p95_ms"),
        # A request is a line of the router, which the other tables do not hold.
        lines=pl.when(is_app).then(pl.col("lines").fill_null(0) + pl.col("requests").fill_null(0)),
        lines_lost=pl.when(is_app).then(pl.col("lines_lost").fill_null(0)),
    ).select(EMPTY.columns)


def quiet(minutes: pl.DataFrame) -> pl.DataFrame:
    """Rows of apps for minutes (columns ``app``, ``minute``) in which nothing was."""
    rows = minutes.select("app", "minute", per=pl.lit("app"), lines=pl.lit(0, pl.Int64))
    return _completed(pl.concat([EMPTY, rows], how="diagonal"))
