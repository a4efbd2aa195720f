"""The text of DRAINLAKE_OBJECTIVES: ``shop: 99.9% available, 95% under 800ms; *: 99.5% available``.

Entries stand apart by ``;`` or a new line: an app (or ``*``, every app without its own; or an app and a route), a
colon, and promises by ``,``. Raises ValueError with half a sentence, as `values` does.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from drainlake.values import APP_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator
    from fractions import Fraction

    from queries.budgets.objectives import Objective

OBJECTIVES_MAX: Final = 100
_ENTRIES: Final = re.compile(r"[;\n]")
_PROMISE: Final = re.compile(
    r"(?P<percent>\d{1,3}(?:\.\d{1,6})?)\s*%\s*(?:(?P<available>available)|"
    r"(?:under|within|below|<)\s*(?P<limit>\d{1,6}(?:\.\d{1,3})?)\s*(?P<unit>[a-zµ]*))",
    re.IGNORECASE | re.ASCII,
)
_UNIT_MS: Final = {"ms": 1, "s": 1000, "sec": 1000, "second": 1000, "seconds": 1000}


def parse(text: str) -> tuple[Objective, ...]:
    """All objectives, in the order written."""
    found: list[Objective] = []
    for entry in _ENTRIES.split(text):
        if entry.strip():
            found += _entry(entry.strip())
    for number, objective in enumerate(found):
        if _about(objective) in map(_about, found[:number]):
            raise ValueError(f"{objective} is the second objective for the same; give one")
    if len(found) > OBJECTIVES_MAX:
        raise ValueError(f"has {len(found)} objectives; at most {OBJECTIVES_MAX} can be kept in view")
    return tuple(found)


def _about(objective: Objective) -> tuple[str, str | None, int | None]:
    return objective.app, objective.route, objective.latency_ms


def _entry(entry: str) -> Iterator[Objective]:
    place, colon, promises = entry.rpartition(":")
    if not colon:
        raise ValueError(f"{entry!r} must name an app and its objectives, such as 'shop: 99.9% available'")
    app, route = _place(place.strip())
    for promise in promises.split(","):
        yield _objective(app, route, promise.strip())


def _place(place: str) -> tuple[str, str | None]:
    app, _, route = place.partition(" ")
    if app == "*" and route:
        raise ValueError(f"{place!r} must name one app: a route belongs to it")
    if app != "*" and not APP_NAME.fullmatch(app):
        raise ValueError(f"{app!r} must be the name of an app, or * for every app without its own")
    if route and not route.strip().startswith("/"):
        raise ValueError(f"{place!r} must be an app, or an app and a route such as '{app} /checkout'")
    return app, route.strip() or None


def _objective(app: str, route: str | None, promise: str) -> Objective:
    from queries.budgets.objectives import Objective  # noqa: PLC0415 - only who has objectives needs exact fractions

    match = _PROMISE.fullmatch(promise)
    if match is None:
        raise ValueError(f"{promise!r} must be such as '99.9% available' or '95% under 800ms', with a decimal point")
    latency_ms = None if match["available"] else _limit_ms(promise, match["limit"], match["unit"].lower())
    return Objective(app, _target(promise, match["percent"]), latency_ms, route)


def _limit_ms(promise: str, limit: str, unit: str) -> int:
    from fractions import Fraction  # noqa: PLC0415

    from queries.budgets.objectives import LATENCY_MAX_MS  # noqa: PLC0415

    if unit not in _UNIT_MS:
        said = f"the unit {unit!r}" if unit else "no unit"
        raise ValueError(f"{promise!r} has {said}; it must be ms or s")
    value = Fraction(limit) * _UNIT_MS[unit]
    if not 1 <= value <= LATENCY_MAX_MS or value.denominator != 1:
        raise ValueError(f"{promise!r} must be from 1ms to 29s in whole milliseconds: Heroku's router gives up at 30 s")
    return int(value)


def _target(promise: str, percent: str) -> Fraction:
    from fractions import Fraction  # noqa: PLC0415

    from queries.budgets.burn_rates import TOP_BURN, can_page  # noqa: PLC0415

    target = Fraction(percent) / 100
    if target >= 1:
        raise ValueError(f"{promise!r} allows no failure at all, which no error budget can be kept of; try 99.9%")
    if not can_page(1 - target):
        allowed = f"{float(TOP_BURN):g} x {float(100 * (1 - target)):g} %"
        raise ValueError(
            f"{promise!r} could never page, since the fastest alarm rings at {allowed} of all requests,"
            " which is more than all; it must be 93.06% or more"
        )
    return target
