"""Completes the rows of a day: one for each minute of each app, and in each row whether the log was there. Pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import polars as pl

from transforms.minutes import counting
from transforms.minutes.coverage import ARRIVAL_MINUTES, DAY, covered

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from transforms.minutes.coverage import Flags

# An app that is gone has rows for so long after its last line; else it would have some for ever.
SILENT_DAYS: Final = 7
LINES: Final = ("app", "minute", "lines", "lines_lost")


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


def fill(day: int, lines: Sequence[pl.DataFrame], last_lines: Mapping[str, int], now: int) -> Filled:
    """Where each app has rows on a day, and whether the log was there.

    ``day`` and ``now`` are minutes since 1970; lines of the last ARRIVAL_MINUTES before ``now`` can still come, and the
    minutes later than that are not filled in. ``lines`` are the app's counts (LINES) of the day, of the one before and
    of the one after it; ``last_lines`` the last minutes with a line before the day.
    """
    seen = pl.concat([pl.DataFrame(schema=dict.fromkeys(("app",), pl.String)), *lines], how="diagonal")
    counts = {str(app): of_app for (app,), of_app in seen.partition_by("app", as_dict=True).items()} if lines else {}
    spans, latest = {}, {}
    for app in sorted({*counts, *last_lines}):
        timeline = _Timeline(day, counts.get(app), last_lines.get(app), now)
        if timeline.last_line is not None:
            latest[app] = timeline.last_line
            if timeline.first < timeline.end:
                spans[app] = timeline.span()
    return Filled(spans, {app: minute for app, minute in latest.items() if minute >= day - SILENT_DAYS * DAY})


class _Timeline:
    """One app around a day."""

    def __init__(self, day: int, counts: pl.DataFrame | None, last_before: int | None, now: int) -> None:
        self.begin, until = day - DAY, day + 2 * DAY
        self.lines, self.lost = np.zeros(3 * DAY, np.int64), np.zeros(3 * DAY, np.int64)
        if counts is not None:
            at = counts["minute"].to_numpy() - self.begin
            self.lines[at], self.lost[at] = counts["lines"].to_numpy(), counts["lines_lost"].to_numpy()
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


def complete(rows: pl.DataFrame, filled: Filled) -> pl.DataFrame:
    """The day's rows as the lake holds them, from those in which something was.

    Sorted by ``per`` first: whoever asks for the apps alone reads the first row groups of a file.
    """
    spans = [
        pl.DataFrame(
            {"minute": range(span.first, span.first + span.flags.size), "is_covered": span.flags}
        ).with_columns(app=pl.lit(app))
        for app, span in filled.spans.items()
    ]
    flags = pl.concat([_NO_FLAGS, *(span.select(_NO_FLAGS.columns) for span in spans)])
    there = rows.lazy().filter(pl.col("per") == "app").select("app", "minute").collect()
    rows = pl.concat([rows, counting.quiet(flags.join(there, on=("app", "minute"), how="anti"))])
    # Joined and sorted by what these need alone, then gathered column by column: a whole copy is 60 MB at 200 routes.
    told = rows.select("app", "minute").join(flags, on=("app", "minute"), how="left", maintain_order="left")
    order = rows.select(pl.arg_sort_by("per", "app", "key", "minute")).to_series()
    second = pl.from_epoch(pl.col("minute") * 60, time_unit="s")
    more = rows.select(timestamp=second.dt.cast_time_unit("us").dt.replace_time_zone("UTC"))
    rows = rows.with_columns(*more, is_covered=told["is_covered"].fill_null(value=False))
    return pl.DataFrame([rows.drop_in_place(name).gather(order).cast(dtype) for name, dtype in counting.SCHEMA.items()])


_NO_FLAGS: Final = pl.DataFrame(schema={"app": pl.String, "minute": pl.Int64, "is_covered": pl.Boolean})


def is_quiet() -> pl.Expr:
    """Rows that were only filled in."""
    nothing = [pl.col(name) == 0 for name in ("lines", "lines_lost", "requests", "peak_in_flight")]
    unmeasured = [pl.col(name).is_null() for name in ("memory_mb", "connections")]
    return (pl.col("per") == "app") & pl.all_horizontal(*nothing, *unmeasured)
