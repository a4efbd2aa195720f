"""Did requests time out?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queries.report import series
from queries.report.apps import drawn
from queries.report.checks.timeouts import bursts
from queries.report.model import Section
from queries.report.words import counted, during, listed, named

if TYPE_CHECKING:
    from queries.report.asked import Asked


def section(asked: Asked) -> Section:
    """H12s by burst and route, and the other H codes."""
    return Section(
        "timeouts",
        "Timeouts and failed requests",
        _sentence(asked),
        drawn(asked, series.requests),
        tuple(asked.answer(name) for name in ("h12_autopsy", "h12_timeouts", "error_codes", "status_codes")),
    )


def _sentence(asked: Asked) -> str:
    rows = asked.question("h12_timeouts")
    if not rows:
        return "No request timed out."
    total = sum(row["timeouts"] for row in rows)
    when = during(min(row["first_at"] for row in rows), max(row["last_at"] for row in rows), asked.window)
    culprits = sorted({row["culprit"] for row in bursts(asked) if row["culprit"] is not None})
    held = (
        f"; the workers were held by {listed([named(one) for one in culprits[:3]], len(culprits[3:]))}"
        if culprits
        else ""
    )
    return f"{counted(total, 'request')} on {counted(len(rows), 'route')} timed out (H12) {when}{held}."
