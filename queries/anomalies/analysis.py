"""One series with all that is computed of it: what is expected, how far it is off, and by which check it rings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from queries.anomalies import baseline, climbs, flatness, limits, robust, shifts, silence
from queries.anomalies.checks import Check, ratios
from queries.anomalies.grid import trailing
from queries.anomalies.model import Scale, Series, Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from queries.anomalies.grid import Grid

    Array = NDArray[np.float64]

# Fewer of these is no news of its own: faster, leaner, without errors. A restart frees memory.
DOWN_IS_NEWS: Final = frozenset({"requests", "lines", "bytes"})
KNOWN_DAY: Final = 0.25
SHARE_DAYS: Final = 7
FLAT_STEP_MINUTES: Final = 15  # longer steps are too few in the two hours that a flat line takes


@dataclass(frozen=True)
class Analysis:
    """Per step: what was (of shares the share), what was expected, the deviation in about its spread, and the checks.

    ``ratio`` is (checks, steps); a check rings where its is 1 or more.
    """

    actual: Array
    expected: Array
    deviation: Array
    checks: tuple[Check, ...]
    ratio: Array


def analyse(series: Series, grid: Grid, per_week: float) -> Analysis:
    """All checks of a series that may ring falsely so often a week."""
    rows = grid.rows(series.values)
    is_known = (~np.isnan(rows)).mean(1) >= KNOWN_DAY
    known_days = np.concatenate([[0], np.cumsum(is_known)[:-1]])
    actual, expected, deviation, checks = _OF_SCALE[series.scale](series, rows, grid)
    ratio = ratios(checks, per_week, known_days, grid)
    flat = ratio.reshape(len(checks), -1)[:, grid.lead : grid.lead + grid.length]
    return Analysis(grid.flat(actual), grid.flat(expected), grid.flat(deviation), tuple(checks), flat)


def course(series: Series, grid: Grid) -> tuple[Array, Array]:
    """What was and what was expected of each step, as in an analysis, for a quarter of its cost."""
    rows = grid.rows(series.values)
    if series.scale is Scale.SHARE:
        actual, expected, _ = _shares(series, rows, grid)
    else:
        actual = rows
        expected = (_counts if series.scale is Scale.COUNT else _levels)(rows, grid)[0]
    return grid.flat(actual), grid.flat(expected)


_Parts = tuple["Array", "Array", "Array", list[Check]]


def _of_counts(series: Series, rows: Array, grid: Grid) -> _Parts:
    expected, base = _counts(rows, grid)
    checks = _windows(series, shifts.of_counts(rows, base, grid))
    if grid.step_minutes <= FLAT_STEP_MINUTES and (base.density == baseline.Density.DENSE).any():
        score, is_flat = flatness.scores(rows, grid)
        is_dense = (base.density == baseline.Density.DENSE)[:, None]
        checks.append(Check(Shape.FLAT, flatness.MINUTES, grid.steps(flatness.MINUTES), score, is_flat & is_dense))
    if _is_down_news(series):
        steps = grid.steps(silence.MINUTES_MIN)
        checks.append(Check(Shape.ZERO, silence.MINUTES_MIN, steps, *silence.scores(rows, grid), needs_history=False))
    return rows, expected, (rows - expected) / np.sqrt(expected + 1.0), checks


def _counts(rows: Array, grid: Grid) -> tuple[Array, baseline.Baseline]:
    base = baseline.of_counts(rows, grid)
    return np.exp(base.expected), base


def _of_shares(series: Series, rows: Array, grid: Grid) -> _Parts:
    actual, expected, of = _shares(series, rows, grid)
    share = expected[:, 0]
    checks = _windows(series, shifts.of_shares(rows, of, share, grid))
    steps = grid.steps(limits.SUSTAINED_MINUTES)
    checks.append(
        Check(Shape.SPIKE, limits.SUSTAINED_MINUTES, steps, *limits.failing(rows, of, grid), needs_history=False)
    )
    usual = np.nan_to_num(of * share[:, None])
    return actual, expected, (rows - usual) / np.sqrt(usual + 1.0), checks


def _shares(series: Series, rows: Array, grid: Grid) -> tuple[Array, Array, Array]:
    """Shares, those expected, and what they are shares of."""
    assert series.of is not None, "a share has what it is a share of"
    of = grid.rows(series.of)
    with np.errstate(invalid="ignore", divide="ignore"):
        actual = np.where(of > 0, rows / of, np.nan)
    return actual, np.repeat(_usual_share(rows, of)[:, None], grid.per_day, 1), of


def _of_levels(series: Series, rows: Array, grid: Grid) -> _Parts:
    expected, logs, base = _levels(rows, grid)
    checks = _windows(series, shifts.of_levels(logs, base, grid))
    for hours in climbs.SPANS_HOURS:
        checks.append(Check(Shape.CLIMB, hours * 60, hours * grid.per_hour, *climbs.scores(base.levels, grid, hours)))
    if grid.step_minutes <= FLAT_STEP_MINUTES:
        steps = grid.steps(flatness.MINUTES)
        checks.append(Check(Shape.FLAT, flatness.MINUTES, steps, *flatness.scores(logs, grid)))
    if series.measure == "memory_percent":
        steps = grid.steps(limits.SUSTAINED_MINUTES)
        full = limits.at_quota(rows, grid)
        checks.append(Check(Shape.SPIKE, limits.SUSTAINED_MINUTES, steps, *full, needs_history=False))
    return rows, expected, 10.0 * (logs - base.expected), checks


def _levels(rows: Array, grid: Grid) -> tuple[Array, Array, baseline.Baseline]:
    logs = np.log1p(np.maximum(rows, 0.0))
    base = baseline.of_levels(logs, grid)
    return np.expm1(base.expected), logs, base


_OF_SCALE: Final = {Scale.COUNT: _of_counts, Scale.SHARE: _of_shares, Scale.LEVEL: _of_levels}


def _is_down_news(series: Series) -> bool:
    return series.measure in DOWN_IS_NEWS and series.per != "code"


def _windows(series: Series, windows: list[shifts.Window]) -> list[Check]:
    checks = []
    for one in windows:
        is_short = one.minutes <= shifts.SHORT_MINUTES
        checks.append(Check(Shape.SPIKE if is_short else Shape.SHIFT_UP, one.minutes, one.steps, one.up, one.is_up))
        if series.scale is not Scale.SHARE and _is_down_news(series):
            shape = Shape.DIP if is_short else Shape.SHIFT_DOWN
            checks.append(Check(shape, one.minutes, one.steps, one.down, one.is_down))
    return checks


def _usual_share(events: Array, of: Array) -> Array:
    """The usual share per day, of the middle of the seven days before; NaN under two of them.

    Never under half an event in all of these days: what was not seen yet is not impossible.
    """
    counted, total = (np.nansum(np.where(np.isnan(events), np.nan, part), 1) for part in (events, of))
    of_days, total_days = trailing(counted, SHARE_DAYS), trailing(total, SHARE_DAYS)
    with np.errstate(invalid="ignore", divide="ignore"):
        rates = np.where(total_days > 0, of_days / total_days, np.nan)
    usual = robust.middle_mean(rates, 1, 0.5, 2)
    least: Array = 0.5 / np.maximum(np.nansum(total_days, 1), 1.0)
    return np.maximum(usual, least)
