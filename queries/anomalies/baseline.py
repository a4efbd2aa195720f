"""What is normal at each step: a shape over the day and the week, times a level.

Everything here is in logarithms, where a shape and a level add up. The value expected of a step uses days before its
own (the shape) and blocks of hours that ended before it (the level), so that no value has a part in what is expected
of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

import numpy as np

from queries.anomalies import robust
from queries.anomalies.grid import trailing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from queries.anomalies.grid import Grid

    Array = NDArray[np.float64]

WEEK: Final = 7
LEVEL_MIDDLE: Final = 0.25  # of its blocks: a median alone leaps between the two levels of an on-off series
SAME_WEEKDAYS: Final = 4
ERROR_DAYS: Final = 14
DAYS_MIN: Final = 3
COUNT_OFFSET: Final = 1 / 3  # the median of a Poisson count is about its mean less a third


class Density(IntEnum):
    """How many events a step has, which says how far neighbours must be taken together."""

    RARE = 0  # under 0.1: no rhythm can be seen
    LOW = 1  # under 1
    MIDDLE = 2  # under 10
    DENSE = 3


_DENSITY_FROM: Final = (0.1, 1.0, 10.0)
_SMOOTHED_MINUTES: Final = {Density.LOW: (120,), Density.MIDDLE: (60, 15), Density.DENSE: (30, 0)}  # to each side


@dataclass(frozen=True)
class Level:
    """How the level is followed: the middle of so many blocks of so many hours."""

    hours: int
    blocks: int


_SLOW: Final = {
    Density.RARE: Level(24, 14),
    Density.LOW: Level(6, 12),
    Density.MIDDLE: Level(3, 16),
    Density.DENSE: Level(3, 16),
}


@dataclass(frozen=True)
class Baseline:
    """``expected`` (series, days, steps), a logarithm; ``levels`` (series, days, hours) are what each hour had."""

    expected: Array
    levels: Array


def densities(values: Array, grid: Grid) -> NDArray[np.int64]:
    """How many events a step has, a Density for each day, (series, days)."""
    rate = robust.mean_of_a_week(robust.mean(values, 2, grid.per_day // 8))
    return np.searchsorted(_DENSITY_FROM, np.nan_to_num(rate), "right").astype(np.int64)


def of_counts(values: Array, density: NDArray[np.int64], grid: Grid) -> Baseline:
    """The baseline of events per step, with the density of each day."""
    expected, levels = np.empty_like(values), np.empty((*density.shape, grid.hours))
    for one in np.unique(density):
        is_here = density == one
        of_series = is_here.any(1)
        days = slice(int(np.flatnonzero(is_here.any(0))[-1]) + 1)  # what is said of a day comes from none after it
        parts = _of_density(values[of_series, days], grid, Density(one), is_count=True)
        expected[is_here], levels[is_here] = (part[is_here[of_series, days]] for part in parts)
    return Baseline(expected, levels)


def of_levels(values: Array, grid: Grid) -> Baseline:
    """The baseline of a measured amount, given as its logarithm."""
    return Baseline(*_of_density(values, grid, Density.DENSE, is_count=False))


def _by_day(choice: NDArray[np.int64], arrays: list[Array]) -> Array:
    """Rows of several arrays by each day's choice, (series, days)."""
    out = np.empty_like(arrays[0])
    for place, array in enumerate(arrays):
        out[choice == place] = array[choice == place]
    return out


def _of_density(values: Array, grid: Grid, density: Density, *, is_count: bool) -> tuple[Array, Array]:
    """Expected and levels, with the shape that was nearest in the two weeks before each day."""
    shapes = _shapes(values, grid, density, is_count=is_count)
    slow = [_followed(values, grid, shape, _SLOW[density], is_count=is_count) for shape in shapes]
    expected = [shape + np.repeat(level, grid.per_hour, 2) for shape, level in zip(shapes, slow, strict=True)]
    logs = np.log(values + COUNT_OFFSET) if is_count else values
    offset = COUNT_OFFSET if is_count else 0.0
    errors = np.stack(
        [robust.mean(np.abs(logs - (np.log(np.exp(one) + offset) if is_count else one)), 2) for one in expected], 2
    )
    typical = robust.mean(trailing(errors, ERROR_DAYS), 0, WEEK)
    choice = np.argmin(np.where(np.isnan(typical), np.inf, typical), 2)
    shape = _by_day(choice, shapes)
    return _by_day(choice, expected), _blocks(values, grid, shape, 1, is_count=is_count)


def _shapes(values: Array, grid: Grid, density: Density, *, is_count: bool) -> list[Array]:
    """Shapes to choose from: every day alike; days of a week with their levels; each weekday with its own; none."""
    flat = np.zeros_like(values)
    if density == Density.RARE:
        return [flat]
    shapes = []
    for minutes in _SMOOTHED_MINUTES[density]:
        side = grid.steps(minutes) if minutes else 0
        logs = _logs(values, side, is_count=is_count)
        day_level = _day_level(logs, grid)
        normal = logs - day_level[:, :, None]
        alike = robust.mean_of_a_week(normal, at_least=2)
        of_week = day_level - robust.mean(_week(day_level), 0, WEEK - 2)
        weekday = robust.median(trailing(of_week, SAME_WEEKDAYS, WEEK), 0)[:, :, None]
        shapes += [alike, alike + weekday]
        if len(shapes) == 2:  # the most smoothed
            shapes.append(robust.mean_of_a_week(normal, SAME_WEEKDAYS, WEEK, 3) + weekday)
    return [*shapes, flat]


def _logs(values: Array, side: int, *, is_count: bool) -> Array:
    smooth = _smoothed(values, side)
    return np.log(smooth + 0.5 / (2 * side + 1)) if is_count else smooth


def _smoothed(values: Array, side: int) -> Array:
    """Mean over the neighbours in the same day, the day taken as a ring: nothing of the next day may come in."""
    if not side:
        return values
    ring = np.concatenate([values[..., -side:], values, values[..., :side]], 2)
    is_known = ~np.isnan(ring)
    sums, known = (
        np.cumsum(np.pad(part, ((0, 0), (0, 0), (1, 0))), 2, part.dtype)
        for part in (np.where(is_known, ring, 0.0), is_known.astype(np.int32))
    )
    width = 2 * side + 1
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(
            np.isnan(values),
            np.nan,
            (sums[..., width:] - sums[..., :-width]) / (known[..., width:] - known[..., :-width]),
        )


def _day_level(logs: Array, grid: Grid) -> Array:
    """The level of each day, against the usual hours of the week that ends with it: a gap does not move it."""
    hourly = robust.mean(grid.by_hour(logs), 3)
    usual = robust.median(_week(hourly), 0)
    return robust.median(hourly - usual, 2, max(1, grid.hours // 4)) + robust.mean(usual, 2)


def _week(of_days: Array) -> Array:
    """Each day with the six before it."""
    return np.concatenate([of_days[None], trailing(of_days, WEEK - 1)])


def _blocks(values: Array, grid: Grid, shape: Array, hours: int, *, is_count: bool) -> Array:
    """The level in each block of hours, (series, days, blocks)."""
    width = hours * grid.per_hour
    blocks = (*values.shape[:2], -1, width)
    if not is_count:
        return robust.mean((values - shape).reshape(blocks), 3, max(1, width // 4))
    is_known = ~np.isnan(values) & ~np.isnan(shape)
    events, usual = (np.where(is_known, part, 0.0).reshape(blocks).sum(3) for part in (values, np.exp(shape)))
    is_enough = robust.count(is_known.reshape(blocks), 3) >= 0.25 * width
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(is_enough, np.log((events + COUNT_OFFSET) / usual), np.nan)


def _followed(values: Array, grid: Grid, shape: Array, level: Level, *, is_count: bool) -> Array:
    """Per hour, the middle of the levels of the blocks that ended before it; through a gap the last known."""
    blocks = _blocks(values, grid, shape, level.hours, is_count=is_count)
    before = trailing(blocks.reshape(len(values), -1), level.blocks)
    each = robust.last_known(robust.middle_mean(before, LEVEL_MIDDLE, max(1, level.blocks // 4)))
    return np.repeat(each, level.hours, 1).reshape(*values.shape[:2], grid.hours)
