"""What the detector reads and what it says.

Time is cut into steps of equal length; a series has one value per step. A value is NaN where it cannot be known: the
log did not cover the step (``minutes.is_covered``), or nothing was measured in it. That is never a zero, and never an
alarm but for what is made to see silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Scale(StrEnum):
    """How the values of a series vary when nothing is wrong, which chooses their exact tail."""

    COUNT = "count"  # events per step: Poisson or wider
    SHARE = "share"  # of ``of`` events, ``values`` were such: binomial or wider
    LEVEL = "level"  # a measured amount: ms, MB, connections


@dataclass(frozen=True)
class Series:
    """One measure of one app, route, dyno or error code; the arrays have one value per step.

    ``measure`` is a column of ``minutes``, or ``p95_ms``. ``values`` of a share are the events counted (failed
    requests) and ``of`` what they are a share of (requests); ``of`` is None for others.
    """

    app: str
    per: str
    key: str | None
    measure: str
    scale: Scale
    values: NDArray[np.float64]
    of: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class SeriesSet:
    """All series of the same stretch of time, from ``begins_at`` (UTC, the start of the first step)."""

    begins_at: datetime
    step_minutes: int
    series: tuple[Series, ...]

    def at(self, step: int) -> datetime:
        """When a step begins."""
        return self.begins_at + timedelta(minutes=step * self.step_minutes)


class Shape(StrEnum):
    """What a series did."""

    SPIKE = "spike"
    DIP = "dip"
    SHIFT_UP = "shift up"
    SHIFT_DOWN = "shift down"
    CLIMB = "climb"
    FLAT = "flat"
    ZERO = "zero"  # nothing happens any more, while the log still comes
    SILENCE = "silence"  # the log itself does not come any more


@dataclass(frozen=True)
class Alarm:
    """One episode of one series: steps ``first`` to ``last``, both included, known from step ``rings`` on.

    ``value`` is the worst value, at step ``worst``, and ``expected`` what was normal there; of a share both are shares.
    ``surprise`` is minus the decimal logarithm of how likely this is without a cause: it orders alarms.
    """

    series: Series
    shape: Shape
    first: int
    last: int
    rings: int
    worst: int
    value: float
    expected: float
    surprise: float
