"""How much a series varies about its baseline: per hour of the day, since nights are noisier than days.

Learnt per width of window: what follows itself (autocorrelation) varies more in sums than in single steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from queries.anomalies import robust
from queries.anomalies.grid import trailing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from queries.anomalies.grid import Grid

    Array = NDArray[np.float64]

DAYS: Final = 14
DAYS_MIN: Final = 3
MIDDLE: Final = 0.5
FLOOR: Final = 0.7  # of the day's: an hour that was calm by chance is not held to that
WIDE_MINUTES: Final = 60  # windows wider than this are too few in an hour of the day to tell hours apart


def per_hour(squares: Array, grid: Grid, width_minutes: int, weight: Array | None = None) -> Array:
    """Typical square of a deviation, (series, days, hours), from the days before; NaN under three of them.

    ``weight`` is what the squares grow with where they do, per step: with the mean, for the dispersion of counts.
    """
    of_hours = robust.mean(grid.by_hour(squares), 3)
    of_day = robust.mean(of_hours, 2, max(1, grid.hours // 4))
    usual = np.repeat(_typical(of_day)[:, :, None], grid.hours, 2)
    if width_minutes > WIDE_MINUTES:
        return usual
    near = robust.mean(np.stack([np.roll(of_hours, shift, 2) for shift in (-1, 0, 1)]), 0)
    if weight is not None:
        of_weight = robust.mean(grid.by_hour(weight), 3)
        usual = usual * np.minimum(of_weight / robust.mean(of_weight, 2)[:, :, None], 1.0)
    return np.fmax(_typical(near), FLOOR * usual)


def _typical(squares: Array) -> Array:
    return robust.middle_mean(trailing(squares, DAYS), MIDDLE, DAYS_MIN)
