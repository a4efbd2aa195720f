"""Which days a question looks at, as its parameters say.

It is a guess that saves time: a question that looks at another day all the same is asked once more with all days there
(see :mod:`queries.few_days`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Stretch = tuple[datetime | None, datetime | None]

LOOK_BACK_DAYS: Final = 30  # of uncompressed_assets, at most
PLANNED_BEFORE: Final = timedelta(days=7)  # from which load_test_verdict plans
WEEK: Final = timedelta(days=7)
DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class Reach:
    """Stretches of time from the first instant to the last; None leaves a side open.

    In ``looked_back`` the router's rows are looked at of days whose sizes of assets are not kept, and in ``balanced``
    those of a load balancer, of which there mostly are none.
    """

    stretches: tuple[Stretch, ...]
    balanced: Stretch | None = None
    looked_back: Stretch | None = None

    @property
    def is_open(self) -> bool:
        """Whether all days are looked at."""
        return (None, None) in self.stretches


def reach(question: str, given: Mapping[str, Any], now: datetime) -> Reach:
    """What a question looks at with the parameters ``given``; those whose names end in since or until are instants."""
    try:
        return _OTHER.get(question, _of_window)(given, now)
    except OverflowError:  # a window at the end of all time
        return Reach(((None, None),))


def _window(given: Mapping[str, Any]) -> Stretch:
    return given.get("since"), given.get("until")


def _of_window(given: Mapping[str, Any], _now: datetime) -> Reach:
    return Reach((_window(given),))


def _compared(given: Mapping[str, Any], now: datetime) -> Reach:
    """compare_periods: a period and one before it, given or to be found where a week or a period earlier is."""
    end = given.get("until") or now
    begin = given.get("since") or end - DAY
    length = end - begin
    if before := given.get("before_since"):
        return Reach(((begin, end), (before, given.get("before_until") or before + length)))
    weeks = WEEK * max(1, -(-length // WEEK))
    return Reach(((begin, end), (begin - weeks, end - weeks), (begin - length, begin)))


def _moved(given: Mapping[str, Any], _now: datetime) -> Reach:
    """migration_diff: a window, and what a load balancer logged before."""
    since, until = _window(given)
    return Reach(((since, until),), balanced=(given.get("before_since"), given.get("before_until") or until))


def _looked_back(given: Mapping[str, Any], _now: datetime) -> Reach:
    """uncompressed_assets: a window and days before it, and what a load balancer logged, whenever that was."""
    since, until = _window(given)
    back = since and since - timedelta(days=LOOK_BACK_DAYS)
    return Reach(((since, until),), balanced=(given.get("balancer_since"), until), looked_back=(back, until))


def _tested(given: Mapping[str, Any], _now: datetime) -> Reach:
    """load_test_verdict: a test, and the time from which it was planned."""
    since, until = _window(given)
    planned = given.get("plan_since") or (since and since - PLANNED_BEFORE), given.get("plan_until") or since
    return Reach(((since, until), planned))


_OTHER: Final[dict[str, Callable[[Mapping[str, Any], datetime], Reach]]] = {
    "compare_periods": _compared,
    "load_test_verdict": _tested,
    "migration_diff": _moved,
    "uncompressed_assets": _looked_back,
}
# Questions that look at other days than their window's.
OF_OTHER_DAYS: Final = _OTHER.keys()
