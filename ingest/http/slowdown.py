"""How late a refusal is answered: later with each failure of an address, within bounds.

Only refusals wait, never what carries good credentials, wherever it comes from: behind a front all have one address.
Refusals that wait are bounded in number, and so are the addresses that are remembered. Pure: time is an argument.
"""

from __future__ import annotations

import math
from typing import Final

FIRST_SECONDS: Final = 0.05  # whoever mistyped a secret sees the 401 soon
DELAY_MAX_SECONDS: Final = 1.5  # Heroku gives up after 5 s, and must see the 401
HALF_LIFE_SECONDS: Final = 10.0
ADDRESSES_MAX: Final = 4096


class Slowdown:
    """Remembers failures by address."""

    def __init__(self, waiting_max: int) -> None:
        self._waiting_max = waiting_max
        self._waiting = 0
        self._failures: dict[str, tuple[float, float]] = {}  # how many, counted down with time, and when

    def enter(self, address: str, now: float) -> float | None:
        """An address failed: the seconds its answer waits, after which :meth:`leave`. None: too many wait already."""
        count, at = self._failures.pop(address, (0.0, now))
        count = min(count * math.exp2((at - now) / HALF_LIFE_SECONDS), 30.0) + 1.0
        if len(self._failures) >= ADDRESSES_MAX:
            del self._failures[next(iter(self._failures))]
        self._failures[address] = (count, now)  # at the end: the first is the one that failed the longest ago
        if self._waiting >= self._waiting_max:
            return None
        self._waiting += 1
        return min(DELAY_MAX_SECONDS, FIRST_SECONDS * math.exp2(count - 1.0))

    def leave(self) -> None:
        """A refusal does not wait any more."""
        self._waiting -= 1
