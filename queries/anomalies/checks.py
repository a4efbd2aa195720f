"""A check: a score per step, and the threshold per day that its own past sets for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from queries.anomalies import budget, tails
from queries.anomalies.episodes import KEEP
from queries.anomalies.grid import trailing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from queries.anomalies.grid import Grid
    from queries.anomalies.model import Shape

    Array = NDArray[np.float64]
    Counts = NDArray[np.int64]
    Days = NDArray[np.int64]
    Flags = NDArray[np.bool_]

HISTORY_DAYS: Final = 42
SHORT_DAYS: Final = 7  # of history before a check of up to an hour may ring
WIDE_DAYS: Final = 14  # before one of more hours may: each weekday must have been seen twice
LEARNT_DAYS: Final = 14
EVERY_DAYS: Final = 2  # thresholds are set anew
UPPER_SHARE: Final = {2: 0.1, 6: 0.2, 12: 0.25, 24: 0.3}  # of blocks of so many hours: the tail
NEAR: Final = 0.99 * KEEP  # of the least that a threshold may be: what stays below does not even keep an episode alive
FLOOR: Final = 0.8  # of the score that one step reaches by chance if the model holds


@dataclass(frozen=True)
class Check:
    """``scores`` (series, days, steps) look ``steps`` back; only where ``is_worth`` do they ring.

    ``needs_history`` is False for checks of a series too young for the others; they are off when all of those are on:
    between the first and the last, some days pass in which a threshold may still be out of reach. ``is_asked`` says of
    which series it is a check at all: they share their budget by it.
    """

    shape: Shape
    minutes: int
    steps: int
    scores: Array
    is_worth: Flags
    needs_history: bool = True
    is_asked: Flags | bool = True

    @property
    def block_hours(self) -> int:
        """Blocks as long as a score looks back, so that one incident is not many high scores."""
        return 2 if self.minutes <= 60 else next((hours for hours in (6, 12) if self.minutes <= hours * 60), 24)

    def is_armed(self, known_days: Days) -> Flags:
        """On which days it may ring, (series, days)."""
        if not self.needs_history:
            return known_days < WIDE_DAYS
        return known_days >= (SHORT_DAYS if self.minutes <= 60 else WIDE_DAYS)

    def least(self, risk: Array) -> Array:
        """What its threshold never lies below, (series), with the ``risk`` of a step."""
        return (FLOOR if self.needs_history else 1.0) * -np.log(risk)

    def reaches(self, score: Array, known_days: Days) -> Flags:
        """On which days, (series, days), it may ring and one of its scores is so high; ``score`` is one per series."""
        is_armed = self.is_armed(known_days)
        if not is_armed.any():
            return is_armed
        enough = np.where(is_armed, score[:, None], np.inf)
        found: Flags = np.logical_or.reduce(self.is_worth & (self.scores >= enough[:, :, None]), 2)
        return found

    def ringing_scores(self, days: Flags) -> Array:
        """Scores of some days, (series, days), as (days, steps), 0 where they do not ring."""
        return np.where(self.is_worth[days], np.fmax(self.scores[days], 0.0), 0.0)

    def of(self, series: Flags) -> Check:
        """The same of some of the series."""
        return replace(self, scores=self.scores[series], is_worth=self.is_worth[series])


def ratio(check: Check, checks: Counts, per_week: Array, known_days: Days, grid: Grid) -> Array:
    """The score of one of so many checks of a series by its threshold, (series, days, steps): from 1 on it rings.

    Unknown and not armed are 0, and so is what is far from ringing. ``per_week`` is one per series.
    """
    least = check.least(step_risk(checks, per_week, grid))
    is_near = check.reaches(NEAR * least, known_days)
    some: Flags = np.logical_or.reduce(is_near, 1)
    level = np.repeat(least[:, None], known_days.shape[1], 1)
    if check.needs_history and some.any():
        risk = budget.risk(per_week, checks, check.block_hours)[some]
        level[some] = np.maximum(level[some], _thresholds(check.of(some), risk, known_days[some], is_near[some]))
    found = np.zeros_like(check.scores)
    found[is_near] = check.ringing_scores(is_near) / level[is_near][:, None]
    return found


def step_risk(checks: Counts, per_week: Array, grid: Grid) -> Array:
    """Probability with which one check may ring falsely at one step."""
    return budget.risk(per_week, checks, grid.step_minutes / 60)


def _thresholds(check: Check, risk: Array, known_days: Days, is_wanted: Flags) -> Array:
    """(series, days), each from the days before, where they are wanted; ``risk`` is one per series."""
    series, days = known_days.shape
    blocks = 24 // check.block_hours
    chosen = np.arange(0, days, EVERY_DAYS)
    is_wanted = np.logical_or.reduceat(is_wanted, chosen, 1)
    of, at = np.nonzero(is_wanted)
    highest = np.fmax.reduce(check.scores.reshape(series, days, blocks, -1), 3)
    past = np.moveaxis(trailing(highest, HISTORY_DAYS)[:, of, chosen[at]], 0, 1)
    # While the rhythm was being learnt the scores were high: they count only until there are enough of later days.
    is_learnt = trailing((known_days >= WIDE_DAYS).astype(np.float64), HISTORY_DAYS)[:, of, chosen[at]].T == 1
    past[~is_learnt & (is_learnt.sum(1) >= LEARNT_DAYS)[:, None]] = np.nan
    found = np.full(is_wanted.shape, np.inf)
    found[is_wanted] = tails.without_incidents(past, UPPER_SHARE[check.block_hours], risk[of])
    return np.repeat(found, EVERY_DAYS, 1)[:, :days]
