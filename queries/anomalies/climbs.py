"""Slow climbs: memory, connections and times that grow over hours or days, too slowly for any window to see.

The slope is Tukey's resistant line: the median of the last third of the hours less that of the first third. It is
held against the slopes that the series usually has, so that a daily saw-tooth of restarts is no news.
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

SPANS_HOURS: Final = (24, 96)
RISE_MIN: Final = 0.1  # of the logarithm, from the first to the last third
SPREAD_DAYS: Final = 28
SPREAD_MIN: Final = 0.02


def scores(levels: Array, grid: Grid, span_hours: int) -> tuple[Array, NDArray[np.bool_]]:
    """Scores per step, (days, steps), of the climb over the hours before it, and whether it counts.

    ``levels`` are (days, hours).
    """
    width = max(1, span_hours // 24)  # hours that are one of 24 points
    points = _points(levels, width)
    past = trailing(points, 24)[:, ::-1]
    first, middle, last = (robust.median(past[:, part], 1, 4) for part in (slice(0, 8), slice(8, 16), slice(16, 24)))
    rise = last - first
    is_steady = (middle > first) & (last > middle)
    per_hour = np.repeat(rise, width)[: levels.size].reshape(levels.shape)
    steady = np.repeat(is_steady, width)[: levels.size].reshape(levels.shape)
    typical = robust.median(trailing(robust.median(np.abs(per_hour), 1), SPREAD_DAYS), 1, 5)
    spread = np.maximum(1.4826 * typical, SPREAD_MIN)[:, None]
    score = 0.5 * np.square(per_hour / spread)
    score = np.where(np.isnan(score), np.nan, np.where(per_hour > 0, score, 0.0))
    return np.repeat(score, grid.per_hour, 1), np.repeat(steady & (per_hour >= RISE_MIN), grid.per_hour, 1)


def _points(levels: Array, width: int) -> Array:
    flat = levels.reshape(-1)
    padded = np.concatenate([flat, np.full(-len(flat) % width, np.nan)])
    return robust.mean(padded.reshape(-1, width), 1)
