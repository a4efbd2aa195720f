"""The script of the day: what happens when, in microseconds since midnight UTC.

Every incident has its own hours, so that none hides another and each figure can be told apart.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from datetime import date

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
DAY: Final = 86_400 * SECOND
FULL_LINES: Final = 1_000_000

WORKERS_PER_DYNO: Final = 4  # 512 MB at a memory_limit of 128 MB
ROUTER_TIMEOUT: Final = 30 * SECOND
KILL_AFTER: Final = 30 * SECOND
SLOW_AFTER: Final = 3 * SECOND
NGINX_TIMEOUT: Final = 60 * SECOND


def clock(hours: int, minutes: int, seconds: float = 0.0) -> int:
    """A time of day in microseconds since midnight."""
    return (hours * 60 + minutes) * MINUTE + round(seconds * SECOND)


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of the day, end not included."""

    begins: int
    ends: int

    def holds(self, at: np.ndarray) -> np.ndarray:
        """Which of the times lie within."""
        return (at >= self.begins) & (at < self.ends)


CYCLES: Final = ((clock(3, 12, 4.1), "web.1"), (clock(3, 31, 9.7), "web.2"), (clock(4, 2, 1.3), "worker.1"))
PROBES: Final = (Window(clock(4, 10), clock(4, 31)), Window(clock(21, 6), clock(21, 19)))
EXPORTS: Final = Window(clock(10, 52), clock(10, 57))
EXPORT_REQUESTS: Final = 85
SCALED: Final = clock(11, 20, 14.2)
GAP: Final = clock(13, 40, 7)
GAP_LINES: Final = 312
PILE_UP: Final = Window(clock(15, 5), clock(15, 22))
REPEAT: Final = clock(16, 41, 33)
REPEAT_LINES: Final = 24
LEAK: Final = Window(clock(17, 5), clock(18, 35))
LEAKING: Final = "web.3"
DEPLOY: Final = clock(19, 30, 2.5)

WEB: Final = ("web.1", "web.2", "web.3", "web.4")
WORKERS: Final = ("worker.1",)
QUOTA_MB: Final = 512.0
PRICE_LISTS: Final = 240
MEMORY_LIMIT: Final = 33_554_432
DATABASE_CONNECTIONS: Final = 120
CACHE_FILL: Final = round(2.1 * SECOND)  # what a page takes longer while a dyno's file cache is empty


@dataclass(frozen=True, slots=True)
class Start:
    """A dyno goes down at ``down`` (None: it is new) and is up again at ``up``; ``why`` decides its lines."""

    dyno: str
    down: int | None
    up: int
    why: str


def starts() -> tuple[Start, ...]:
    """All starts of the day, in order of time. Those of one deploy come up one after the other."""
    cycles = [Start(dyno, at, at + round(5.6 * SECOND), "cycle") for at, dyno in CYCLES]
    scaled = [Start(dyno, None, SCALED + round((7.4 + n) * SECOND), "scale") for n, dyno in enumerate(WEB[2:])]
    leak = [Start(LEAKING, LEAK.ends, LEAK.ends + round(6.2 * SECOND), "restart")]
    deployed = [
        Start(dyno, DEPLOY + SECOND, DEPLOY + round((6.1 + 0.4 * n) * SECOND), "deploy")
        for n, dyno in enumerate((*WEB, *WORKERS))
    ]
    return tuple(sorted((*cycles, *scaled, *leak, *deployed), key=lambda start: start.up))


@dataclass(frozen=True, slots=True)
class Day:
    """The day's date, seed and size, handed to every part; a smaller day has fewer requests and samples, but
    the incidents in full."""

    seed: int
    date: date
    lines: int

    @property
    def scale(self) -> float:
        """The share of a full day that the background has."""
        return self.lines / FULL_LINES

    def random(self, part: str) -> np.random.Generator:
        """A generator for one part of the day, so that a change in one part leaves the others as they are."""
        return np.random.default_rng([self.seed, self.date.toordinal(), self.lines, zlib.crc32(part.encode())])

    def every(self, seconds: float, offset_seconds: float = 0.0) -> np.ndarray:
        """Times of something periodic, thinned with the size of the day."""
        step = int(seconds * SECOND / min(1.0, self.scale))
        return np.arange(int(offset_seconds * SECOND), DAY, step)
