"""Steps as days: rows of whole UTC days, so that the same moment of other days stands in the same column.

UTC has no summer time: a rhythm of people moves by an hour twice a year, and the level and the dispersion absorb it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

MINUTES_A_DAY: Final = 1440


@dataclass(frozen=True)
class Grid:
    """How the steps of a series lie in days. ``lead`` steps of the first day came before the series began."""

    step_minutes: int
    lead: int
    length: int

    @property
    def per_day(self) -> int:
        """Steps in a day."""
        return MINUTES_A_DAY // self.step_minutes

    @property
    def per_hour(self) -> int:
        """Steps in an hour."""
        return 60 // self.step_minutes

    @property
    def hours(self) -> int:
        """Hours in a day."""
        return 24

    @property
    def days(self) -> int:
        """Days that the steps touch."""
        return -(-(self.lead + self.length) // self.per_day)

    def steps(self, minutes: int) -> int:
        """How many steps so many minutes are, at least one."""
        return max(1, round(minutes / self.step_minutes))

    def rows(self, values: Array) -> Array:
        """Values per step as (days, steps of a day), NaN where there is none."""
        rows = np.full(self.days * self.per_day, np.nan)
        rows[self.lead : self.lead + self.length] = values
        return rows.reshape(self.days, self.per_day)

    def flat(self, rows: Array) -> Array:
        """The inverse of ``rows``; one value per hour or per day is repeated for its steps."""
        every = np.repeat(rows.reshape(-1), self.days * self.per_day // rows.size)
        return every[self.lead : self.lead + self.length]


def grid(begins_at: datetime, step_minutes: int, length: int) -> Grid:
    """The grid of a stretch of time. A step divides an hour, so that hours and days begin with one."""
    if not 0 < step_minutes <= 60 or 60 % step_minutes:
        raise ValueError(f"a step of {step_minutes} minutes does not divide an hour")
    return Grid(step_minutes, (begins_at.hour * 60 + begins_at.minute) // step_minutes, length)


def windowed(rows: Array, steps: int) -> Array:
    """Sums of each step and the ones before it, so many in all, across midnight."""
    if steps == 1:
        return rows
    sums = np.cumsum(rows.reshape(-1))
    sums[steps:] = sums[steps:] - sums[:-steps].copy()
    return sums.reshape(rows.shape)


def trailing(rows: Array, days: int, stride: int = 1) -> Array:
    """For each row the ``days`` rows before it, ``stride`` apart, the latest first: (rows, days, …), NaN before all."""
    padded = np.concatenate([np.full((days * stride, *rows.shape[1:]), np.nan), rows])
    starts = (days - np.arange(1, days + 1)) * stride
    found: Array = padded[np.arange(len(rows))[:, None] + starts]
    return found
