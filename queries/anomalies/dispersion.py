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


def per_hour(squares: Array, grid: Grid, width_minutes: int) -> Array:
    """Typical square of a deviation, (days, hours), from the days before; NaN under three of them."""
    of_hours = robust.mean(squares.reshape(len(squares), grid.hours, -1), 2)
    of_day = robust.mean(of_hours, 1, max(1, grid.hours // 4))
    usual = np.repeat(robust.middle_mean(trailing(of_day, DAYS), 1, MIDDLE, DAYS_MIN)[:, None], grid.hours, 1)
    if width_minutes > WIDE_MINUTES:
        return usual
    near = robust.mean(np.stack([np.roll(of_hours, shift, 1) for shift in (-1, 0, 1)]), 0)
    return np.maximum(robust.middle_mean(trailing(near, DAYS), 1, MIDDLE, DAYS_MIN), FLOOR * usual)
