"""Silence of a series too young for statistics: events that came steadily for two hours come no more.

The rate is that of the weaker of the two hours before, by four: an evening may fall. The chance of no event in a run
of steps is then exact (Poisson), and the run must be longer than the longest pauses so far.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from queries.anomalies.grid import Windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from queries.anomalies.grid import Grid

    Array = NDArray[np.float64]

SAFETY: Final = 4.0
PAUSES: Final = 3.0
MINUTES_MIN: Final = 15


def scores(values: Array, grid: Grid) -> tuple[Array, NDArray[np.bool_]]:
    """Score per step, as ``values``, of the run of zeros that ends at it, and whether it counts; NaN is unknown."""
    flat = values.reshape(len(values), -1)
    places = np.arange(flat.shape[1])
    is_zero = flat == 0
    start = np.maximum.accumulate(np.where(is_zero, -1, places), 1) + 1  # of the run of zeros
    run = places - start + 1
    is_news = is_zero & (run >= grid.steps(MINUTES_MIN))
    if not is_news.any():
        return np.zeros_like(values), is_news.reshape(values.shape)
    ended = np.where(is_zero & ~np.pad(is_zero[:, 1:], ((0, 0), (0, 1))), run, 0)
    longest = np.maximum.accumulate(ended, 1)
    before = np.maximum(start - 1, 0)
    known = _at(Windows((~np.isnan(values)).astype(np.int32)).sums(2 * grid.per_hour), before)
    hour = Windows(np.nan_to_num(values)).sums(grid.per_hour)
    weaker = np.minimum(_at(hour, before), _at(hour, np.maximum(before - grid.per_hour, 0))) / grid.per_hour
    spread = _at(_dispersion(np.nan_to_num(values), grid), before)
    score = run * weaker / SAFETY / spread
    is_news &= (known >= 2 * grid.per_hour - 0.5) & (run > PAUSES * _at(longest, before))
    return np.where(np.isnan(flat), np.nan, score).reshape(values.shape), is_news.reshape(values.shape)


def _at(values: NDArray[Any], places: NDArray[np.int64]) -> NDArray[Any]:
    """The values of each series at some of its steps, (series, steps)."""
    return np.take_along_axis(values.reshape(len(values), -1), places, 1)


def _dispersion(values: Array, grid: Grid) -> Array:
    """Variance by mean over two hours, at least 1."""
    steps = 2 * grid.per_hour
    mean = Windows(values).sums(steps) / steps
    variance = np.maximum(Windows(values * values).sums(steps) / steps - mean * mean, 0.0)
    return np.maximum(variance / np.maximum(mean, 1e-9), 1.0)
