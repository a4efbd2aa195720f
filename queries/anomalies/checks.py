"""A check: a score per step, and the threshold per day that its own past sets for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from queries.anomalies import budget, tails
from queries.anomalies.grid import trailing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from queries.anomalies.grid import Grid
    from queries.anomalies.model import Shape

    Array = NDArray[np.float64]

HISTORY_DAYS: Final = 42
SHORT_DAYS: Final = 7  # of history before a check of up to an hour may ring
WIDE_DAYS: Final = 14  # before one of more hours may: each weekday must have been seen twice
LEARNT_DAYS: Final = 14
EVERY_DAYS: Final = 2  # thresholds are set anew
UPPER_SHARE: Final = {2: 0.1, 6: 0.2, 12: 0.25, 24: 0.3}  # of blocks of so many hours: the tail
FLOOR: Final = 0.8  # of the score that one step reaches by chance if the model holds


@dataclass(frozen=True)
class Check:
    """``scores`` (days, steps) look ``steps`` back; only where ``is_worth`` do they ring.

    ``needs_history`` is False for checks of a series too young for the others; they are off when all of those are on:
    between the first and the last, some days pass in which a threshold may still be out of reach.
    """

    shape: Shape
    minutes: int
    steps: int
    scores: Array
    is_worth: NDArray[np.bool_]
    needs_history: bool = True

    @property
    def block_hours(self) -> int:
        """Blocks as long as a score looks back, so that one incident is not many high scores."""
        return 2 if self.minutes <= 60 else next((hours for hours in (6, 12) if self.minutes <= hours * 60), 24)


def ratios(checks: Sequence[Check], per_week: float, known_days: NDArray[np.int64], grid: Grid) -> Array:
    """Each check's score by its threshold, (checks, days, steps): from 1 on it rings. Unknown and not armed are 0."""
    levels = np.empty((len(checks), grid.days))
    lowest = -np.log(step_risk(len(checks), per_week, grid))
    groups: dict[int, list[int]] = {}
    for place, check in enumerate(checks):
        if check.needs_history:
            groups.setdefault(check.block_hours, []).append(place)
        else:
            levels[place] = np.where(known_days < WIDE_DAYS, lowest, np.inf)
    for hours, places in groups.items():
        risk = budget.risk(per_week, len(checks), hours)
        levels[places] = _thresholds([checks[place].scores for place in places], hours, risk, known_days)
    for place, check in enumerate(checks):
        if check.needs_history:
            is_armed = known_days >= (SHORT_DAYS if check.minutes <= 60 else WIDE_DAYS)
            levels[place] = np.where(is_armed, np.maximum(levels[place], FLOOR * lowest), np.inf)
    scores = np.stack([np.where(check.is_worth, np.nan_to_num(check.scores), 0.0) for check in checks])
    return scores / levels[:, :, None]


def step_risk(checks: int, per_week: float, grid: Grid) -> float:
    """Probability with which one check may ring falsely at one step."""
    return budget.risk(per_week, checks, grid.step_minutes / 60)


def _thresholds(scores: list[Array], hours: int, risk: float, known_days: NDArray[np.int64]) -> Array:
    """(checks, days), each from the days before."""
    days = len(scores[0])
    blocks = 24 // hours
    highest = np.stack([np.fmax.reduce(one.reshape(days, blocks, -1), 2) for one in scores])
    chosen = np.arange(0, days, EVERY_DAYS)
    past = np.stack([trailing(one, HISTORY_DAYS)[chosen] for one in highest])
    # While the rhythm was being learnt the scores were high: they count only until there are enough of later days.
    is_learnt = trailing((known_days >= WIDE_DAYS).astype(np.float64), HISTORY_DAYS)[chosen] == 1
    is_out = ~is_learnt & (is_learnt.sum(1) >= LEARNT_DAYS)[:, None]
    past[:, is_out] = np.nan
    found = tails.without_incidents(past.reshape(-1, HISTORY_DAYS, blocks), UPPER_SHARE[hours], risk)
    return np.repeat(found.reshape(len(scores), len(chosen)), EVERY_DAYS, 1)[:, :days]
