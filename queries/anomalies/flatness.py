"""Flat lines: a measure that lives stops varying, as when its source hangs and repeats its last value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from queries.anomalies import robust
from queries.anomalies.grid import trailing, windowed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from queries.anomalies.grid import Grid

    Array = NDArray[np.float64]

MINUTES: Final = 120
DAYS: Final = 14
RATIO_MIN: Final = 1e-6
GONE: Final = 0.05  # of the usual variance: less is flat


def scores(values: Array, grid: Grid) -> tuple[Array, NDArray[np.bool_]]:
    """Scores per step, (days, steps), of how little the last two hours varied from step to step; NaN is unknown."""
    steps = grid.steps(MINUTES)
    flat = values.reshape(-1)
    squares = np.square(np.diff(flat, prepend=np.nan)).reshape(values.shape)
    is_known = ~np.isnan(squares)
    sums, known = windowed(np.where(is_known, squares, 0.0), steps), windowed(is_known * 1.0, steps)
    with np.errstate(invalid="ignore", divide="ignore"):
        varied = np.where(known >= 0.9 * steps, np.maximum(sums, 0.0) / known, np.nan)
        of_hours = robust.median(varied.reshape(len(values), grid.hours, -1), 2)
        usual = np.repeat(robust.median(trailing(of_hours, DAYS), 1, 3), grid.per_hour, 1)
        ratio = np.maximum(varied / np.where(usual > 0, usual, np.nan), RATIO_MIN)
    score = 0.5 * steps * (ratio - 1.0 - np.log(ratio))
    return np.where(np.isnan(score), np.nan, np.where(ratio < 1.0, score, 0.0)), ratio < GONE
