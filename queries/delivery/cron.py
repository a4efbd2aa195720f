"""When a cron expression is due, in a time zone.

The fields are those of cron (minute, hour, day, month, weekday; names, ``*/5``, ``MON#1``, ``L``). What is written for
an hour of the day means the clock on the wall: a time that the clock skips is due at the first moment after the gap,
and a time that it shows twice is due at the first of them, once. Where the hour is ``*`` real time counts: every five
minutes is every five minutes, also in the hour that comes twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final

from cronsim import CronSim, CronSimError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

_EXAMPLE: Final = datetime(2024, 1, 1)  # noqa: DTZ001 - a wall clock
_WALL_SLACK: Final = timedelta(hours=26)  # zones have moved by a whole day


@dataclass(frozen=True)
class Cron:
    """A cron expression in a zone; ``str`` gives the expression."""

    expression: str
    zone: ZoneInfo

    def __str__(self) -> str:
        return self.expression

    def next(self, after: datetime) -> datetime:
        """The first due instant after an instant, in UTC."""
        return next(found for found in self._forward(after) if found > after)

    def latest(self, now: datetime, count: int = 1) -> tuple[datetime, ...]:
        """The ``count`` newest due instants at or before ``now``, newest first, in UTC."""
        return tuple(islice(_once(found for found in self._backward(now) if found <= now), count))

    def between(self, after: datetime, until: datetime, limit: int) -> tuple[datetime, ...]:
        """The newest due instants in (after, until], at most ``limit``, newest first."""
        return tuple(found for found in self.latest(until, limit) if found > after)

    def _forward(self, after: datetime) -> Iterator[datetime]:
        local = after.astimezone(self.zone)
        if _counts_hours(self.expression):
            return (found.astimezone(UTC) for found in CronSim(self.expression, local))
        wall = local.replace(tzinfo=None) - _WALL_SLACK
        return (self._instant(found) for found in CronSim(self.expression, wall))

    def _backward(self, now: datetime) -> Iterator[datetime]:
        # A first step backwards leaves out the instant itself, so it begins after it.
        local = now.astimezone(self.zone)
        if _counts_hours(self.expression):
            begin = (local.astimezone(UTC) + timedelta(minutes=1)).astimezone(self.zone)
            return (found.astimezone(UTC) for found in CronSim(self.expression, begin, reverse=True))
        wall = local.replace(tzinfo=None) + _WALL_SLACK
        return (self._instant(found) for found in CronSim(self.expression, wall, reverse=True))

    def _instant(self, wall: datetime) -> datetime:
        """The first instant at which a clock on the wall shows this time or, where it skips it, a later one."""
        early, late = (wall.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        if early <= late:
            return early
        # In a gap the two readings lie on either side of it: the gap begins where the offset changes.
        low, high = late, early
        offset = low.astimezone(self.zone).utcoffset()
        while high - low > timedelta(seconds=1):
            middle = low + (high - low) // 2
            low, high = (middle, high) if middle.astimezone(self.zone).utcoffset() == offset else (low, middle)
        return high.replace(microsecond=0)


def parse(text: str, zone: ZoneInfo) -> Cron:
    """A cron expression of five fields; raises ValueError with half a sentence."""
    wrong = "must be five fields of cron, such as `0 7 * * *` or `*/5 * * * *`"
    if len(text.split()) != 5 or len(text) > 200:
        raise ValueError(wrong)
    cron = Cron(" ".join(text.split()), zone)
    try:
        next(CronSim(cron.expression, _EXAMPLE))
    except CronSimError as error:
        raise ValueError(f"{wrong} ({str(error).lower()})") from None
    except (StopIteration, RuntimeError):
        raise ValueError(f"{wrong} (this one is never due)") from None
    return cron


def _counts_hours(expression: str) -> bool:
    return expression.split()[1] == "*"


def _once(found: Iterator[datetime]) -> Iterator[datetime]:
    """Without those at the same instant as the one before: a gap can make one of several."""
    last = None
    for each in found:
        if each != last:
            yield each
        last = each
