"""Was the log there in a minute? Without a line it was, if the app is quiet; it was not, if the app never is. Pure.

A run of minutes without a line is taken for a hole in the log when so long a gap between lines has a probability below
1e-6 at the app's own usual pace around it. The pace is a mean gap G, weighted by time: of what length is the gap that a
random instant falls into? For lines that come at random (Poisson) G is twice the mean gap, and a gap of g has the
probability exp(-2 g / G). Lines do not come at random but in bursts: a cron job that writes a thousand lines each hour
has 17 lines a minute on average, and 59 silent minutes are usual all the same. By time its gaps are 59 minutes long,
and so the rule says.

G is taken of the hour before the run and the hour after it, and of the same time of the day, an hour more at both
sides, on the day before and the day after, and the longer of both counts: an app that is worked with for an hour a day
is dense around its silence, but it is silent at that time on other days, too. All of the days beside would not do: the
silent nights of an office would hide that lines are missing at noon. Only where the same time is not known (the app is
new), G is that of the whole day before and after. What is found to be a hole is no evidence of the pace: it is left out
and the rest looked at again. With fewer than 10 minutes with lines around a run nothing is usual, and it counts as
covered. An app whose first hours are dense and then silent for good is taken for a hole, which is what an alarm wants.
So is a weekend of an app that is silent then: nothing is lost by that, since nothing was there to be seen.

A minute is not covered either when Heroku says that it lost more than 5 % of its lines. Nothing is said of the last two
minutes before a run: their lines may still be on their way.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Whole = NDArray[np.int64]
    Flags = NDArray[np.bool_]
    Values = NDArray[np.float64]

UNLIKELY: Final = 1e-6
HOUR: Final = 60
DAY: Final = 24 * HOUR
EVIDENCE_MINUTES: Final = 10
LOST_SHARE: Final = 0.05
ARRIVAL_MINUTES: Final = 2
_ROUNDS: Final = 4


def covered(lines: Whole, lost: Whole) -> Flags:
    """For each minute of an app whether the log was there, from its first line on.

    ``lines`` has the minutes' counts in order without a gap and a line in the first of them, or it begins in the middle
    of what is known; ``lost`` the lines that Heroku reports as lost.
    """
    holes = np.zeros(lines.size, np.bool_)
    begins, ends = _runs(lines == 0)
    for _ in range(_ROUNDS):
        found = _holes(lines, holes, begins, ends)
        if not (found & ~holes[begins]).any():
            break
        for begin, end in zip(begins[found], ends[found], strict=True):
            holes[begin:end] = True
    is_lossy = lost > LOST_SHARE * (lines + lost)
    return ~holes & ~is_lossy


def _runs(is_empty: Flags) -> tuple[Whole, Whole]:
    """Where each run of True begins, and the index behind its end."""
    edges = np.diff(np.r_[0, is_empty.astype(np.int8), 0])
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def _holes(lines: Whole, holes: Flags, begins: Whole, ends: Whole) -> Flags:
    """Which runs are too long for the pace around them; known holes are no part of it."""
    length = (ends - begins).astype(np.float64)
    # In a minute with c lines an instant falls into a gap of about 2 / (c + 1) minutes. At each end of a run half a
    # minute beside it belongs to the gap.
    gap = np.where(lines > 0, 2 / (lines + 1), 0.0)
    before, behind = np.maximum(begins - 1, 0), np.minimum(ends, lines.size - 1)
    more = np.where(holes[begins], 0.0, (length + 1 - gap[before]) / 2 * (begins > 0))
    more_behind = np.where(holes[begins], 0.0, (length + 1 - gap[behind]) / 2 * (ends < lines.size))
    np.add.at(gap, before, more)
    np.add.at(gap, behind, more_behind)
    gap[lines == 0] = np.repeat(length + 1, ends - begins)
    sums = [np.r_[0, np.cumsum(each)] for each in (gap * ~holes, ~holes, lines > 0)]
    around = _Around(sums, begins, ends, more, more_behind)
    near, _, _ = around.pace(begins - HOUR, begins, ends, ends + HOUR)
    wide, _, evidence = around.pace(begins - DAY, begins, ends, ends + DAY)
    clock, known, _ = around.pace(
        begins - DAY - HOUR,
        np.minimum(ends - DAY + HOUR, begins),
        np.maximum(begins + DAY - HOUR, ends),
        ends + DAY + HOUR,
    )
    usual = np.maximum(near, np.where(known >= length, clock, wide))
    return (evidence >= EVIDENCE_MINUTES) & (2 * length > -math.log(UNLIKELY) * usual)


class _Around(NamedTuple):
    """Running sums of the gaps, of the minutes that are known, and of those with lines; and the runs.

    What a run itself adds to the gaps of the minutes beside it is no evidence of others.
    """

    sums: list[Values]
    begins: Whole
    ends: Whole
    own_before: Values
    own_behind: Values

    def pace(self, low: Whole, high: Whole, low_behind: Whole, high_behind: Whole) -> tuple[Values, Values, Values]:
        """The mean gap in minutes, by time, of [low, high) before each run and of such a stretch behind it.

        Gives how many of these minutes are known, and how many have lines, too.
        """
        size = self.sums[0].size - 1
        edges = [np.clip(each, 0, size) for each in (low, high, low_behind, high_behind)]
        gaps, known, busy = (each[edges[1]] - each[edges[0]] + each[edges[3]] - each[edges[2]] for each in self.sums)
        own = self.own_before * (high == self.begins) + self.own_behind * (low_behind == self.ends)
        return (gaps - own) / np.maximum(known, 1), known, busy
