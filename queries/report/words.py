"""Figures and times as a report's sentences say them: one way for each, so that a figure reads the same everywhere."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from queries.report.model import Window

_NUMBERS: Final = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
_BYTES: Final = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3))
_SUBJECT_MAX: Final = 120


def number(value: float) -> str:
    """With thousands separated, and one decimal where it is not whole and small."""
    return f"{value:,.1f}" if value != int(value) and abs(value) < 100 else f"{value:,.0f}"


def counted(value: int, noun: str, plural: str = "") -> str:
    """'1 request', '97 requests'."""
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"


def number_word(value: int) -> str:
    """'Two', as it begins a sentence; from ten on in digits."""
    return _NUMBERS[value] if value < len(_NUMBERS) else f"{value:,}"


def percent(share: float) -> str:
    """A share in percent with two significant digits, which never reads as 0 or 100 unless it is."""
    value = 100 * share
    if 0 < value < 0.01:
        return "under 0.01 %"
    if 99.99 < value < 100:
        return "over 99.99 %"
    return f"{value:.2f} %" if value < 1 or 99 < value < 100 else f"{value:.3g} %"


def size(count: float) -> str:
    """Bytes in the unit that fits, by thousands."""
    for unit, one in _BYTES:
        if abs(count) >= one:
            return f"{count / one:.3g} {unit}" if count / one < 999.5 else f"{count / one:,.0f} {unit}"
    return f"{count:,.0f} bytes"


def megabytes(value: float) -> str:
    """Memory, as Heroku counts it."""
    return f"{value:,.0f} MB"


def duration(ms: float) -> str:
    """Milliseconds, from ten seconds on in seconds."""
    return f"{ms:,.0f} ms" if ms < 10_000 else f"{ms / 1000:,.0f} s"


def at(moment: datetime, window: Window) -> str:
    """'10:51 UTC', with the date if the window is longer than a day."""
    form = "%H:%M" if (window.until - window.since).total_seconds() <= 86_400 else "%Y-%m-%d %H:%M"
    return f"{moment.astimezone(UTC).strftime(form)} UTC"


def during(since: datetime, until: datetime, window: Window) -> str:
    """'between 10:51 and 11:20 UTC', or 'at 10:51 UTC' if both are in one minute."""
    first, last = at(since, window), at(until, window)
    return f"at {first}" if first == last else f"between {first.removesuffix(' UTC')} and {last}"


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
