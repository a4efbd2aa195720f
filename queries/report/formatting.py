"""Values as people read them: numbers, amounts with a unit, shares, durations, instants, cells of an answer.

All give short plain text; NULL and what is no number become a dash. Nothing is rounded up into a claim: a share
below one never reads as 100 %.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from queries.report.model import Window

DASH: Final = "–"  # noqa: RUF001 - a dash is what it is
_SIZES: Final = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_COUNTS_END: Final = 1e15


def number(value: float) -> str:
    """A number with thousands separators; of a fraction three digits that count, of what is beyond all counts too."""
    if not math.isfinite(value):
        return DASH
    if abs(value) >= _COUNTS_END:
        return f"{value:.3g}"
    if value == int(value):
        return f"{int(value):,}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) < 0.001:
        return f"{value:.3g}"
    decimals = 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:.{decimals}f}".rstrip("0").rstrip(".")


def duration(value_ms: float) -> str:
    """Milliseconds as ``264 ms``, ``30.0 s``, ``37 min 25 s``, ``2 h 05 min`` or ``3 d 04 h``."""
    if not math.isfinite(value_ms):
        return DASH
    if abs(value_ms) >= _COUNTS_END:
        return f"{value_ms:.3g} ms"
    if abs(value_ms) < 1000:
        return f"{number(value_ms)} ms"
    if abs(value_ms) < 120_000:
        return f"{value_ms / 1000:.{2 if abs(value_ms) < 9995 else 1}f} s"
    seconds = round(value_ms / 1000)
    for size, large, small, part in ((86400, "d", "h", 3600), (3600, "h", "min", 60), (60, "min", "s", 1)):
        if abs(seconds) >= size:
            whole, rest = divmod(abs(seconds), size)
            return f"{'-' if seconds < 0 else ''}{whole:,} {large} {rest // part:02d} {small}"
    raise AssertionError(seconds)


def size(value_bytes: float) -> str:
    """Bytes in decimal units: ``812 bytes``, ``48.2 kB``, ``1.53 MB``."""
    if not math.isfinite(value_bytes):
        return DASH
    if abs(value_bytes) >= 1e3 * _COUNTS_END:
        return f"{value_bytes:.3g} bytes"
    for unit_bytes, unit in _SIZES:
        if abs(value_bytes) >= unit_bytes:
            return f"{_three_digits(value_bytes / unit_bytes)} {unit}"
    return f"{number(value_bytes)} bytes"


def _three_digits(value: float) -> str:
    return f"{value:,.{max(0, 2 - int(math.log10(abs(value))))}f}"


def percent(value: float) -> str:
    """A percentage, 0 to 100, with two decimals at most; what is not all, or not nothing, never reads so."""
    if not math.isfinite(value):
        return DASH
    if abs(value) >= 1000:
        return f"{number(value)} %"
    if 0 < value < 0.01:
        return "< 0.01 %"
    if 99 < value < 100:
        return f"{math.floor(value * 100) / 100:g} %"
    return f"{round(value, 2 if abs(value) < 10 else 1):g} %"


def share(value: float) -> str:
    """A share, 0 to 1, as a percentage."""
    return percent(value * 100)


def amount(value: float | None, unit: str) -> str:
    """A value of a chart with its unit; of a percentage the value is 0 to 100."""
    if value is None or not math.isfinite(value):
        return DASH
    known = _UNITS.get(unit)
    return known(value) if known else f"{number(value)} {unit}".rstrip()


def bare(value: float | None, unit: str) -> str:
    """The same where the unit stands above already: it is left out unless it changes with the size of the value."""
    return amount(value, unit if unit in _UNITS else "")


_UNITS: Final[dict[str, Callable[[float], str]]] = {
    "ms": duration,
    "s": lambda value: duration(value * 1000),
    "seconds": lambda value: duration(value * 1000),
    "bytes": size,
    "%": percent,
    "share": share,
}


def instant(moment: datetime, window: Window) -> str:
    """``10:51:14``, in UTC; with its date where that is not the one day of the window, whose end is ``24:00:00``."""
    moment = as_utc(moment)
    first, last = as_utc(window.since), as_utc(window.until) - timedelta(microseconds=1)
    if first.date() == moment.date() == last.date():
        return f"{moment:%H:%M:%S}"
    if first.date() == last.date() and moment == last + timedelta(microseconds=1) and f"{moment:%H%M%S}" == "000000":
        return "24:00:00"
    year = "" if moment.year == last.year else f" {moment.year}"
    return f"{moment.day} {moment:%b}{year} {moment:%H:%M:%S}"


def minute(moment: datetime) -> str:
    """``2026-11-25 06:00``, in UTC."""
    return f"{as_utc(moment):%Y-%m-%d %H:%M}"


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC with microseconds: ``2026-11-25T10:51:14.000000Z``."""
    return as_utc(moment).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def as_utc(moment: datetime) -> datetime:
    """The same instant in UTC; one without a zone is in UTC already."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


# The end of a column's name says its unit; as a heading the name is shown without it.
_ENDINGS: Final[tuple[tuple[str, Callable[[float], str]], ...]] = (
    ("_ms", duration),
    ("_seconds", lambda value: duration(value * 1000)),
    ("_bytes", size),
    ("_percent", percent),
    ("_share", share),
    ("_mb", lambda value: f"{number(value)} MB"),
)
_WHOLE_NAMES: Final = {"bytes": size, "share": share, "bytes_each": size, "bytes_sent": size}
_HEADINGS: Final = {"bytes_each": "bytes each", "bytes_sent": "bytes sent"}
# Names that stand beside another which differs in its unit alone: culprit, culprit_seconds, culprit_share.
_KEPT: Final = {"_share": " share", "_percent": " percent", "_seconds": " time"}


def heading(column: str) -> str:
    """A column's name as a heading: words; a unit that its cells carry is left out, unless it tells columns apart."""
    if column in _WHOLE_NAMES:
        return _HEADINGS.get(column, column)
    for ending, _ in _ENDINGS:
        if len(column) > len(ending) and column.endswith(ending):
            column = column.removesuffix(ending) + _KEPT.get(ending, "")
    return column.removesuffix("_at").replace("_", " ")


def cell(column: str, value: Any, window: Window) -> str:
    """A value of an answer as text; NULL is a dash."""
    if value is None:
        return DASH
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float | Decimal):
        return _number_cell(column, float(value) if isinstance(value, Decimal) else value)
    if isinstance(value, datetime):
        return instant(value, window)
    if isinstance(value, timedelta):
        return duration(value / timedelta(milliseconds=1))
    return value.isoformat() if isinstance(value, date) else json.dumps(value, ensure_ascii=False, default=str)


def _number_cell(column: str, value: float) -> str:
    if column in _WHOLE_NAMES:
        return _WHOLE_NAMES[column](value)
    shown = next((shown for ending, shown in _ENDINGS if column.endswith(ending)), number)
    return shown(value)


def is_right(values: list[Any]) -> bool:
    """Whether a column is aligned to the right: all that is known in it are numbers or durations."""
    known = [value for value in values if value is not None]
    return bool(known) and all(
        isinstance(value, int | float | Decimal | timedelta) and not isinstance(value, bool) for value in known
    )
