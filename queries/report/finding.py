"""How a check makes a finding: the statement that gave its row, cut to that row, and the command that digs further."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from queries.report.balancer import limits
from queries.report.model import Finding
from queries.report.notes import narrowed_to
from queries.report.quoting import command, sql_text

if TYPE_CHECKING:
    from datetime import datetime

    from queries.report.asked import Asked, Record
    from queries.report.model import Chart, Severity, Window


def made(  # noqa: PLR0913 - the fields of a finding
    asked: Asked,
    question: str,
    row: Record,
    *,
    kind: str,
    severity: Severity,
    sentence: str,
    sql: str,
    subject: str | None = "",
    times: tuple[datetime | None, datetime | None] = (None, None),
    advice: str = "",
    request_ids: tuple[str | None, ...] = (),
    chart: Chart | None = None,
    window: Window | None = None,
) -> Finding:
    """A finding about ``row``. A time that is None is the window's; ``question`` is what the command asks, of another
    window if one is given. Where only a part of a long window was looked at, that is said beneath it."""
    app = row["app"] or ""
    within = asked.window_at(question, times[0])
    return Finding(
        kind,
        app,
        subject or "",
        severity,
        sentence,
        times[0] or within.since,
        times[1] or within.until,
        sql,
        command(question, window or within, app, **limits(asked, question)),
        advice,
        tuple(found for found in request_ids if found)[:3],
        chart,
        also=(f"This was looked for {narrowed_to(asked, question)} only.",) if question in asked.narrowed else (),
    )


def narrowed(sql: str, row: Record, *names: str) -> str:
    """The statement for those rows alone that agree with ``row`` in the columns named, which hold text."""
    return f"FROM ({sql}) WHERE " + " AND ".join(f"{name} IS NOT DISTINCT FROM {sql_text(row[name])}" for name in names)


def with_also(finding: Finding, *sentences: str, **changes: Any) -> Finding:
    """The finding with more sentences beneath it."""
    return replace(finding, also=(*finding.also, *sentences), **changes)
