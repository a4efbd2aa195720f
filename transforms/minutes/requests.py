"""The requests of an hour, counted by group and minute as whole numbers, sorted so that equal ones lie together. Pure.

A cell is a minute of a group: its number is the group's times 60 and the minute of the hour. To sort such numbers takes
half the time of grouping rows by names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ingest.schema import STEP_MINUTES, STEP_REQUESTS_MIN
from transforms.minutes.latency import ZERO_BUCKET, values_of
from transforms.minutes.numbers import compact, run_begins, run_lengths

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Whole = NDArray[np.int64]
    Flags = NDArray[np.bool_]
    Values = NDArray[np.float64]

MINUTES: Final = 60
_BITS: Final = 11  # more than there are buckets


class Counts(NamedTuple):
    """The cells that had a request, in order, and what was in each.

    The histogram of cell ``i`` is the part from ``offsets[i]`` to ``offsets[i + 1]`` of ``buckets``, which ascend, and
    of ``counts``. ``step_p95_ms`` is NaN where it says nothing.
    """

    cells: Whole
    requests: Whole
    failed: Whole
    bytes: Whole
    offsets: Whole
    buckets: NDArray[np.int16]
    counts: NDArray[np.int32]
    step_p95_ms: Values


def counted(cell: Whole, is_failed: Flags, octets: Whole, is_timed: Flags, bucket: NDArray[np.int16]) -> Counts:
    """Count requests, each with its cell, whether it failed, its bytes, and the bucket of its time if it was timed."""
    cells, place = compact(cell)
    total = np.zeros(cells.size, np.int64)
    np.add.at(total, place, octets)
    timed, times = cell[is_timed], bucket[is_timed].astype(np.int64) - ZERO_BUCKET
    packed = np.sort(timed << _BITS | times)
    of_bucket = run_begins(packed)
    held = packed[of_bucket]
    return Counts(
        cells,
        np.bincount(place, minlength=cells.size),
        np.bincount(place[is_failed], minlength=cells.size),
        total,
        np.r_[np.searchsorted(held >> _BITS, cells), held.size],
        _bucket(held),
        run_lengths(of_bucket, packed.size).astype(np.int32),
        _step_p95(cells, np.sort(timed // STEP_MINUTES << _BITS | times)),
    )


def _bucket(packed: Whole) -> NDArray[np.int16]:
    return ((packed & ((1 << _BITS) - 1)) + ZERO_BUCKET).astype(np.int16)


def _step_p95(cells: Whole, packed: Whole) -> Values:
    """For each cell the 95th percentile (nearest rank) of its group's step, where that has enough requests."""
    begins = run_begins(packed >> _BITS)
    total = run_lengths(begins, packed.size)
    begins, total = begins[total >= STEP_REQUESTS_MIN], total[total >= STEP_REQUESTS_MIN]
    # In whole numbers: as a float 0.95 x 20 could be a little more than 19.
    found = packed[begins + (95 * total + 99) // 100 - 1]
    steps = found >> _BITS
    place = np.searchsorted(steps, cells // STEP_MINUTES)
    is_known = np.r_[steps, -1][place] == cells // STEP_MINUTES
    return np.where(is_known, np.r_[values_of(_bucket(found)), np.nan][place], np.nan)
