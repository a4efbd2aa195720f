"""The most requests in flight at once in each minute, exact, from intervals [start, end).

Ends come before starts at a tie, and what is in flight when a minute begins counts in it. That is how the question
``concurrency_over_time`` counts; a test holds them together.
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


class Peaks(NamedTuple):
    """Groups, minutes of the hour (0 to 59) and the most in flight there, where any was."""

    group: Whole
    minute: Whole
    peak: Whole


def hourly_peaks(group: Whole, start_us: Whole, end_us: Whole, hour_us: int) -> Peaks:
    """The peaks in the hour that begins at ``hour_us``. Intervals may reach beyond it at both sides or lie outside.

    ``group`` numbers what is counted apart, from 0 on; fewer than 2**30. It goes by quarters of the hour, which takes
    a quarter of the memory; what is in flight at a border is in both.
    """
    quarters = range(0, 60, MINUTES)
    found = [_peaks(group, start_us, end_us, hour_us + quarter * MINUTE_US) for quarter in quarters]
    minutes = [each.minute + quarter for each, quarter in zip(found, quarters, strict=True)]
    return Peaks(
        np.concatenate([each.group for each in found]),
        np.concatenate(minutes),
        np.concatenate([each.peak for each in found]),
    )


def _peaks(group: Whole, start_us: Whole, end_us: Whole, begin_us: int) -> Peaks:
    inside = (start_us < begin_us + _SPAN_US) & (end_us > begin_us)
    group, start, end = group[inside], np.maximum(start_us[inside] - begin_us, 0), end_us[inside] - begin_us
    if not group.size:
        return Peaks(group, group, group)
    ends = end <= _SPAN_US
    # One number per start and end, in the order in which they count: by group, by time, ends before starts.
    moments = np.sort(np.concatenate([group << _BITS | 2 * start + 1, group[ends] << _BITS | 2 * end[ends]]))
    of, rise = moments >> _BITS, 2 * (moments & 1) - 1
    at = moments & ((1 << _BITS) - 1)
    # An end belongs to the minute of the microsecond before it: it must not be carried into one that it does not reach.
    minute = ((at >> 1) - 1 + (at & 1)) // MINUTE_US
    return _per_minute(of, minute, np.cumsum(rise), rise)


def _per_minute(of: Whole, minute: Whole, level: Whole, rise: Whole) -> Peaks:
    """Peaks from all changes in order: their group, minute, the level of all groups after each, and the change."""
    is_first = np.flatnonzero(np.r_[True, of[1:] != of[:-1]])
    # The sum runs on from group to group: take off what it stood at before each.
    level = level - np.repeat(level[is_first] - rise[is_first], np.diff(np.r_[is_first, of.size]))
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
