"""What an app promises: of all requests in 30 days, a share that is answered, or answered in time.

What the promise leaves over is the error budget. Shares are exact fractions: whether 15 failures of 15,000 requests are
more than 0.1 % must not hang on the last bit of a float.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from fractions import Fraction

EVERY_APP: Final = "*"
DAYS: Final = 30
LATENCY_MAX_MS: Final = 29_000  # at 30 s the router gives up: nothing is known to have taken longer


@dataclass(frozen=True)
class Objective:
    """``target`` (0 to 1) of an app's requests are answered; with ``latency_ms``, of those served, within that time.

    ``app`` may be EVERY_APP. ``route`` is a route of the app; None is the whole app.
    """

    app: str
    target: Fraction
    latency_ms: int | None = None
    route: str | None = None

    @property
    def budget(self) -> Fraction:
        """The share of requests that may be bad."""
        return 1 - self.target

    @property
    def promise(self) -> str:
        """As it is written in the setting: ``99.9% available``, ``95% under 800ms``."""
        target = f"{decimal(self.target * 100)}%"
        return f"{target} available" if self.latency_ms is None else f"{target} under {self.latency_ms}ms"

    @property
    def subject(self) -> str:
        """What it is about, without the target: an objective that is adjusted stays the same one."""
        what = "availability" if self.latency_ms is None else f"latency under {self.latency_ms}ms"
        return what if self.route is None else f"{self.route} {what}"

    def __str__(self) -> str:
        """As it is written in the setting, with the app."""
        place = self.app if self.route is None else f"{self.app} {self.route}"
        return f"{place}: {self.promise}"


def decimal(value: Fraction) -> str:
    """An exact decimal of up to nine places, without trailing zeros."""
    return f"{float(value):.9f}".rstrip("0").rstrip(".")


def rounded_down(value: Fraction | float, places: int) -> str:
    """A decimal that is never more than the value: what is not all must not read as 100."""
    scale = 10**places
    return decimal_places(math.floor(value * scale) / scale, places)


def decimal_places(value: float, places: int) -> str:
    """At most that many places, without trailing zeros."""
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if places else text


def of_app(objectives: Iterable[Objective], app: str) -> tuple[Objective, ...]:
    """The objectives that hold for an app: its own, and those of every app where it has none for the whole app."""
    everything = tuple(objectives)
    own = tuple(item for item in everything if item.app == app)
    if any(item.route is None for item in own):
        return own
    return (*(item for item in everything if item.app == EVERY_APP), *own)
