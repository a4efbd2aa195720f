"""The most requests in flight at once in each minute and where in the hour, exact, from intervals [start, end).

Ends come before starts at a tie, and what is in flight when a minute begins counts in it. That is how the questions
``concurrency_over_time`` and ``peak_concurrency`` count; tests hold them together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Whole = NDArray[np.int64]

MINUTE_US: Final = 60_000_000
HOUR_US: Final = 60 * MINUTE_US
MINUTES: Final = 15
_SPAN_US: Final = MINUTES * MINUTE_US
_BITS: Final = 33  # more than twice the microseconds of a span, and one more for a start
_DAYS_BITS: Final = 38  # more than the microseconds of three days: an hour, and a day at either side of it


class Peaks(NamedTuple):
    """Groups, minutes of the hour (0 to 59) and the most in flight there, where any was."""

    group: Whole
    minute: Whole
    peak: Whole


class Tops(NamedTuple):
    """Groups whose most requests of the hour were reached when a request of the hour began, which one that was, and how
    many they were.

    Of several such requests it is the one that ended first, of these the one that began first.
    """

    group: Whole
    start_us: Whole
    end_us: Whole
    peak: Whole


def hourly_peaks(group: Whole, start_us: Whole, end_us: Whole, hour_us: int) -> tuple[Peaks, Tops]:
    """The peaks in the hour that begins at ``hour_us``. Intervals may reach beyond it at both sides or lie outside.

    ``group`` numbers what is counted apart, from 0 on; fewer than 2**30. It goes by quarters of the hour, which takes
    a quarter of the memory; what is in flight at a border is in both.
    """
    quarters = [hour_us + quarter * MINUTE_US for quarter in range(0, 60, MINUTES)]
    found = [_peaks(group, start_us, end_us, begin_us) for begin_us in quarters]
    minutes = [
        each.minute + (begin_us - hour_us) // MINUTE_US for (each, _), begin_us in zip(found, quarters, strict=True)
    ]
    peaks = Peaks(
        np.concatenate([each.group for each, _ in found]),
        np.concatenate(minutes),
        np.concatenate([each.peak for each, _ in found]),
    )
    return peaks, _highest(peaks, [tops for _, tops in found])


def _peaks(group: Whole, start_us: Whole, end_us: Whole, begin_us: int) -> tuple[Peaks, Tops]:
    inside = (start_us < begin_us + _SPAN_US) & (end_us > begin_us)
    group, start_us, end_us = group[inside], start_us[inside], end_us[inside]
    if not group.size:
        return Peaks(group, group, group), Tops(group, group, group, group)
    start, end = np.maximum(start_us - begin_us, 0), end_us - begin_us
    ends = end <= _SPAN_US
    # One number per start and end, in the order in which they count: by group, by time, ends before starts.
    moments = np.sort(np.concatenate([group << _BITS | 2 * start + 1, group[ends] << _BITS | 2 * end[ends]]))
    of, rise = moments >> _BITS, 2 * (moments & 1) - 1
    at = moments & ((1 << _BITS) - 1)
    # An end belongs to the minute of the microsecond before it: it must not be carried into one that it does not reach.
    minute = ((at >> 1) - 1 + (at & 1)) // MINUTE_US
    is_first = np.flatnonzero(np.r_[True, of[1:] != of[:-1]])
    level = _levels(is_first, rise)
    arrived = start_us >= begin_us
    arrivals = group[arrived], start_us[arrived], end_us[arrived]
    return _per_minute(of, minute, is_first, level), _tops(moments, level, is_first, arrivals, begin_us)


def _levels(is_first: Whole, rise: Whole) -> Whole:
    """What is in flight after each change; ``is_first`` are the places where a group begins."""
    level = np.cumsum(rise)
    # The sum runs on from group to group: take off what it stood at before each.
    return level - np.repeat(level[is_first] - rise[is_first], np.diff(np.r_[is_first, rise.size]))


def _tops(moments: Whole, level: Whole, is_first: Whole, arrivals: tuple[Whole, Whole, Whole], begin_us: int) -> Tops:
    """Of the arrivals (groups, starts, ends) those at which their group had its most, one for a group."""
    group, start_us, end_us = arrivals
    most = np.maximum.reduceat(level, is_first)
    is_most = level == np.repeat(most, np.diff(np.r_[is_first, level.size]))
    highest, peak = moments[is_most], level[is_most]
    # Several may begin at one instant: all of them are found by it.
    begun = group << _BITS | 2 * (start_us - begin_us) + 1
    place = np.minimum(np.searchsorted(highest, begun), highest.size - 1)
    found = highest[place] == begun
    return _first_ended(Tops(group[found], start_us[found], end_us[found], peak[place[found]]))


def _first_ended(tops: Tops) -> Tops:
    """For each group the one that ended first."""
    order = np.lexsort((tops.start_us, tops.end_us, tops.group))
    group = tops.group[order]
    order = order[np.flatnonzero(np.r_[group.size > 0, group[1:] != group[:-1]])]
    return Tops(*(each[order] for each in tops))


def _highest(peaks: Peaks, quarters: list[Tops]) -> Tops:
    """For each group the top of the hour, unless what was in flight before the hour had more."""
    most = np.zeros(int(peaks.group.max(initial=-1)) + 1, np.int64)
    np.maximum.at(most, peaks.group, peaks.peak)
    tops = Tops(*(np.concatenate(each) for each in zip(*quarters, strict=True)))
    return _first_ended(Tops(*(each[tops.peak == most[tops.group]] for each in tops)))


def in_flight_at(at: Tops, group: Whole, start_us: Whole, end_us: Whole) -> NDArray[np.bool_]:
    """Whether one of these intervals held the instant at which the top of its group was reached."""
    first_us = np.concatenate([at.start_us, start_us]).min(initial=np.iinfo(np.int64).max)
    tops = at.group << _DAYS_BITS | at.start_us - first_us
    begun, ended = (np.sort(group << _DAYS_BITS | each - first_us) for each in (start_us, end_us))
    # As many of the groups before are in both.
    in_flight: Whole = np.searchsorted(begun, tops, "right") - np.searchsorted(ended, tops, "right")
    return in_flight > 0


def _per_minute(of: Whole, minute: Whole, is_first: Whole, level: Whole) -> Peaks:
    """Peaks from all changes in order: their group, minute, and the level after each."""
    cells = of * MINUTES + minute
    begins = np.flatnonzero(np.r_[True, cells[1:] != cells[:-1]])
    last = np.r_[begins[1:], of.size] - 1
    before = np.where(np.isin(begins, is_first), 0, level[begins - 1])
    groups = int(of[-1]) + 1
    peak = np.full(groups * MINUTES, -1, np.int64)
    after = np.zeros(groups * MINUTES, np.int64)
    peak[cells[begins]] = np.maximum(np.maximum.reduceat(level, begins), before)
    after[cells[begins]] = level[last]
    return _carried(peak.reshape(groups, MINUTES), after.reshape(groups, MINUTES))


def _carried(peak: Whole, after: Whole) -> Peaks:
    """Fill minutes in which nothing changed (-1) with what was in flight after the last change before them."""
    changed = np.where(peak >= 0, np.arange(MINUTES), -1)
    latest = np.maximum.accumulate(changed, axis=1)
    carried = np.where(latest >= 0, np.take_along_axis(after, np.maximum(latest, 0), axis=1), 0)
    peak = np.where(peak >= 0, peak, carried)
    group, minute = np.nonzero(peak)
    return Peaks(group, minute, peak[group, minute])
