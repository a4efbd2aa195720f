"""Steps as days: rows of whole UTC days, so that the same moment of other days stands in the same column.

Series of the same stretch of time are computed together: arrays are (series, days, steps of a day), (series, days,
hours) or (series, days).

UTC has no summer time: a rhythm of people moves by an hour twice a year, and the level and the dispersion absorb it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

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
        """Values (series, steps) as (series, days, steps of a day), NaN where there is none."""
        rows = np.full((len(values), self.days * self.per_day), np.nan)
        rows[:, self.lead : self.lead + self.length] = values
        return rows.reshape(len(values), self.days, self.per_day)

    def by_hour(self, rows: Array) -> Array:
        """Steps of a day as (series, days, hours, steps of an hour)."""
        return rows.reshape(*rows.shape[:2], self.hours, -1)

    def flat(self, rows: Array) -> Array:
        """The inverse of ``rows``."""
        return rows.reshape(len(rows), -1)[:, self.lead : self.lead + self.length]


def grid(begins_at: datetime, step_minutes: int, length: int) -> Grid:
    """The grid of a stretch of time. A step divides an hour, so that hours and days begin with one."""
    if not 0 < step_minutes <= 60 or 60 % step_minutes:
        raise ValueError(f"a step of {step_minutes} minutes does not divide an hour")
    return Grid(step_minutes, (begins_at.hour * 60 + begins_at.minute) // step_minutes, length)


class Windows:
    """Windows of any width, each of which ends at its step and goes on across midnight.

    Whole numbers add up in an eighth of the time of others: what is counted is given as such.
    """

    def __init__(self, rows: NDArray[Any]) -> None:
        self._rows = rows

    @cached_property
    def _sums(self) -> NDArray[Any]:
        return np.cumsum(self._rows.reshape(len(self._rows), -1), 1, self._rows.dtype)

    def sums(self, steps: int) -> NDArray[Any]:
        """Sums over so many steps, or those that there are."""
        if steps == 1:
            return self._rows
        found = np.empty_like(self._sums)
        found[:, :steps] = self._sums[:, :steps]
        np.subtract(self._sums[:, steps:], self._sums[:, :-steps], out=found[:, steps:])
        return found.reshape(self._rows.shape)


def trailing(rows: NDArray[Any], days: int, stride: int = 1, *, before: float = np.nan) -> NDArray[Any]:
    """Of each day the ``days`` days before it, ``stride`` apart, the latest first: (days before, series, days, …).

    What is ``before`` stands before all.
    """
    padded = np.concatenate([np.full_like(rows, before, shape=(len(rows), days * stride, *rows.shape[2:])), rows], 1)
    day = padded.strides[1]
    # A view: copies of all the days before each day would be most of what is done.
    return np.ndarray(
        (days, *rows.shape), rows.dtype, padded, (days - 1) * stride * day, (-stride * day, *padded.strides)
    )
