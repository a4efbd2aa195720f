"""Averages that a few bad values do not move, with NaN as unknown and without warnings where all is unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def middle_mean(values: Array, axis: int, keep: float, at_least: int = 1) -> Array:
    """Mean of the middle ``keep`` share of the known values along an axis (0: the median); NaN under ``at_least``."""
    ordered = np.moveaxis(np.sort(values, axis), axis, -1)  # NaN sorts last
    known = (~np.isnan(ordered)).sum(-1)
    cut = np.clip(np.floor(known * (1 - keep) / 2), 0, np.maximum((known - 1) // 2, 0)).astype(int)
    places = np.arange(ordered.shape[-1])
    is_middle = (places >= cut[..., None]) & (places < (known - cut)[..., None])
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(is_middle, ordered, 0.0).sum(-1) / (known - 2 * cut)
    return np.where(known >= max(1, at_least), means, np.nan)


def median(values: Array, axis: int, at_least: int = 1) -> Array:
    """Median of the known values along an axis; NaN under ``at_least`` of them."""
    ordered = np.moveaxis(np.sort(values, axis), axis, -1)  # NaN sorts last
    known = (~np.isnan(ordered)).sum(-1)
    below, above = np.maximum(known - 1, 0) // 2, np.minimum(known // 2, ordered.shape[-1] - 1)
    lower, upper = (np.take_along_axis(ordered, place[..., None], -1)[..., 0] for place in (below, above))
    return np.where(known >= max(1, at_least), 0.5 * (lower + upper), np.nan)


def mean(values: Array, axis: int, at_least: int = 1) -> Array:
    """Mean of the known values along an axis; NaN under ``at_least`` of them."""
    is_known = ~np.isnan(values)
    known = is_known.sum(axis)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(known >= at_least, np.where(is_known, values, 0.0).sum(axis) / known, np.nan)


def last_known(values: Array) -> Array:
    """Each value, or the last known one before it."""
    places = np.where(~np.isnan(values), np.arange(len(values)), 0)
    return values[np.maximum.accumulate(places)]
