"""Averages that a few bad values do not move, with NaN as unknown and without warnings where all is unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from queries.anomalies.grid import trailing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def middle_mean(values: Array, keep: float, at_least: int = 1) -> Array:
    """Mean of the middle ``keep`` share of the known values along the first axis; NaN under ``at_least`` of them."""
    ordered = np.sort(values, 0)  # NaN sorts last
    known = (~np.isnan(ordered)).sum(0, dtype=np.int16)
    counts = np.arange(len(values) + 1, dtype=np.int16)
    cut = np.clip(np.floor(counts * (1 - keep) / 2), 0, np.maximum((counts - 1) // 2, 0)).astype(np.int16)[known]
    places, end = counts[:-1].reshape(-1, *(1,) * known.ndim), known - cut
    total = np.where((cut <= places) & (places < end), ordered, 0.0).sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(known >= max(1, at_least), total / (end - cut), np.nan)


def mean_of_a_week(rows: Array, days: int = 7, stride: int = 1, at_least: int = 1) -> Array:
    """What the middle mean of a half is of up to seven days before: without the least and the greatest of four or more.

    Nothing is sorted, which is most of what a baseline costs.
    """
    is_known = ~np.isnan(rows)
    known, total = np.zeros(rows.shape, np.int8), np.zeros(rows.shape)
    least, greatest = np.full_like(total, np.inf), np.full_like(total, -np.inf)
    for each in trailing(rows, days, stride):
        np.fmin(least, each, out=least)
        np.fmax(greatest, each, out=greatest)
    for is_there in trailing(is_known, days, stride, before=False):
        known += is_there
    for each in trailing(np.where(is_known, rows, 0.0), days, stride, before=0.0):
        total += each
    is_cut = known >= 4
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (total - np.where(is_cut, least + greatest, 0.0)) / np.where(is_cut, known - 2, known)
    return np.where(known >= max(1, at_least), mean, np.nan)


def median(values: Array, axis: int, at_least: int = 1) -> Array:
    """Median of the known values along an axis; NaN under ``at_least`` of them."""
    ordered = np.sort(values, axis)  # NaN sorts last
    known = np.expand_dims(count(~np.isnan(values), axis).astype(np.intp), axis)
    below, above = np.maximum(known - 1, 0) // 2, np.minimum(known // 2, values.shape[axis] - 1)
    lower, upper = (np.take_along_axis(ordered, place, axis) for place in (below, above))
    found: Array = np.where(known >= max(1, at_least), 0.5 * (lower + upper), np.nan).squeeze(axis)
    return found


def count(is_so: NDArray[np.bool_], axis: int) -> NDArray[np.int32]:
    """How many are so along an axis: ``sum`` takes five times as long for rows as short as the steps of an hour."""
    found: NDArray[np.int32] = np.einsum("...i->...", np.moveaxis(is_so, axis, -1).astype(np.int32))
    return found


def mean(values: Array, axis: int, at_least: int = 1) -> Array:
    """Mean of the known values along an axis; NaN under ``at_least`` of them."""
    is_known = ~np.isnan(values)
    known = count(is_known, axis)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(known >= at_least, np.where(is_known, values, 0.0).sum(axis) / known, np.nan)


def last_known(values: Array) -> Array:
    """Each value, or the last known one before it, along the last axis."""
    places = np.where(~np.isnan(values), np.arange(values.shape[-1]), 0)
    return np.take_along_axis(values, np.maximum.accumulate(places, -1), -1)
