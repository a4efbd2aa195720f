"""Simulated series of many kinds, with and without an incident in them, from fixed seeds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import lfilter

from queries.anomalies.model import Scale, Series, SeriesSet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Generator = np.random.Generator

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
STEP_MINUTES = 5
HOUR = 60 // STEP_MINUTES
DAY = 24 * HOUR
WEEK = 7 * DAY


def rhythm(steps: int, weekend: float = 0.6) -> Array:
    """A day with a low night and a weekend, around 1."""
    minute = np.arange(steps) * STEP_MINUTES
    day = minute % 1440 / 1440
    shape = 1 + 0.8 * np.sin(2 * np.pi * (day - 0.35)) + 0.16 * np.sin(4 * np.pi * day)
    return np.maximum(shape, 0.05) * np.where(minute // 1440 % 7 >= 5, weekend, 1.0)


def wander(rng: Generator, steps: int, persistence: float, spread: float) -> Array:
    """AR(1) with the given standard deviation."""
    noise = rng.normal(size=steps) * spread * np.sqrt(1 - persistence**2)
    noise[0] /= np.sqrt(1 - persistence**2)
    return lfilter([1], [1, -persistence], noise)


def _latency(steps: int) -> Array:
    """A p95 that is higher by day."""
    return 300 * rhythm(steps) ** 0.3


def _on_off(rng: Generator, steps: int) -> Array:
    """Bursts of 83 minutes on average, every five and a half hours."""
    turns = rng.random(steps)
    state, states = False, np.zeros(steps, bool)
    for step in range(steps):
        state = turns[step] >= 0.06 if state else turns[step] < 0.02
        states[step] = state
    return rng.poisson(np.where(states, 40.0, 1.5)).astype(float)


def _sawtooth(rng: Generator, steps: int) -> Array:
    """Memory of a dyno that is restarted every 25 hours."""
    life = np.arange(steps) % (25 * HOUR)
    return 300 + 60 * (1 - np.exp(-life / 60)) + rng.normal(size=steps) * 4


def _count(events: Callable[[Generator, int], Array]) -> Callable[[Generator, int], Series]:
    return lambda rng, steps: _series("requests", Scale.COUNT, events(rng, steps).astype(float))


def _level(measure: str, amount: Callable[[Generator, int], Array]) -> Callable[[Generator, int], Series]:
    return lambda rng, steps: _series(measure, Scale.LEVEL, amount(rng, steps))


def _failures(rng: Generator, steps: int) -> Series:
    of = rng.poisson(60 * rhythm(steps)).astype(float)
    return _series("failed", Scale.SHARE, rng.binomial(of.astype(int), 0.001).astype(float), of)


def _series(measure: str, scale: Scale, values: Array, of: Array | None = None) -> Series:
    return Series("shop", "app", None, measure, scale, values, of)


KINDS: dict[str, Callable[[Generator, int], Series]] = {
    "Poisson": _count(lambda rng, n: rng.poisson(60 * rhythm(n))),
    "over-dispersed": _count(lambda rng, n: rng.poisson(60 * rhythm(n) * rng.gamma(8, 1 / 8, n))),
    "persistent count": _count(lambda rng, n: rng.poisson(60 * rhythm(n) * np.exp(wander(rng, n, 0.9, 0.2)))),
    "trending": _count(lambda rng, n: rng.poisson(60 * rhythm(n) * np.exp(np.arange(n) / WEEK * 0.08))),
    "low": _count(lambda rng, n: rng.poisson(0.5 * rhythm(n))),
    "sparse": _count(lambda rng, n: rng.poisson(0.08 * rhythm(n))),
    "bursty": _count(_on_off),
    "persistent level": _level("p95_ms", lambda rng, n: _latency(n) * np.exp(wander(rng, n, 0.9, 0.25))),
    "heavy-tailed level": _level("p95_ms", lambda rng, n: _latency(n) * np.exp(0.15 * rng.standard_t(4, n))),
    "memory": _level("memory_mb", _sawtooth),
    "failures": _failures,
}  # fmt: skip


def clean(kinds: Sequence[str], count: int, weeks: int, seed: int) -> SeriesSet:
    """So many series without any incident, the kinds in turn, each of its own app."""
    rng = np.random.default_rng(seed)
    series = (replace(KINDS[kinds[i % len(kinds)]](rng, weeks * WEEK), app=f"app{i}") for i in range(count))
    return SeriesSet(MONDAY, STEP_MINUTES, tuple(series))


@dataclass(frozen=True)
class Planted:
    """An incident: what it does to the steps of a series, given the share of it that has passed."""

    name: str
    kinds: tuple[str, ...]
    steps: int
    change: Callable[[Generator, Series, slice], Array]

    def into(self, kind: str, at: int, weeks: int, seed: int) -> Series:
        """A series of a kind with the incident from a step on."""
        rng = np.random.default_rng(seed)
        series = KINDS[kind](rng, weeks * WEEK)
        values = series.values.copy()
        values[at : at + self.steps] = self.change(rng, series, slice(at, at + self.steps))
        return replace(series, values=values)


def _times(factor: Callable[[Array], Array]) -> Callable[[Generator, Series, slice], Array]:
    def change(rng: Generator, series: Series, where: slice) -> Array:
        values = series.values[where]
        by = factor(np.arange(len(values)) / len(values))
        if series.scale is Scale.LEVEL:
            return values * by
        fewer = rng.binomial(values.astype(int), np.clip(by, 0, 1))
        return np.where(by < 1, fewer, values + rng.poisson(values.mean() * np.maximum(by - 1, 0))).astype(float)

    return change


def _by(factor: float) -> Callable[[Generator, Series, slice], Array]:
    return _times(lambda passed: np.full_like(passed, factor))


def _flat(rng: Generator, series: Series, where: slice) -> Array:
    return np.full(where.stop - where.start, series.values[where.start])


def _failing(share: float) -> Callable[[Generator, Series, slice], Array]:
    def change(rng: Generator, series: Series, where: slice) -> Array:
        assert series.of is not None
        return rng.binomial(series.of[where].astype(int), share).astype(float)

    return change


COUNTS = ("Poisson", "over-dispersed", "persistent count", "trending")
LEVELS = ("persistent level", "heavy-tailed level")
PLANTED = (
    Planted("spike, twice as many, 15 min", COUNTS, 3, _by(2)),
    Planted("spike, 4 times, 15 min", COUNTS, 3, _by(4)),
    Planted("spike, 10 times, 5 min", COUNTS, 1, _by(10)),
    Planted("spike, 10 times, 1 h, few events", ("low", "sparse"), HOUR, _by(10)),
    Planted("burst 4 times as high, 1 h", ("bursty",), HOUR, _by(4)),
    Planted("dip to a half, 1 h", COUNTS, HOUR, _by(0.5)),
    Planted("drop to zero, 30 min", COUNTS, 6, _by(0)),
    Planted("drop to zero, 1 day, few events", ("low", "sparse"), DAY, _by(0)),
    Planted("shift up 30 %, 12 h", COUNTS, 12 * HOUR, _by(1.3)),
    Planted("shift up 50 %, 12 h", COUNTS, 12 * HOUR, _by(1.5)),
    Planted("shift up 100 %, 12 h", COUNTS, 12 * HOUR, _by(2)),
    Planted("shift down 30 %, 12 h", COUNTS, 12 * HOUR, _by(0.7)),
    Planted("shift down 50 %, 12 h", COUNTS, 12 * HOUR, _by(0.5)),
    Planted("flicker, 2.5 times, 2 of 3 steps, 1 h", COUNTS, HOUR,
            _times(lambda passed: np.where(np.arange(len(passed)) % 3 == 1, 1.0, 2.5))),
    Planted("latency 1.5 times, 1 h", LEVELS, HOUR, _by(1.5)),
    Planted("latency 3 times, 15 min", LEVELS, 3, _by(3)),
    Planted("latency 3 times, 1 h", LEVELS, HOUR, _by(3)),
    Planted("slow climb to twice, 1 day", (*LEVELS, "memory"), DAY, _times(lambda passed: 1 + passed)),
    Planted("slow climb to twice, 4 days", (*LEVELS, "memory"), 4 * DAY, _times(lambda passed: 1 + passed)),
    Planted("memory leak, half again in 12 h", ("memory",), 12 * HOUR, _times(lambda passed: 1 + 0.5 * passed)),
    Planted("flat line, 4 h", ("Poisson", *LEVELS, "memory"), 4 * HOUR, _flat),
    Planted("failures 0.1 to 1 %, 3 h", ("failures",), 3 * HOUR, _failing(0.01)),
    Planted("failures 0.1 to 5 %, 1 h", ("failures",), HOUR, _failing(0.05)),
)  # fmt: skip


def places(count: int, first_day: int = 42) -> list[int]:
    """Steps at which incidents begin: each weekday, in the night, in the morning's ramp, by day, in the evening."""
    of_day = (2 * HOUR + 6, 7 * HOUR, 12 * HOUR, 16 * HOUR, 21 * HOUR)
    return [(first_day + i % 7) * DAY + of_day[i % 5] for i in range(count)]
