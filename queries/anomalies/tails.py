"""How unlikely a value is: large-deviation scores, the exact binomial tail, and tails learnt from the series itself.

A score is about minus the natural logarithm of a probability. Where the model holds, the highest scores are spread
exponentially with scale 1; where it does not (bursts, memory, heavy tails), the scale is learnt, together with how
little is known of it: of k highest scores, with mean excess b over the next one, the next score exceeds them by t with
probability (1 + t / (k b)) ** -k, exactly, if they are exponential.
"""

from __future__ import annotations

from math import lgamma
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

SCALE_MIN: Final = 1.0  # a score is never trusted to be rarer than its model says
SHAPE_MAX: Final = 0.75
SHAPE_MARGIN: Final = 1.5  # the estimate from few scores is low more often than high
LEVEL_FREEDOM: Final = 30.0
FAR: Final = 2.0  # times the threshold of calm days: a past incident counts as no more
DEAF: Final = 3.0  # times it: past incidents raise the threshold to no more
TERM_MIN: Final = 1e-17  # of a sum: what adds less does not change it
WORST_DAYS: Final = 6  # of the six weeks: those that may have had an incident


def count_score(events: Array, expected: Array, dispersion: Array) -> Array:
    """Deviance of a negative binomial count with variance ``expected * dispersion`` (near 1: Poisson), in nats."""
    size = expected / np.maximum(dispersion - 1.0, 1e-6)
    risen = events * np.log(np.where(events > 0, events, expected) / expected)
    score = risen - (events + size) * np.log1p((events - expected) / (expected + size))
    out: Array = np.maximum(score, 0.0)
    return out


def level_score(deviation: Array, spread: Array) -> Array:
    """Score of a deviation in spreads: half its square near 0, and growing as a logarithm far out.

    That of a Student t with LEVEL_FREEDOM degrees of freedom: the tails of measured times are powers, which it makes
    exponential, so that how they go on can be learnt.
    """
    score: Array = 0.5 * (LEVEL_FREEDOM + 1) * np.log1p(np.square(deviation / spread) / LEVEL_FREEDOM)
    return score


def share_tail(events: Array, of: Array, share: float) -> Array:
    """P(so many events or more of ``of``), exact: binomial. Only for more than the ``share``: there its terms fall."""
    events = np.round(events)
    missed = np.maximum(np.round(of) - events, 0.0)
    choices = _log_factorial(events + missed) - _log_factorial(events) - _log_factorial(missed)
    term: Array = np.exp(choices + events * np.log(share) + missed * np.log1p(-share))  # P(exactly so many)
    total, odds, more = term.copy(), share / (1 - share), 0
    while (term > TERM_MIN * total).any():
        more += 1
        term = term * (odds * np.maximum(missed - more + 1, 0.0) / (events + more))
        total += term
    return total


def _log_factorial(numbers: Array) -> Array:
    return np.array([lgamma(number + 1) for number in numbers.tolist()])


def thresholds(scores: Array, upper_share: float, risk: Array) -> Array:
    """The score that the next block exceeds with probability ``risk``, for each row of scores of earlier blocks.

    ``upper_share`` of the known scores are taken as the tail. Infinite where under 4 of them are.
    """
    known = np.count_nonzero(np.isfinite(scores), 1)
    count = np.floor(known * upper_share).astype(int)
    most = int(scores.shape[1] * upper_share)
    ordered = -np.sort(np.partition(np.where(np.isnan(scores), np.inf, -scores), most, 1)[:, : most + 1], 1)
    is_upper = np.arange(most + 1) < count[:, None]
    start = np.take_along_axis(ordered, count[:, None], 1)[:, 0]
    start = np.where(count > 0, start, 0.0)
    excess = np.where(is_upper, ordered - start[:, None], 0.0)
    k = np.maximum(count, 1)
    mean = excess.sum(1) / k
    shape = _shape(excess, mean, k) + 1.0 / k
    ratio = np.maximum(count / np.maximum(known, 1) / risk, 1.0)
    reach = np.maximum(mean, SCALE_MIN) * np.expm1(shape * np.log(ratio)) / shape
    return np.where(count >= 4, start + reach, np.inf)


def _shape(excess: Array, mean: Array, k: NDArray[np.int64]) -> Array:
    """How much heavier than exponential the tail is, 0 unless the excesses show it: by probability-weighted moments."""
    rank = np.arange(excess.shape[1]) / np.maximum(k - 1, 1)[:, None]  # 0 for the largest: P(exceeding it)
    weighted = (excess * np.where(rank <= 1, rank, 0.0)).sum(1) / k
    with np.errstate(invalid="ignore", divide="ignore"):
        shape = 2.0 - mean / (mean - 2.0 * weighted)
    found: Array = np.clip(SHAPE_MARGIN * np.nan_to_num(shape, posinf=0.0, neginf=0.0), 0.0, SHAPE_MAX)
    return found


def without_incidents(scores: Array, upper_share: float, risk: Array) -> Array:
    """Thresholds from scores (rows, days, blocks of a day) among which are past incidents.

    A first threshold is set without the worst days. What lies far above it is cut to there: an incident leaves a trace,
    since what happens again and again is the way of the series, but does not make it deaf.
    """
    rows = scores.shape[0]
    highest = np.where(np.isnan(scores), -np.inf, scores).max(2)
    worst = np.argsort(-highest, 1)[:, :WORST_DAYS]
    calm = scores.copy()
    np.put_along_axis(calm, worst[:, :, None], np.nan, 1)
    first = thresholds(calm.reshape(rows, -1), upper_share, risk)
    cut = thresholds(np.minimum(scores, FAR * first[:, None, None]).reshape(rows, -1), upper_share, risk)
    return np.minimum(cut, DEAF * first)
