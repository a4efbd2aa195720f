"""What is wrong without any history: more than 5 % of the requests fail, memory is at its quota.

For series too young for statistics alone: an app that has always been so is told by the standing questions, not by an
alarm each day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from queries.anomalies import tails
from queries.anomalies.grid import Windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from queries.anomalies.grid import Grid

    Array = NDArray[np.float64]
    Flags = NDArray[np.bool_]

FAILING_SHARE: Final = 0.05
FAILURES_MIN: Final = 5
QUOTA_PERCENT: Final = 100.0
SUSTAINED_MINUTES: Final = 15
CERTAIN: Final = 100.0


def failing(failed: Array, requests: Array, grid: Grid) -> tuple[Array, Flags]:
    """Score per step that over 5 % of the requests of the last quarter of an hour failed: exact, binomial."""
    is_known = ~np.isnan(failed) & ~np.isnan(requests)
    steps = grid.steps(SUSTAINED_MINUTES)
    events, of = (Windows(np.where(is_known, part, 0.0)).sums(steps) for part in (failed, requests))
    is_worth = is_known & (events >= FAILURES_MIN) & (events > FAILING_SHARE * of)
    score = np.where(is_known, 0.0, np.nan)  # the tail costs: it is asked for where it may ring
    score[is_worth] = -np.log(np.maximum(tails.share_tail(events[is_worth], of[is_worth], FAILING_SHARE), 1e-300))
    return score, is_worth


def at_quota(memory_percent: Array, grid: Grid) -> tuple[Array, Flags]:
    """Certain where memory stood at its quota for a quarter of an hour."""
    steps = grid.steps(SUSTAINED_MINUTES)
    is_full = Windows((memory_percent >= QUOTA_PERCENT).astype(np.int32)).sums(steps) >= steps
    return np.where(np.isnan(memory_percent), np.nan, CERTAIN * is_full), is_full
