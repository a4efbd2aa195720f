"""Completes the rows of a day: one for each minute of each app, and in each row whether the log was there. Pure."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import polars as pl

from transforms.minutes import counting
from transforms.minutes.coverage import ARRIVAL_MINUTES, DAY, covered
from transforms.minutes.numbers import run_begins, run_lengths
from transforms.minutes.ranks import ranked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from transforms.minutes.coverage import Flags, Whole
    from transforms.minutes.ranks import Ranked
    from transforms.minutes.runs import Key

# An app that is gone has rows for so long after its last line; else it would have some for ever.
SILENT_DAYS: Final = 7
CUT_ROWS: Final = 2_048
_NONE: Final = np.zeros(DAY, np.int64)


class Lines:
    """Lines of each app in each minute of a day, and those that Heroku lost; ``day`` is its first minute."""

    def __init__(self, day: int) -> None:
        self.day = day
        self._lines: dict[str, NDArray[np.int32]] = {}  # 6 KB for each app
        self._lost: dict[str, Whole] = {}

    def add(self, rows: pl.DataFrame) -> None:
        """Take what some rows of the day say; those that are not of an app say nothing."""
        has_some = (pl.col("lines") > 0) | (pl.col("lines_lost") > 0)
        told = rows.filter((pl.col("per") == "app") & pl.col("app").is_not_null() & has_some)
        minute, lines, lost = (told[name].to_numpy() for name in ("minute", "lines", "lines_lost"))
        app = ranked(told["app"])
        begins = run_begins(app.of_row)
        for begin, end in zip(begins, begins + run_lengths(begins, minute.size), strict=True):
            name, part = app.names[int(app.of_row[begin])], slice(begin, end)
            self._lines.setdefault(name, np.zeros(DAY, np.int32))[minute[part] - self.day] = lines[part]
            if lost[part].any():
                self._lost.setdefault(name, np.zeros(DAY, np.int64))[minute[part] - self.day] = lost[part]

    @property
    def apps(self) -> Iterable[str]:
        """The apps that have any."""
        return self._lines.keys()

    def of(self, app: str) -> tuple[NDArray[np.integer], Whole]:
        """Lines and losses in each minute."""
        return self._lines.get(app, _NONE), self._lost.get(app, _NONE)


class Span(NamedTuple):
    """The minutes that an app has rows for, from ``first`` on, and whether the log was there in each."""

    first: int
    flags: Flags


class Filled(NamedTuple):
    """A day's spans by app, and each app's last minute with a line up to its end."""

    spans: Mapping[str, Span]
    last_lines: Mapping[str, int]

    @property
    def digest(self) -> str:
        """Equal for equal spans."""
        parts = [f"{app}\0{span.first}\0{span.flags.tobytes().hex()}" for app, span in sorted(self.spans.items())]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    @property
    def cuts(self) -> Iterator[Key]:
        """Where to cut so that no piece is filled with too many rows; the spans are in order."""
        rows = 0
        for app, span in self.spans.items():
            rows += span.flags.size
            if rows > CUT_ROWS:
                yield _own_rows(app)
                rows = 0

    def between(self, begin: Key, end: Key | None) -> list[str]:
        """The apps whose own rows are from one key on and before the other."""
        apps = [*self.spans]
        first = bisect_left(apps, begin, key=_own_rows)
        return apps[first : None if end is None else bisect_left(apps, end, key=_own_rows)]


def _own_rows(app: str) -> Key:
    return "app", app, ""


def fill(lines: Lines, beside: Sequence[Lines], last_lines: Mapping[str, int], now: int) -> Filled:
    """Where each app has rows on a day, and whether the log was there.

    ``now`` is in minutes since 1970; lines of the last ARRIVAL_MINUTES before it can still come, and the minutes later
    than that are not filled in. ``lines`` are those of the day, ``beside`` those of the one before and of the one after
    it, as far as there are any; ``last_lines`` the last minutes with a line before the day.
    """
    around = {each.day: each for each in (lines, *beside)}
    days = [around.get(lines.day + day * DAY, Lines(0)) for day in (-1, 0, 1)]
    spans, latest = {}, {}
    for app in sorted({*last_lines, *(app for each in days for app in each.apps)}):
        counts, lost = (
            np.concatenate(each, dtype=np.int64) for each in zip(*(each.of(app) for each in days), strict=True)
        )
        timeline = _Timeline(lines.day, counts, lost, last_lines.get(app), now)
        if timeline.last_line is not None:
            latest[app] = timeline.last_line
            if timeline.first < timeline.end:
                spans[app] = timeline.span()
    return Filled(spans, {app: minute for app, minute in latest.items() if minute >= lines.day - SILENT_DAYS * DAY})


class _Timeline:
    """One app on a day, the one before and the one after it."""

    def __init__(self, day: int, lines: Whole, lost: Whole, last_before: int | None, now: int) -> None:
        self.begin, until = day - DAY, day + 2 * DAY
        self.lines, self.lost = lines, lost
        with_lines = np.flatnonzero(self.lines) + self.begin
        up_to_day = with_lines[with_lines < day + DAY]
        self.last_line = int(up_to_day[-1]) if up_to_day.size else last_before
        is_old = last_before is not None or (up_to_day.size and up_to_day[0] < day)
        self.first = day if is_old else int(up_to_day[0]) if up_to_day.size else day
        self.known_until = min(until, now - ARRIVAL_MINUTES)
        silent_from = (self.last_line or 0) + SILENT_DAYS * DAY
        self.end = min(day + DAY, self.known_until, silent_from)
        # Before its first line an app was not silent but unknown; that is no gap to judge others by.
        starts_inside = with_lines.size and (with_lines[0] < day or last_before is None)
        self.known_from = int(with_lines[0]) if starts_inside else self.begin

    def span(self) -> Span:
        start, stop = self.known_from - self.begin, self.known_until - self.begin
        flags = covered(self.lines[start:stop], self.lost[start:stop])
        return Span(self.first, flags[self.first - self.known_from : self.end - self.known_from])


def complete(rows: pl.DataFrame, spans: Mapping[str, Span], apps: Sequence[str]) -> pl.DataFrame:
    """Rows as the lake holds them, in order, from those in which something was; of ``apps`` the quiet minutes, too.

    Sorted by ``per`` first: whoever asks for the apps alone reads the first row groups of a file.
    """
    if apps:
        minutes = _minutes({app: spans[app] for app in apps})
        rows = pl.concat([rows, counting.quiet(minutes.join(rows.filter(per="app"), on=("app", "minute"), how="anti"))])
    second = pl.from_epoch(pl.col("minute") * 60, time_unit="s")
    timestamp = second.dt.cast_time_unit("us").dt.replace_time_zone("UTC")
    app = ranked(rows["app"])
    rows = rows.with_columns(
        timestamp=timestamp, is_covered=pl.Series(_is_covered(app, rows["minute"].to_numpy(), spans))
    )
    # To gather from the many chunks of a piece takes three times as long.
    rows = rows.rechunk()[_order(rows, app)]
    return rows.select(pl.col(name).cast(dtype) for name, dtype in counting.SCHEMA.items())


def _minutes(spans: Mapping[str, Span]) -> pl.DataFrame:
    """The minutes of some apps."""
    sizes = [span.flags.size for span in spans.values()]
    minute = [np.arange(span.first, span.first + span.flags.size) for span in spans.values()]
    app = pl.Series([*spans], dtype=pl.String).gather(np.repeat(np.arange(len(sizes)), sizes))
    return pl.DataFrame({"app": app, "minute": np.concatenate([_NONE[:0], *minute])})


def _is_covered(app: Ranked, minute: Whole, spans: Mapping[str, Span]) -> Flags:
    """Whether the log was there, for each row; where its app has no span it was not."""
    found = [spans.get(name, Span(0, np.zeros(0, np.bool_))) for name in app.names]
    first, size = (
        np.array(each)[app.of_row] for each in zip(*((each.first, each.flags.size) for each in found), strict=True)
    )
    at = minute - first
    is_inside = (at >= 0) & (at < size)
    begin = np.cumsum([0, *(each.flags.size for each in found)])[app.of_row]
    is_covered = np.zeros(minute.size, np.bool_)
    is_covered[is_inside] = np.concatenate([each.flags for each in found])[(begin + at)[is_inside]]
    return is_covered


def _order(rows: pl.DataFrame, app: Ranked) -> Whole:
    """The places of a day's rows in the order of the table."""
    number = np.zeros(rows.height, np.int64)
    for names in (ranked(rows["per"]), app, ranked(rows["key"])):
        number = number * names.names.len() + names.of_row
    minute = rows["minute"].to_numpy()
    order: Whole = np.argsort(number * DAY + minute % DAY)
    return order


def is_quiet() -> pl.Expr:
    """Rows that were only filled in."""
    nothing = [pl.col(name) == 0 for name in ("lines", "lines_lost", "requests", "peak_in_flight")]
    unmeasured = [pl.col(name).is_null() for name in ("memory_mb", "connections")]
    return (pl.col("per") == "app") & pl.all_horizontal(*nothing, *unmeasured)
