"""Flat lines: a measure that lives stops varying, as when its source hangs and repeats its last value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from queries.anomalies import robust
from queries.anomalies.grid import Windows, trailing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from queries.anomalies.grid import Grid

    Array = NDArray[np.float64]

MINUTES: Final = 120
DAYS: Final = 14
RATIO_MIN: Final = 1e-6
GONE: Final = 0.05  # of the usual variance: less is flat


def scores(values: Array, grid: Grid) -> tuple[Array, NDArray[np.bool_]]:
    """Scores per step, as ``values``, of how little the last two hours varied from step to step; NaN is unknown."""
    steps = grid.steps(MINUTES)
    flat = values.reshape(len(values), -1)
    squares = np.square(np.diff(flat, prepend=np.nan)).reshape(values.shape)
    is_known = ~np.isnan(squares)
    sums, known = (Windows(part).sums(steps) for part in (np.where(is_known, squares, 0.0), is_known.astype(np.int32)))
    with np.errstate(invalid="ignore", divide="ignore"):
        varied = np.where(known >= 0.9 * steps, np.maximum(sums, 0.0) / known, np.nan)
        of_hours = robust.median(grid.by_hour(varied), 3)
        usual = np.repeat(robust.median(trailing(of_hours, DAYS), 0, 3), grid.per_hour, 2)
        ratio = np.maximum(varied / np.where(usual > 0, usual, np.nan), RATIO_MIN)
    score = 0.5 * steps * (ratio - 1.0 - np.log(ratio))
    return np.where(np.isnan(score), np.nan, np.where(ratio < 1.0, score, 0.0)), ratio < GONE
