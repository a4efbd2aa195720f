"""Settings of the schedule: cron expressions, the zone they are in, quiet hours, how many false alarms are worth it.

Each function raises ValueError with half a sentence that follows the name and the text.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from drainlake import values
from queries.delivery import cron as cron_expressions
from queries.delivery import quiet as quiet_times

if TYPE_CHECKING:
    from queries.delivery.cron import Cron
    from queries.delivery.quiet import QuietHours

UTC_ZONE: Final = ZoneInfo("UTC")
_SCHEDULED: Final = ("report_at", "check_at", "quiet")


def cron(text: str) -> Cron | None:
    """A cron expression, in UTC until the zone is set; ``off`` is None."""
    return None if text == "off" else cron_expressions.parse(text, UTC_ZONE)


def zone(text: str) -> ZoneInfo:
    """A time zone by its IANA name."""
    try:
        return ZoneInfo(text)
    except (ValueError, OSError, KeyError):
        raise ValueError("must be a time zone such as Europe/Berlin or UTC") from None


def quiet_hours(text: str) -> QuietHours:
    """Quiet hours, in UTC until the zone is set."""
    return quiet_times.parse(text, UTC_ZONE)


def alarm_budget(text: str) -> float:
    """A number of false alarms a week."""
    try:
        value = float(values.number(text))
    except ValueError:
        value = 0.0
    if not 0 < value <= 1000:
        raise ValueError("must be a number of false alarms a week, more than 0 and at most 1000")
    return value


def set_zone(found: dict[str, Any]) -> None:
    """Put what was parsed in UTC into the zone of the settings."""
    for name in _SCHEDULED:
        if found[name] is not None:
            found[name] = replace(found[name], zone=found["timezone"])


def mute_end(text: str, now: datetime, zone: ZoneInfo) -> datetime:
    """When a mute ends, in UTC: a span from now (``7d``), or a date or time in the zone; at most ten years away."""
    wanted = "must be a span such as 7d, or a date to come such as 2026-12-24"
    try:
        if text.strip()[-1:].isalpha() and text.strip()[:1].isdigit() and "T" not in text:
            until = now + (now - values.moment(text, now))
        else:
            read = datetime.fromisoformat(text.strip())
            until = (read.replace(tzinfo=zone) if read.tzinfo is None else read).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(wanted) from None
    if not now < until < now + timedelta(days=3660):
        raise ValueError(wanted)
    return until
