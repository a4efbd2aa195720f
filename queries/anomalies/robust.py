"""Averages that a few bad values do not move, with NaN as unknown and without warnings where all is unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

SIDE_BY_SIDE: Final = 8  # so few values are sorted sooner by comparing whole arrays


def middle_mean(values: Array, keep: float, at_least: int = 1) -> Array:
    """Mean of the middle ``keep`` share of the known values along the first axis; NaN under ``at_least`` of them."""
    ordered = _ordered(values)
    known = np.add.reduce([each < np.inf for each in ordered], 0, np.int8)
    counts = np.arange(len(values) + 1)
    cuts = np.clip(np.floor(counts * (1 - keep) / 2), 0, np.maximum((counts - 1) // 2, 0)).astype(np.int8)
    cut = cuts[known]
    end = known - cut
    total = np.zeros(known.shape)
    for place, each in enumerate(ordered):
        total += np.where((cut <= place) & (place < end), each, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(known >= max(1, at_least), total / (end - cut), np.nan)


def _ordered(values: Array) -> list[Array]:
    """Sorted along the first axis, infinite where unknown."""
    if len(values) > SIDE_BY_SIDE:
        return list(np.sort(np.fmin(values, np.inf), 0))
    ordered = [np.fmin(each, np.inf) for each in values]
    for turn in range(len(ordered)):  # odd-even transposition: all lanes at once, where a sort takes one by one
        for place in range(turn % 2, len(ordered) - 1, 2):
            one, other = ordered[place : place + 2]
            ordered[place : place + 2] = np.minimum(one, other), np.maximum(one, other)
    return ordered


def median(values: Array, axis: int, at_least: int = 1) -> Array:
    """Median of the known values along an axis; NaN under ``at_least`` of them."""
    ordered = np.sort(values, axis)  # NaN sorts last
    known = np.count_nonzero(~np.isnan(values), axis, keepdims=True)
    below, above = np.maximum(known - 1, 0) // 2, np.minimum(known // 2, values.shape[axis] - 1)
    lower, upper = (np.take_along_axis(ordered, place, axis) for place in (below, above))
    found: Array = np.where(known >= max(1, at_least), 0.5 * (lower + upper), np.nan).squeeze(axis)
    return found


def mean(values: Array, axis: int, at_least: int = 1) -> Array:
    """Mean of the known values along an axis; NaN under ``at_least`` of them."""
    is_known = ~np.isnan(values)
    known = is_known.sum(axis)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(known >= at_least, np.where(is_known, values, 0.0).sum(axis) / known, np.nan)


def last_known(values: Array) -> Array:
    """Each value, or the last known one before it, along the last axis."""
    places = np.where(~np.isnan(values), np.arange(values.shape[-1]), 0)
    return np.take_along_axis(values, np.maximum.accumulate(places, -1), -1)
