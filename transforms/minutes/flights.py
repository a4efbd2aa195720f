"""The most requests in flight in each minute and in the hour, and how long how many were: exact, from [start, end).

What is looked at is a unit: an hour, or a part of one that has very many requests.

Ends come before starts at a tie, and what is in flight when a minute begins counts in it. That is how the questions
``concurrency_over_time``, ``peak_concurrency`` and ``concurrency_levels`` count; tests hold them together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from transforms.minutes.numbers import run_begins, run_lengths
from transforms.minutes.requests import MINUTES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Whole = NDArray[np.int64]

MINUTE_US: Final = 60_000_000
HOUR_US: Final = 60 * MINUTE_US
_BITS: Final = 33  # more than twice the microseconds of an hour, and one more for a start
_DAYS_BITS: Final = 38  # more than the microseconds of three days: an hour, and a day at either side of it


class Peaks(NamedTuple):
    """Groups, minutes of the unit (from 0 on) and the most in flight there, where any was."""

    group: Whole
    minute: Whole
    peak: Whole


class Tops(NamedTuple):
    """Groups whose most requests of the unit were reached when a request of the unit began, which one that was, and how
    many they were.

    Of several such requests it is the one that ended first, of these the one that began first.
    """

    group: Whole
    start_us: Whole
    end_us: Whole
    peak: Whole


class Levels(NamedTuple):
    """Groups that had any in flight, in order, since when and until when they had, and the time at each level.

    Microseconds with exactly 1, 2, ... in flight are the part from ``offsets[i]`` to ``offsets[i + 1]`` of ``held_us``.
    """

    group: Whole
    first_us: Whole
    last_us: Whole
    offsets: Whole
    held_us: Whole


_NOTHING: Final = np.zeros(0, np.int64)
_NO_LEVELS: Final = Levels(_NOTHING, _NOTHING, _NOTHING, np.zeros(1, np.int64), _NOTHING)


def unit_peaks(group: Whole, start_us: Whole, end_us: Whole, minutes: int = MINUTES) -> tuple[Peaks, Tops, Levels]:
    """The peaks in a unit of so many minutes, which begins at 0. Intervals may reach beyond it or lie outside.

    ``group`` numbers what is counted apart, from 0 on; fewer than 2**25. Groups can be of units of their own.
    """
    unit_us = minutes * MINUTE_US
    inside = (start_us < unit_us) & (end_us > 0)
    group, start_us, end_us = group[inside], start_us[inside], end_us[inside]
    if not group.size:
        return Peaks(group, group, group), Tops(group, group, group, group), _NO_LEVELS
    ends = end_us <= unit_us
    # One number per start and end, in the order in which they count: by group, by time, ends before starts.
    started = group << _BITS | 2 * np.maximum(start_us, 0) + 1
    moments = np.sort(np.concatenate([started, group[ends] << _BITS | 2 * end_us[ends]]))
    rise = 2 * (moments & 1) - 1
    is_first = run_begins(moments >> _BITS)
    level = _reached(is_first, rise)
    peaks = _per_minute(moments, is_first, level, minutes)
    arrived = start_us >= 0
    arrivals = group[arrived], start_us[arrived], end_us[arrived]
    return peaks, _tops(moments, level, is_first, arrivals), _held(moments, level, is_first, minutes)


def _held(moments: Whole, level: Whole, is_first: Whole, minutes: int) -> Levels:
    """How long each group was at each level: from each change to the next one, or to the end of the unit."""
    at_us = (moments & ((1 << _BITS) - 1)) >> 1
    changes = run_lengths(is_first, level.size)
    is_last = is_first + changes - 1
    last_us = np.where(level[is_last] > 0, minutes * MINUTE_US, at_us[is_last])
    until_us = np.r_[at_us[1:], 0]
    until_us[is_last] = last_us
    most = np.maximum.reduceat(level, is_first)
    offsets = np.r_[0, np.cumsum(most)]
    # With a place for the time with none in flight, which is dropped.
    idle = offsets[:-1] + np.arange(most.size)
    place = np.repeat(idle, changes) + level
    # Whole numbers below 2**53, which floats hold exactly.
    held_us = np.bincount(place, until_us - at_us, int(offsets[-1]) + most.size).astype(np.int64)
    return Levels(moments[is_first] >> _BITS, at_us[is_first], last_us, offsets, np.delete(held_us, idle))


def _reached(is_first: Whole, rise: Whole) -> Whole:
    """What is in flight after each change; ``is_first`` are the places where a group begins."""
    level = np.cumsum(rise)
    # The sum runs on from group to group: take off what it stood at before each.
    return level - np.repeat(level[is_first] - rise[is_first], run_lengths(is_first, rise.size))


def _tops(moments: Whole, level: Whole, is_first: Whole, arrivals: tuple[Whole, Whole, Whole]) -> Tops:
    """Of the arrivals (groups, starts, ends) those at which their group had its most, one for a group."""
    group, start_us, end_us = arrivals
    most = np.maximum.reduceat(level, is_first)
    is_most = level == np.repeat(most, run_lengths(is_first, level.size))
    highest, peak = moments[is_most], level[is_most]
    # Several may begin at one instant: all of them are found by it.
    begun = group << _BITS | 2 * start_us + 1
    order = np.argsort(begun)  # what is looked up in order is found in a fifth of the time
    begun = begun[order]
    place = np.minimum(np.searchsorted(highest, begun), highest.size - 1)
    is_highest = highest[place] == begun
    found = order[is_highest]
    return _first_ended(Tops(group[found], start_us[found], end_us[found], peak[place[is_highest]]))


def _first_ended(tops: Tops) -> Tops:
    """For each group the one that ended first, of several the one that began first."""
    ended = tops.group << _DAYS_BITS | tops.end_us
    order = np.argsort(ended)
    ended = ended[order]
    begins = run_begins(ended)
    if not begins.size:
        return tops
    start_us = np.minimum.reduceat(tops.start_us[order], begins)
    first = run_begins(ended[begins] >> _DAYS_BITS)
    of = order[begins[first]]
    return Tops(tops.group[of], start_us[first], tops.end_us[of], tops.peak[of])


def in_flight_at(at: Tops, group: Whole, start_us: Whole, end_us: Whole) -> NDArray[np.bool_]:
    """Whether one of these intervals held the instant at which the top of its group was reached."""
    first_us = start_us.min(initial=0)
    tops = at.group << _DAYS_BITS | at.start_us - first_us
    begun, ended = (np.sort(group << _DAYS_BITS | each - first_us) for each in (start_us, end_us))
    # As many of the groups before are in both.
    in_flight: Whole = np.searchsorted(begun, tops, "right") - np.searchsorted(ended, tops, "right")
    return in_flight > 0


def _per_minute(moments: Whole, is_first: Whole, level: Whole, minutes: int) -> Peaks:
    """Peaks from all changes in order, the places where a group begins, and the level after each change."""
    at = moments & ((1 << _BITS) - 1)
    # An end belongs to the minute of the microsecond before it: it must not be carried into one that it does not reach.
    cells = (moments >> _BITS) * minutes + ((at >> 1) - 1 + (at & 1)) // MINUTE_US
    begins = run_begins(cells)
    before = np.where(np.isin(begins, is_first), 0, level[begins - 1])
    peak = np.maximum(np.maximum.reduceat(level, begins), before)
    return _carried(cells[begins], peak, level[np.r_[begins[1:], level.size] - 1], minutes)


def _carried(cells: Whole, peak: Whole, after: Whole, minutes: int) -> Peaks:
    """Add the minutes in which nothing changed, with what was in flight after the last change before them."""
    group = cells // minutes
    behind = (group + 1) * minutes
    behind[:-1] = np.minimum(behind[:-1], cells[1:])
    missing = np.where(after > 0, behind - cells - 1, 0)
    # Of each gap its first minute, then one more from row to row.
    gaps = np.repeat(cells + 1 - np.cumsum(missing) + missing, missing) + np.arange(missing.sum())
    cells = np.concatenate([cells, gaps])
    order = np.argsort(cells)
    cells, peak = cells[order], np.concatenate([peak, np.repeat(after, missing)])[order]
    return Peaks(cells // minutes, cells % minutes, peak)
