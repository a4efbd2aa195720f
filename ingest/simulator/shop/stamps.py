"""Times of the day as text, in the forms the lines need, looked up by second instead of formatted."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from ingest.simulator.shop.script import SECOND

if TYPE_CHECKING:
    import numpy as np


_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Stamps:
    """Text forms of times given in microseconds since midnight of one day."""

    def __init__(self, day: date) -> None:
        clocks = [f"{h:02}:{m:02}:{s:02}" for h in range(24) for m in range(60) for s in range(60)]
        self.midnight = datetime.combine(day, time(), UTC)
        self.epoch = int(self.midnight.timestamp())
        self._clocks = clocks
        # Month names by hand: strftime's depend on the locale of whoever runs this, those in logs do not.
        self._php_date = f"{day:%d}-{_MONTHS[day.month - 1]}-{day:%Y} "
        self._nginx_date = f"{day:%Y/%m/%d} "
        iso, combined = f"{day:%Y-%m-%d}T", f"[{day:%d}/{_MONTHS[day.month - 1]}/{day:%Y}:"
        self._iso = [f"{iso}{clock}." for clock in clocks]
        self._combined = [f"{combined}{clock} +0000]" for clock in clocks]

    def frame(self, at: int) -> str:
        """A frame's timestamp, to the microsecond."""
        second, micro = divmod(at, SECOND)
        return f"{self._iso[second]}{micro:06}+00:00"

    def frames(self, at: np.ndarray) -> list[str]:
        """Many frames' timestamps."""
        iso = self._iso
        seconds, micros = (at // SECOND).tolist(), (at % SECOND).tolist()
        return [f"{iso[second]}{micro:06}+00:00" for second, micro in zip(seconds, micros, strict=True)]

    def combined(self, at: np.ndarray) -> list[str]:
        """Many times as an access line has them, in brackets, whole seconds."""
        table = self._combined
        return [table[second] for second in (at // SECOND).tolist()]

    def php(self, at: int) -> str:
        """A time as PHP and php-fpm write it, without zone."""
        return self._php_date + self._clocks[at // SECOND]

    def nginx(self, at: int) -> str:
        """A time as nginx's error log has it."""
        return self._nginx_date + self._clocks[at // SECOND]

    def moment(self, at: int) -> datetime:
        """The time as an aware datetime."""
        return self.midnight + timedelta(microseconds=at)
