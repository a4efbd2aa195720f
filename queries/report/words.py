"""Words and times of a report's sentences; their figures are written by `formatting`, as in tables and charts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from queries.report.formatting import as_utc, minute

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from queries.report.model import Window

_NUMBERS: Final = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
_DAY: Final = timedelta(days=1)
_SUBJECT_MAX: Final = 120


def counted(value: int, noun: str, plural: str = "") -> str:
    """'1 request', '97 requests'."""
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"


def number_word(value: int) -> str:
    """'Two', as it begins a sentence; from ten on in digits."""
    return _NUMBERS[value] if value < len(_NUMBERS) else f"{value:,}"


def megabytes(value: float) -> str:
    """Memory, as Heroku counts it."""
    return f"{value:,.0f} MB"


def times(count: int) -> str:
    """'once', '3 times'."""
    return "once" if count == 1 else f"{count:,} times"


def at(moment: datetime, window: Window) -> str:
    """'10:51 UTC'; with its date if the window is longer than a day, or does not hold the moment."""
    return f"{_minute(moment, window)} UTC"


def during(since: datetime, until: datetime, window: Window) -> str:
    """'between 10:51 and 11:20 UTC', or 'at 10:51 UTC' if both are in one minute; a date stands once.

    Where midnight lies between two times without a date, the later one is 'the next day'.
    """
    first, last = _minute(since, window), _minute(until, window)
    if first == last:
        return f"at {first} UTC"
    is_one_day = as_utc(since).date() == as_utc(until).date()
    if " " in first and is_one_day:
        last = f"{as_utc(until):%H:%M}"
    next_day = "" if is_one_day or " " in first or " " in last else " the next day"
    return f"between {first} and {last} UTC{next_day}"


def _minute(moment: datetime, window: Window) -> str:
    needs_date = window.until - window.since > _DAY or not window.since <= moment <= window.until
    return minute(moment) if needs_date else f"{as_utc(moment):%H:%M}"


def listed(items: Sequence[str], more: int = 0) -> str:
    """'a, b and c', or 'a, b and 3 more'."""
    if more:
        return f"{', '.join(items)} and {more:,} more"
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def named(text: str | None, otherwise: str = "a request without a path") -> str:
    """A route, dyno or file in a sentence, cut where it is long."""
    if text is None:
        return otherwise
    return text if len(text) <= _SUBJECT_MAX else text[: _SUBJECT_MAX - 1] + "…"
