"""Service times as histograms of known error (see LATENCY_BASE in ``ingest.schema``)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from ingest.schema import LATENCY_BASE

if TYPE_CHECKING:
    from numpy.typing import NDArray

INTEGER_MAX: Final = 2**31 - 1
ZERO_BUCKET: Final = -1
# The upper ends of all buckets that a column of whole milliseconds can need.
_ENDS_MS: Final = LATENCY_BASE ** np.arange(math.ceil(math.log(INTEGER_MAX, LATENCY_BASE)) + 1)


def _searched(service_ms: NDArray[np.int64]) -> NDArray[np.int16]:
    found = np.searchsorted(_ENDS_MS, service_ms, side="left")
    return np.where(service_ms <= 0, ZERO_BUCKET, found).astype(np.int16)


# The router gives up after 30 s: those of nearly all requests are looked up at a tenth of what a search takes.
_OF_MS: Final = _searched(np.arange(1 << 15))


def buckets_of(service_ms: NDArray[np.int64]) -> NDArray[np.int16]:
    """The bucket of each service time."""
    found = _OF_MS[np.clip(service_ms, 0, _OF_MS.size - 1)]
    is_long = service_ms >= _OF_MS.size
    found[is_long] = _searched(service_ms[is_long])
    return found


def values_of(bucket: NDArray[np.int16]) -> NDArray[np.float64]:
    """What stands for the values of each bucket, in ms; within 1 % of each of them."""
    return np.where(bucket == ZERO_BUCKET, 0.0, 2 * LATENCY_BASE ** bucket.astype(np.float64) / (LATENCY_BASE + 1))
