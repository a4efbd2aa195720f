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
WIDE_DAYS: Final = 14  # before one of more hours may: a weekend must have been seen twice
LEARNT_DAYS: Final = 14
EVERY_DAYS: Final = 2  # thresholds are set anew
_UPPER_SHARE: Final = {2: 0.1, 6: 0.2, 12: 0.25, 24: 0.3}  # of blocks of so many hours: the tail


@dataclass(frozen=True)
class Check:
    """``scores`` are (days, steps); ``steps`` is how far back a score looks."""

    shape: Shape
    minutes: int
    steps: int
    scores: Array
    is_worth: NDArray[np.bool_]

    @property
    def block_hours(self) -> int:
        """Blocks as long as a score looks back, so that one incident is not many high scores."""
        return next((hours for hours in _UPPER_SHARE if self.minutes <= hours * 30 or self.minutes <= hours * 60 > 120), 24)


def ratios(checks: Sequence[Check], per_week: float, known_days: NDArray[np.int64], grid: Grid) -> Array:
    """Each check's score by its threshold, (checks, days, steps): from 1 on it rings. Unknown and not armed are 0."""
    out = np.zeros((len(checks), *checks[0].scores.shape))
    groups: dict[int, list[int]] = {}
    for place, check in enumerate(checks):
        groups.setdefault(check.block_hours, []).append(place)
    for hours, places in groups.items():
        risk = budget.risk(per_week, len(checks), hours)
        levels = _thresholds([checks[place].scores for place in places], hours, risk, known_days)
        for place, level in zip(places, levels, strict=True):
            armed = known_days >= (SHORT_DAYS if checks[place].minutes <= 60 else WIDE_DAYS)
            level = np.maximum(level, -np.log(budget.risk(per_week, len(checks), grid.step_minutes / 60)) * 0.8)
            out[place] = checks[place].is_worth * np.nan_to_num(checks[place].scores / np.where(armed, level, np.inf)[:, None])
    return out


def _thresholds(scores: list[Array], hours: int, risk: float, known_days: NDArray[np.int64]) -> Array:
    """(checks, days), each from the days before."""
    days = len(scores[0])
    blocks = max(1, 24 // hours)
    highest = np.stack([np.fmax.reduce(one.reshape(days, blocks, -1), 2) for one in scores])
    chosen = np.arange(0, days, EVERY_DAYS)
    past = np.stack([trailing(one, HISTORY_DAYS)[chosen] for one in highest])
    # While the rhythm was being learnt the scores were high: they count only until there are enough of later days.
    is_learnt = trailing(known_days >= WIDE_DAYS, HISTORY_DAYS)[chosen] == 1
    is_out = ~is_learnt & (is_learnt.sum(1) >= LEARNT_DAYS)[:, None]
    past[:, is_out] = np.nan
    found = tails.without_incidents(past.reshape(-1, HISTORY_DAYS, blocks), _UPPER_SHARE[hours], risk)
    return np.repeat(found.reshape(len(scores), len(chosen)), EVERY_DAYS, 1)[:, :days]
