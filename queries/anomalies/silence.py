"""Silence of a series too young for statistics: events that came steadily for two hours come no more.

The rate is that of the weaker of the two hours before, by four: an evening may fall. The chance of no event in a run
of steps is then exact (Poisson), and the run must be longer than the longest pauses so far.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from queries.anomalies.grid import windowed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from queries.anomalies.grid import Grid

    Array = NDArray[np.float64]

SAFETY: Final = 4.0
PAUSES: Final = 3.0
MINUTES_MIN: Final = 15


def scores(values: Array, grid: Grid) -> tuple[Array, NDArray[np.bool_]]:
    """Score per step, (days, steps), of the run of zeros that ends at it, and whether it counts; NaN is unknown."""
    flat = values.reshape(-1)
    places = np.arange(len(flat))
    is_zero = flat == 0
    start = np.maximum.accumulate(np.where(is_zero, -1, places)) + 1  # of the run of zeros
    run = places - start + 1
    ended = np.where(is_zero & ~np.append(is_zero[1:], False), run, 0)
    longest = np.maximum.accumulate(ended)
    before = np.maximum(start - 1, 0)
    known = windowed((~np.isnan(values)).astype(np.float64), 2 * grid.per_hour).reshape(-1)[before]
    hour = windowed(np.nan_to_num(values), grid.per_hour).reshape(-1)
    weaker = np.minimum(hour[before], hour[np.maximum(before - grid.per_hour, 0)]) / grid.per_hour
    spread = _dispersion(np.nan_to_num(values), grid).reshape(-1)[before]
    score = run * weaker / SAFETY / spread
    is_news = is_zero & (known >= 2 * grid.per_hour - 0.5) & (run >= grid.steps(MINUTES_MIN))
    is_news &= run > PAUSES * longest[before]
    return np.where(np.isnan(flat), np.nan, score).reshape(values.shape), is_news.reshape(values.shape)


def _dispersion(values: Array, grid: Grid) -> Array:
    """Variance by mean over two hours, at least 1."""
    steps = 2 * grid.per_hour
    mean = windowed(values, steps) / steps
    variance = np.maximum(windowed(values * values, steps) / steps - mean * mean, 0.0)
    return np.maximum(variance / np.maximum(mean, 1e-9), 1.0)
