"""Which part of a long window a dear question is asked of.

A question that sorts requests, or reads their paths, takes about two CPU seconds for a million of them: a month of a
busy site would take it minutes and gigabytes. What the one-minute series tell (how many, how many failed, how fast, how
many at once) is told of all of a window. The rest is asked of the hours in which there is most to see, and whoever
tells of it says of which hours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from itertools import accumulate
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from queries.report.model import Window

# A day is always asked whole, also one of 25 hours by a local clock.
LONG: Final = timedelta(hours=25)
REQUESTS_MAX: Final = 1_000_000
HOURS_MAX: Final = 24
BURSTS_MAX: Final = 4
BURST_LEAST: Final = 5
# Where timeouts never end the autopsy compares all that ran at once, which takes ten times what a sort does.
BURST_REQUESTS_MAX: Final = 500_000
_HOUR: Final = timedelta(hours=1)
# What a route takes by itself is learnt from the time around a burst.
_MARGIN: Final = timedelta(minutes=30)


class Part(Enum):
    """Hours of a window, as a note calls them."""

    NEWEST = "its newest hours"
    DAY = "its last day"
    BUSIEST = "the hours around the most requests at once"
    TIMEOUTS = "the hours with most timeouts"
    WORST = "the hours around the one with most timeouts"
    CONNECTIONS = "the hours around the most database connections"


# All that read requests, and `memory_leaks`, which compares all values of a dyno's life with each other.
PART_OF: Final[Mapping[str, Part]] = {
    "cold_dynos": Part.DAY,  # dynos are restarted once a day
    "concurrency_levels": Part.BUSIEST,
    "crawlers": Part.NEWEST,
    "database_connections": Part.CONNECTIONS,
    "deploy_impact": Part.DAY,
    "dyno_restarts": Part.DAY,
    "h12_autopsy": Part.TIMEOUTS,
    "h12_timeouts": Part.WORST,
    "latency": Part.NEWEST,
    "load_test_plan": Part.BUSIEST,
    "memory_leaks": Part.DAY,
    "migration_diff": Part.NEWEST,
    "peak_concurrency": Part.BUSIEST,
    "php_capacity": Part.BUSIEST,
    "php_memory": Part.DAY,
    "php_slow": Part.DAY,
    "routes": Part.NEWEST,
    "slowest": Part.NEWEST,
    "status_codes": Part.NEWEST,
    "uncompressed_assets": Part.NEWEST,
}


@dataclass(frozen=True)
class Hour:
    """What is known of an hour from the one-minute series, over all apps that are asked about."""

    begins_at: datetime
    requests: int = 0
    peak: int = 0
    connections: float = 0.0
    timeouts: int = 0


def is_long(window: Window, requests: int) -> bool:
    """Whether dear questions are asked of a part of the window."""
    return window.until - window.since > LONG and requests > REQUESTS_MAX


def stretches(window: Window, hours: Sequence[Hour], part: Part) -> tuple[Window, ...]:
    """The windows to ask instead of the long one, in order of time. ``hours`` are all that it touches."""
    if part is Part.TIMEOUTS and (found := _bursts(window, hours)):
        return found
    if part is Part.DAY:
        return (replace(window, since=max(window.since, window.until - HOURS_MAX * _HOUR)),)
    value = _VALUES.get(part)
    highest = max((value(hour) for hour in hours), default=0.0) if value else 0.0
    centre = next(place for place, hour in enumerate(hours) if value(hour) == highest) if highest and value else None
    first, last = _around(hours, len(hours) - 1 if centre is None else centre)
    return (_cut(window, hours[first].begins_at, hours[last].begins_at + _HOUR),)


_VALUES: Final[Mapping[Part, Callable[[Hour], float]]] = {
    Part.BUSIEST: lambda hour: hour.peak,
    Part.TIMEOUTS: lambda hour: hour.timeouts,
    Part.WORST: lambda hour: hour.timeouts,
    Part.CONNECTIONS: lambda hour: hour.connections,
}


def _around(hours: Sequence[Hour], centre: int) -> tuple[int, int]:
    """The first and the last of the hours around one, as many as the limits allow, as even as the window does."""
    first = last = centre
    requests = hours[centre].requests
    while last - first + 1 < min(HOURS_MAX, len(hours)):
        is_earlier = first > 0 and (last == len(hours) - 1 or centre - first <= last - centre)
        further = first - 1 if is_earlier else last + 1
        requests += hours[further].requests
        if requests > REQUESTS_MAX:
            break
        first, last = min(first, further), max(last, further)
    return first, last


def _bursts(window: Window, hours: Sequence[Hour]) -> tuple[Window, ...]:
    """The hours with most timeouts, with some time around them; those that touch are one."""
    bursts = sorted((hour for hour in hours if hour.timeouts >= BURST_LEAST), key=lambda hour: -hour.timeouts)
    sums = list(accumulate(2 * hour.requests for hour in bursts[:BURSTS_MAX]))
    worst = bursts[: max(1, sum(held <= BURST_REQUESTS_MAX for held in sums))]
    found: list[Window] = []
    for hour in sorted(worst, key=lambda hour: hour.begins_at):
        one = _cut(window, hour.begins_at - _MARGIN, hour.begins_at + _HOUR + _MARGIN)
        if found and one.since <= found[-1].until:
            one = replace(one, since=found.pop().since)
        found.append(one)
    return tuple(found)


def _cut(window: Window, since: datetime, until: datetime) -> Window:
    return replace(window, since=max(since, window.since), until=min(until, window.until))
