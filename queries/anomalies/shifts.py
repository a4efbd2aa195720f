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
from queries.anomalies.grid import Windows

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
    """Scores of one width, (series, days, steps), of what deviates from the expected; NaN is unknown."""

    minutes: int
    steps: int
    score: Array
    deviation: Array
    is_up: Flags  # by enough to be worth a person's time
    is_down: Flags

    @property
    def up(self) -> Array:
        """Scores of what is above the expected, 0 for the rest."""
        return self.score * (self.deviation > 0)

    @property
    def down(self) -> Array:
        """Scores of what is below it."""
        return self.score * (self.deviation < 0)


def widths(grid: Grid) -> tuple[tuple[int, int], ...]:
    """Minutes and steps of each width that the steps allow."""
    found: dict[int, int] = {}
    for minutes in WIDTHS_MINUTES:
        steps = grid.steps(minutes) if minutes else 1
        found.setdefault(steps, minutes)
    return tuple((minutes, steps) for steps, minutes in found.items())


def asleep(score: Array, is_news: Flags, grid: Grid) -> list[Window]:
    """Windows that all have the same to say, for series too young for any: nothing."""
    return [Window(minutes, steps, score, score, is_news, is_news) for minutes, steps in widths(grid)]


def of_counts(values: Array, baseline: Baseline, grid: Grid) -> list[Window]:
    """Windows of events per step."""
    usual = np.exp(baseline.expected)
    is_known = ~np.isnan(values) & ~np.isnan(usual)
    logs = _known(np.log(values + COUNT_OFFSET) - np.log(usual + COUNT_OFFSET), is_known)
    calm = _known(usual + _without_spikes(values - usual, np.sqrt(usual), grid, 1.0), is_known)
    events, known, smooth = _known(values, is_known), Windows(is_known.astype(np.int32)), _known(usual, is_known)
    out = []
    for minutes, steps in widths(grid):
        if minutes <= SHORT_MINUTES:
            forecast = persistence.forecast(logs, known, grid, steps)
            part, expected = events, _known(np.exp(baseline.expected + forecast), is_known)
        else:
            part, expected = calm, smooth
        out.append(_count_window(part, expected, known, grid, minutes, steps))
    return out


def _known(values: Array, is_known: Flags) -> Windows:
    return Windows(np.where(is_known, values, 0.0))


def _without_spikes(deviations: Array, spread: Array, grid: Grid, least: float) -> Array:
    """Deviations cut to REACH spreads: a spike of one step must not ring in the wide windows for hours after it."""
    typical = np.sqrt(np.repeat(dispersion.per_hour(np.square(deviations / spread), grid, 0), grid.per_hour, 2))
    reach = REACH * np.maximum(typical * spread, least)
    return np.where(np.isnan(reach), deviations, np.clip(deviations, -reach, reach))


def of_shares(values: Array, of: Array, share: Array, grid: Grid) -> list[Window]:
    """Windows of events that are a share of others; ``share`` is what is normal, per day."""
    share = share[:, :, None]
    expected = of * share
    is_known = ~np.isnan(values) & ~np.isnan(expected)
    events, usual, known = _known(values, is_known), _known(expected, is_known), Windows(is_known.astype(np.int32))
    all_events, total = (_known(part, ~np.isnan(values)) for part in (values, of))
    out = []
    for minutes, steps in widths(grid):
        window = _count_window(events, usual, known, grid, minutes, steps)
        now, of_all = all_events.sums(steps), total.sums(steps)
        is_worth = (now >= FAILURES_MIN) & (now - of_all * share >= SHARE_EFFECT_MIN * of_all)
        out.append(replace(window, is_up=is_worth))
    return out


def _count_window(values: Windows, expected: Windows, known: Windows, grid: Grid, minutes: int, steps: int) -> Window:
    events, usual = values.sums(steps), expected.sums(steps)
    events = np.maximum(np.round(events, 6), 0.0)
    usual = np.where((known.sums(steps) >= KNOWN_MIN * steps) & (usual > 0), usual, np.nan)
    wide = dispersion.per_hour(np.square(events - usual) / usual, grid, minutes, usual)
    wide = np.repeat(np.maximum(wide, 1.0), grid.per_hour, 2)
    score = tails.count_score(events, usual, wide)
    is_up, is_down = events > usual * (1 + EFFECT_MIN), events < usual * (1 - EFFECT_MIN)
    return Window(minutes, steps, score, events - usual, is_up, is_down)


def of_levels(logs: Array, baseline: Baseline, grid: Grid) -> list[Window]:
    """Windows of the logarithm of a measured amount."""
    base = logs - baseline.expected
    is_known = ~np.isnan(base)
    calm = _known(_without_spikes(base, np.ones_like(base), grid, SPREAD_MIN), is_known)
    deviations, known = _known(base, is_known), Windows(is_known.astype(np.int32))
    effect = np.log1p(EFFECT_MIN)
    out = []
    for minutes, steps in widths(grid):
        if minutes <= SHORT_MINUTES:
            part = _known(base - persistence.forecast(deviations, known, grid, steps), is_known)
        else:
            part = calm
        mean = persistence.means_of(part.sums(steps), known.sums(steps), steps)
        spread = np.sqrt(dispersion.per_hour(np.square(mean), grid, minutes))
        spread = np.repeat(np.maximum(spread, SPREAD_MIN / np.sqrt(steps)), grid.per_hour, 2)
        score = tails.level_score(mean, spread)
        out.append(Window(minutes, steps, score, mean, mean > effect, mean < -effect))
    return out
