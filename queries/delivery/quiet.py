"""Quiet hours: a stretch of each day, on the clock on the wall, in which only what is critical rings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_TIME: Final = r"([01]?\d|2[0-3]):([0-5]\d)"
_HOURS: Final = re.compile(rf"{_TIME}\s*-\s*{_TIME}")


@dataclass(frozen=True)
class QuietHours:
    """From ``begin`` until before ``end`` of each day, over midnight where the end is the earlier one."""

    begin: time
    end: time
    zone: ZoneInfo

    def __str__(self) -> str:
        return f"{self.begin:%H:%M}-{self.end:%H:%M}"

    def contain(self, now: datetime) -> bool:
        """Whether an instant lies in them."""
        wall = now.astimezone(self.zone).time()
        if self.begin < self.end:
            return self.begin <= wall < self.end
        return wall >= self.begin or wall < self.end


def parse(text: str, zone: ZoneInfo) -> QuietHours:
    """Quiet hours from ``22:00-07:00``; raises ValueError with half a sentence."""
    match = _HOURS.fullmatch(text.strip())
    if match is None:
        raise ValueError("must be two times of day, such as 22:00-07:00")
    begin, end = time(int(match[1]), int(match[2])), time(int(match[3]), int(match[4]))
    if begin == end:
        raise ValueError("must begin and end at different times, such as 22:00-07:00")
    return QuietHours(begin, end, zone)
