"""What the last steps say of the next ones: a deviation that persists is news once.

A window is held against what is expected after the window before it: that deviation times a factor learnt from the
days before. Independent steps have a factor near 0, and nothing changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from queries.anomalies import robust
from queries.anomalies.grid import trailing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from queries.anomalies.grid import Grid, Windows

    Array = NDArray[np.float64]

DAYS: Final = 14
DAYS_MIN: Final = 3
MIDDLE: Final = 0.6
FACTOR_MAX: Final = 0.95
FACTOR_MIN: Final = 0.1  # less gains nothing
REACH: Final = 3.0  # spreads: an incident must not become what is expected


def forecast(deviations: Windows, known: Windows, grid: Grid, steps: int) -> Array:
    """Deviation expected of each step of a window of so many steps that ends at it, from the window before that.

    ``deviations`` are 0 where unknown, ``known`` 1 where known.
    """
    means = means_of(deviations.sums(steps), known.sums(steps), steps)
    before = np.full_like(means, np.nan)
    before.reshape(len(means), -1)[:, steps:] = means.reshape(len(means), -1)[:, :-steps]
    spread = _typical(robust.mean(np.square(before), 2))
    reach = REACH * np.sqrt(spread)[:, :, None]
    before = np.clip(before, -reach, reach)
    now = np.clip(means, -reach, reach)
    products = robust.mean(now * before, 2, grid.per_day // 4)
    squares = robust.mean(np.where(np.isnan(now), np.nan, before * before), 2, grid.per_day // 4)
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = _typical(products) / _typical(squares)
    factor = np.where(np.nan_to_num(factor) < FACTOR_MIN, 0.0, np.minimum(np.nan_to_num(factor), FACTOR_MAX))
    expected: Array = factor[:, :, None] * np.nan_to_num(before)
    return expected


def _typical(of_days: Array) -> Array:
    return robust.middle_mean(trailing(of_days, DAYS), MIDDLE, DAYS_MIN)


def means_of(sums: Array, known: Array, steps: int) -> Array:
    """Mean of each window that is known by half."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(known >= steps / 2, sums / known, np.nan)
