"""Slow climbs: memory, connections and times that grow over hours or days, too slowly for any window to see.

The slope is Tukey's resistant line: the median of the last third of the hours less that of the first third. It is
held against the slopes that the series usually has, so that a daily saw-tooth of restarts is no news.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from queries.anomalies import robust
from queries.anomalies.grid import trailing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from queries.anomalies.grid import Grid

    Array = NDArray[np.float64]

SPANS_HOURS: Final = (24, 96)
RISE_MIN: Final = 0.1  # of the logarithm, from the first to the last third
SPREAD_DAYS: Final = 28
SPREAD_MIN: Final = 0.02


def scores(levels: Array, grid: Grid, span_hours: int) -> tuple[Array, NDArray[np.bool_]]:
    """Scores per step, (series, days, steps), of the climb over the hours before it, and whether it counts.

    ``levels`` are (series, days, hours).
    """
    width = max(1, span_hours // 24)  # hours that are one of 24 points
    past = trailing(_points(levels, width), 24)
    last, middle, first = (robust.median(past[latest : latest + 8], 0, 4) for latest in (0, 8, 16))
    is_steady = (middle > first) & (last > middle)
    rise, steady = (_hours(part, width, levels.shape) for part in (last - first, is_steady))
    typical = robust.median(trailing(robust.median(np.abs(rise), 2), SPREAD_DAYS), 0, 5)
    spread = np.maximum(1.4826 * typical, SPREAD_MIN)[:, :, None]
    score = 0.5 * np.square(rise / spread)
    score = np.where(np.isnan(score), np.nan, np.where(rise > 0, score, 0.0))
    return np.repeat(score, grid.per_hour, 2), np.repeat(steady & (rise >= RISE_MIN), grid.per_hour, 2)


def _points(levels: Array, width: int) -> Array:
    flat = levels.reshape(len(levels), -1)
    padded = np.pad(flat, ((0, 0), (0, -flat.shape[1] % width)), constant_values=np.nan)
    return robust.mean(padded.reshape(len(levels), -1, width), 2)


def _hours(points: NDArray[Any], width: int, shape: tuple[int, ...]) -> NDArray[Any]:
    """Points as hours, (series, days, hours)."""
    return np.repeat(points, width, 1)[:, : shape[1] * shape[2]].reshape(shape)
