"""Spikes, dips and shifts of level: sums over windows of several widths against what is expected of them.

A wide window sees a small shift that no single step shows, as a CUSUM does, and forgets it when it is over.
Each width is scored by its own dispersion and has its own threshold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from queries.anomalies import dispersion, persistence, tails
from queries.anomalies.baseline import COUNT_OFFSET
from queries.anomalies.grid import windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from queries.anomalies.baseline import Baseline
    from queries.anomalies.grid import Grid

    Array = NDArray[np.float64]
    Flags = NDArray[np.bool_]

WIDTHS_MINUTES: Final = (0, 15, 60, 240, 720)  # 0 is a single step
SHORT_MINUTES: Final = 60
KNOWN_MIN: Final = 0.5
EFFECT_MIN: Final = 0.1  # of what is expected: less is not worth a person's time
SHARE_EFFECT_MIN: Final = 0.001
FAILURES_MIN: Final = 3
SPREAD_MIN: Final = 0.02  # of the logarithm
REACH: Final = 4.0


@dataclass(frozen=True)
class Window:
    """Scores of one width, (series, days, steps), of what is above and what is below the expected; NaN is unknown."""

    minutes: int
    steps: int
    up: Array
    down: Array
    is_up: Flags  # by enough to be worth a person's time
    is_down: Flags


def widths(grid: Grid) -> tuple[tuple[int, int], ...]:
    """Minutes and steps of each width that the steps allow."""
    found: dict[int, int] = {}
    for minutes in WIDTHS_MINUTES:
        steps = grid.steps(minutes) if minutes else 1
        found.setdefault(steps, minutes)
    return tuple((minutes, steps) for steps, minutes in found.items())


def asleep(values: Array, grid: Grid) -> list[Window]:
    """Windows that say nothing, for series too young for any."""
    nothing, never = np.broadcast_to(0.0, values.shape), np.broadcast_to(np.False_, values.shape)
    return [Window(minutes, steps, nothing, nothing, never, never) for minutes, steps in widths(grid)]


def of_counts(values: Array, baseline: Baseline, grid: Grid) -> list[Window]:
    """Windows of events per step."""
    out = []
    usual = np.exp(baseline.expected)
    logs = np.log(values + COUNT_OFFSET) - np.log(usual + COUNT_OFFSET)
    calm = usual + _without_spikes(values - usual, np.sqrt(usual), grid, 1.0)
    for minutes, steps in widths(grid):
        expected = np.exp(baseline.expected + persistence.forecast(logs, grid, minutes, steps))
        part = values if minutes <= SHORT_MINUTES else calm
        out.append(_count_window(part, expected, grid, minutes, steps))
    return out


def _without_spikes(deviations: Array, spread: Array, grid: Grid, least: float) -> Array:
    """Deviations cut to REACH spreads: a spike of one step must not ring in the wide windows for hours after it."""
    typical = np.sqrt(np.repeat(dispersion.per_hour(np.square(deviations / spread), grid, 0), grid.per_hour, 2))
    reach = REACH * np.maximum(typical * spread, least)
    return np.where(np.isnan(reach), deviations, np.clip(deviations, -reach, reach))


def of_shares(values: Array, of: Array, share: Array, grid: Grid) -> list[Window]:
    """Windows of events that are a share of others; ``share`` is what is normal, per day."""
    out = []
    share = share[:, :, None]
    is_known = ~np.isnan(values)
    events_in, total_in = (windows(np.where(is_known, part, 0.0)) for part in (values, of))
    for minutes, steps in widths(grid):
        window = _count_window(values, of * share, grid, minutes, steps)
        events, total = events_in(steps), total_in(steps)
        is_worth = (events >= FAILURES_MIN) & (events - total * share >= SHARE_EFFECT_MIN * total)
        out.append(replace(window, is_up=is_worth))
    return out


def _count_window(values: Array, expected: Array, grid: Grid, minutes: int, steps: int) -> Window:
    is_known = ~np.isnan(values) & ~np.isnan(expected)
    events, usual = (windows(np.where(is_known, part, 0.0))(steps) for part in (values, expected))
    known = windows(is_known.astype(np.float64))(steps)
    events = np.maximum(np.round(events, 6), 0.0)
    usual = np.where((known >= KNOWN_MIN * steps) & (usual > 0), usual, np.nan)
    wide = dispersion.per_hour(np.square(events - usual) / usual, grid, minutes, usual)
    wide = np.repeat(np.maximum(wide, 1.0), grid.per_hour, 2)
    score = tails.count_score(events, usual, wide)
    is_up, is_down = events > usual * (1 + EFFECT_MIN), events < usual * (1 - EFFECT_MIN)
    return _window(minutes, steps, score, events - usual, is_up, is_down)


def _window(minutes: int, steps: int, score: Array, deviation: Array, is_up: Flags, is_down: Flags) -> Window:
    return Window(minutes, steps, score * (deviation > 0), score * (deviation < 0), is_up, is_down)


def of_levels(logs: Array, baseline: Baseline, grid: Grid) -> list[Window]:
    """Windows of the logarithm of a measured amount."""
    out = []
    base = logs - baseline.expected
    calm = _without_spikes(base, np.ones_like(base), grid, SPREAD_MIN)
    for minutes, steps in widths(grid):
        residual = (base if minutes <= SHORT_MINUTES else calm) - persistence.forecast(base, grid, minutes, steps)
        is_known = ~np.isnan(residual)
        sums, known = windows(np.where(is_known, residual, 0.0))(steps), windows(is_known * 1.0)(steps)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(known >= max(1.0, KNOWN_MIN * steps), sums / known, np.nan)
        spread = np.sqrt(dispersion.per_hour(np.square(mean), grid, minutes))
        spread = np.repeat(np.maximum(spread, SPREAD_MIN / np.sqrt(steps)), grid.per_hour, 2)
        effect = np.log1p(EFFECT_MIN)
        out.append(_window(minutes, steps, tails.level_score(mean, spread), mean, mean > effect, mean < -effect))
    return out
