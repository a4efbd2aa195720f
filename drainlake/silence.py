"""Which apps have fallen silent: their drains brought nothing for hours in which they usually bring something. Pure.

An app that is quiet at night or on Sundays must not alarm each night or Sunday. So the hours just past are compared
with the same hours of the day before and, where the app is older, of a week before: all must have had deliveries. An
app that was taken off on purpose is silent for a day, then it is forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from drainlake.parts import Part
from queries.report.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SILENT_HOURS: Final = 3
NAMED_MAX: Final = 5


@dataclass(frozen=True)
class Heard:
    """Deliveries of an app: in the last ``SILENT_HOURS``, in the same hours of yesterday and of a week ago, and in the
    24 hours before those."""

    app: str
    now: int
    yesterday: int
    week_ago: int
    before_week_ago: int


def judge_silence(apps: Iterable[Heard]) -> Iterator[Part]:
    """One part that names the silent apps; none if there are no apps."""
    known = [each for each in apps if each.now or each.yesterday]
    silent = sorted(each.app for each in known if is_silent(each))
    if silent:
        more = f" and {len(silent) - NAMED_MAX} more" if len(silent) > NAMED_MAX else ""
        names = ", ".join(silent[:NAMED_MAX]) + more
        state = f"nothing from {names} for {SILENT_HOURS} h, unlike yesterday at this time"
        yield Part("drains", state, well=False)
    elif known:
        yield Part("drains", f"{counted(len(known), 'app')}, and none fell silent")


def is_silent(heard: Heard) -> bool:
    """Whether an app should have been heard."""
    is_older = heard.before_week_ago > 0
    return not heard.now and heard.yesterday > 0 and (heard.week_ago > 0 or not is_older)
