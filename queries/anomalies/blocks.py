"""Series of one kind, computed together: what is expected of them, and their checks.

Most of the time that one series takes would be spent on calls, not on its values.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from queries.anomalies import baseline, climbs, flatness, limits, robust, shifts, silence
from queries.anomalies.checks import SHORT_DAYS, Check
from queries.anomalies.grid import trailing
from queries.anomalies.model import Scale, Series, Shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from queries.anomalies.grid import Grid

    Array = NDArray[np.float64]
    Flags = NDArray[np.bool_]

# Fewer of these is no news of its own: faster, leaner, without errors. A restart frees memory.
DOWN_IS_NEWS: Final = frozenset({"requests", "lines", "bytes"})
KNOWN_DAY: Final = 0.25
SHARE_DAYS: Final = 7
FLAT_STEP_MINUTES: Final = 15  # longer steps are too few in the two hours that a flat line takes


def kind(series: Series) -> tuple[Scale, bool, bool]:
    """Series of one kind have the same checks and are analysed together."""
    return series.scale, series.measure in DOWN_IS_NEWS and series.per != "code", series.measure == "memory_percent"


class Block(ABC):
    """Series of one kind, ``rows`` (series, days, steps)."""

    def __init__(self, series: Sequence[Series], grid: Grid) -> None:
        self.grid = grid
        self.rows = grid.rows(np.stack([one.values for one in series]))
        _, self.is_down_news, self.has_quota = kind(series[0])
        is_known = (~np.isnan(self.rows)).mean(2) >= KNOWN_DAY
        self.known_days = np.cumsum(is_known, 1) - is_known

    @abstractmethod
    def checks(self) -> list[Check]:
        """All checks, of which those that no series is old enough for are asleep: they say nothing at no cost."""

    @abstractmethod
    def course(self) -> tuple[Array, Array, Array]:
        """What was, what was expected, and the deviation."""

    @property
    def is_young(self) -> bool:
        """Whether no check that needs history may ring on any day."""
        return bool(self.known_days.max() < SHORT_DAYS)

    @property
    def asleep(self) -> tuple[Array, Flags]:
        """Scores and whether they count of a check that cannot ring."""
        return np.broadcast_to(0.0, self.rows.shape), np.broadcast_to(np.False_, self.rows.shape)

    def shifts(self, windows: list[shifts.Window]) -> list[Check]:
        """A check of each width and side that is news."""
        checks = []
        for one in windows:
            is_short = one.minutes <= shifts.SHORT_MINUTES
            shape = Shape.SPIKE if is_short else Shape.SHIFT_UP
            checks.append(Check(shape, one.minutes, one.steps, one.up, one.is_up))
            if self.is_down_news:
                shape = Shape.DIP if is_short else Shape.SHIFT_DOWN
                checks.append(Check(shape, one.minutes, one.steps, one.down, one.is_down))
        return checks

    def sustained(self, scores: Array, is_worth: Flags) -> Check:
        """A limit that needs no history."""
        minutes = limits.SUSTAINED_MINUTES
        return Check(Shape.SPIKE, minutes, self.grid.steps(minutes), scores, is_worth, needs_history=False)


class _Counts(Block):
    @cached_property
    def density(self) -> NDArray[np.int64]:
        return baseline.densities(self.rows, self.grid)

    @cached_property
    def base(self) -> baseline.Baseline:
        return baseline.of_counts(self.rows, self.density, self.grid)

    def checks(self) -> list[Check]:
        rows, grid = self.rows, self.grid
        windows = shifts.asleep(*self.asleep, grid) if self.is_young else shifts.of_counts(rows, self.base, grid)
        checks = self.shifts(windows)
        if grid.step_minutes <= FLAT_STEP_MINUTES:
            is_dense = self.density == baseline.Density.DENSE
            score, is_flat = self.asleep if self.is_young else flatness.scores(rows, grid)
            is_flat = is_flat & is_dense[:, :, None]
            steps = grid.steps(flatness.MINUTES)
            checks.append(Check(Shape.FLAT, flatness.MINUTES, steps, score, is_flat, is_asked=is_dense.any(1)))
        if self.is_down_news:
            steps = grid.steps(silence.MINUTES_MIN)
            found = silence.scores(rows, grid)
            checks.append(Check(Shape.ZERO, silence.MINUTES_MIN, steps, *found, needs_history=False))
        return checks

    def course(self) -> tuple[Array, Array, Array]:
        expected = np.exp(self.base.expected)
        return self.rows, expected, (self.rows - expected) / np.sqrt(expected + 1.0)


class _Shares(Block):
    def __init__(self, series: Sequence[Series], grid: Grid) -> None:
        super().__init__(series, grid)
        self.of = grid.rows(np.stack([one.of for one in series if one.of is not None]))
        self.usual = _usual_share(self.rows, self.of)

    def checks(self) -> list[Check]:
        rows, grid = self.rows, self.grid
        windows = (
            shifts.asleep(*self.asleep, grid) if self.is_young else shifts.of_shares(rows, self.of, self.usual, grid)
        )
        return [*self.shifts(windows), self.sustained(*limits.failing(rows, self.of, grid))]

    def course(self) -> tuple[Array, Array, Array]:
        with np.errstate(invalid="ignore", divide="ignore"):
            actual = np.where(self.of > 0, self.rows / self.of, np.nan)
        expected = np.repeat(self.usual[:, :, None], self.grid.per_day, 2)
        events = np.nan_to_num(self.of * expected)
        return actual, expected, (self.rows - events) / np.sqrt(events + 1.0)


class _Levels(Block):
    def __init__(self, series: Sequence[Series], grid: Grid) -> None:
        super().__init__(series, grid)
        self.logs = np.log1p(np.maximum(self.rows, 0.0))

    @cached_property
    def base(self) -> baseline.Baseline:
        return baseline.of_levels(self.logs, self.grid)

    def checks(self) -> list[Check]:
        logs, grid = self.logs, self.grid
        checks = self.shifts(
            shifts.asleep(*self.asleep, grid) if self.is_young else shifts.of_levels(logs, self.base, grid)
        )
        for hours in climbs.SPANS_HOURS:
            found = self.asleep if self.is_young else climbs.scores(self.base.levels, grid, hours)
            checks.append(Check(Shape.CLIMB, hours * 60, hours * grid.per_hour, *found))
        if grid.step_minutes <= FLAT_STEP_MINUTES:
            found = self.asleep if self.is_young else flatness.scores(logs, grid)
            checks.append(Check(Shape.FLAT, flatness.MINUTES, grid.steps(flatness.MINUTES), *found))
        if self.has_quota:
            checks.append(self.sustained(*limits.at_quota(self.rows, grid)))
        return checks

    def course(self) -> tuple[Array, Array, Array]:
        return self.rows, np.expm1(self.base.expected), 10.0 * (self.logs - self.base.expected)


_OF_SCALE: Final[dict[Scale, type[Block]]] = {Scale.COUNT: _Counts, Scale.SHARE: _Shares, Scale.LEVEL: _Levels}


def block(series: Sequence[Series], grid: Grid) -> Block:
    """Some series of one kind, as a block."""
    return _OF_SCALE[series[0].scale](series, grid)


def _usual_share(events: Array, of: Array) -> Array:
    """The usual share per day, (series, days), of the middle of the seven days before; NaN under two of them.

    Never under half an event in all of these days: what was not seen yet is not impossible.
    """
    counted, total = (np.nansum(np.where(np.isnan(events), np.nan, part), 2) for part in (events, of))
    with np.errstate(invalid="ignore", divide="ignore"):
        rates = np.where(total > 0, counted / total, np.nan)
    usual = robust.mean_of_a_week(rates, SHARE_DAYS, at_least=2)
    least: Array = 0.5 / np.maximum(np.nansum(trailing(total, SHARE_DAYS), 0), 1.0)
    return np.maximum(usual, least)
