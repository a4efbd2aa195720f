"""What a report on access logs draws: requests by what became of them, bytes, and visitors hour by hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from queries.access.sums import STEP_MINUTES
from queries.report.model import Chart, Key, Line
from queries.report.series import step_minutes

if TYPE_CHECKING:
    from queries.access.reading import Asking, Record

_STEPS: Final = """SELECT step // {width} AS begin, sum(requests)::BIGINT AS requests, to_bigint(sum(bytes)) AS bytes,
  coalesce(sum(requests) FILTER (WHERE status BETWEEN 300 AND 399), 0)::BIGINT AS redirected,
  coalesce(sum(requests) FILTER (WHERE status BETWEEN 400 AND 499), 0)::BIGINT AS refused,
  coalesce(sum(requests) FILTER (WHERE status >= 500), 0)::BIGINT AS failed
FROM {{steps}} GROUP BY ALL"""

_VISITS: Final = """SELECT hour // {width} AS begin,
  count(DISTINCT visitor) FILTER (WHERE crawler IS NULL) AS visitors,
  count(DISTINCT visitor) FILTER (WHERE crawler IS NOT NULL) AS crawlers
FROM {{visits}} LEFT JOIN {{kinds}} USING (agent) GROUP BY ALL"""


def requests(asking: Asking) -> Chart:
    """Requests, and those that failed."""
    return _chart(asking, "Requests", "requests", {"requests": "requests", "failed": "failed"}, "most requests")


def fates(asking: Asking) -> Chart:
    """What became of those that were not simply answered."""
    lines = {"redirected (3xx)": "redirected", "refused (4xx)": "refused", "failed (5xx)": "failed"}
    return _chart(asking, "Redirected, refused, failed", "requests", lines, "most refused", "refused")


def sent(asking: Asking) -> Chart:
    """Bytes sent."""
    return _chart(asking, "Bytes sent", "bytes", {"bytes sent": "bytes"}, "most", "bytes")


def visitors(asking: Asking) -> Chart:
    """Visitors and crawlers that came at least once in a step of one hour or more."""
    width = -(-_width(asking) * STEP_MINUTES // 60)
    rows = asking.records(_VISITS.format(width=width))
    lines = {"visitors": "visitors", "crawlers": "crawlers"}
    return _drawn("Visitors", "visitors", rows, timedelta(hours=width), lines, ("most visitors", "visitors"))


def _width(asking: Asking) -> int:
    """How many of the sums' steps are one of the chart."""
    return max(1, step_minutes(asking.window) // STEP_MINUTES)


def _chart(asking: Asking, title: str, unit: str, lines: dict[str, str], key: str, of: str = "requests") -> Chart:
    width = _width(asking)
    rows = asking.once(_STEPS.format(width=width))
    return _drawn(title, unit, rows, timedelta(minutes=width * STEP_MINUTES), lines, (key, of))


def _drawn(
    title: str, unit: str, rows: list[Record], step: timedelta, lines: dict[str, str], key: tuple[str, str]
) -> Chart:
    """The lines of all steps from the first to the last. A step without a request is a 0: the log was there."""
    found = {row["begin"]: row for row in rows}
    begins = range(min(found, default=0), max(found, default=-1) + 1)
    drawn = [Line(label, [found[at][name] if at in found else 0 for at in begins]) for label, name in lines.items()]
    label, name = key
    top = max(rows, key=lambda row: (row[name] or 0, -row["begin"]), default=None)
    keys = (Key(label, top[name], _moment(top["begin"], step)),) if top and top[name] else ()
    return Chart(f"{title} {_each(step)}", unit, [_moment(at, step) for at in begins], tuple(drawn), keys)


def _each(step: timedelta) -> str:
    """'an hour', 'in 5 minutes'."""
    minutes = step // timedelta(minutes=1)
    if minutes % 60:
        return f"in {minutes} minutes"
    return "an hour" if minutes == 60 else f"in {minutes // 60} hours"


def _moment(number: int, step: timedelta) -> datetime:
    return datetime.fromtimestamp(number * step.total_seconds(), UTC)
