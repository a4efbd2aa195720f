"""Did dynos run out of memory, or will they?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queries.report import series
from queries.report.apps import drawn
from queries.report.formatting import share
from queries.report.model import Section
from queries.report.words import at, during, megabytes, named

if TYPE_CHECKING:
    from queries.report.asked import Asked


def section(asked: Asked) -> Section:
    """R14s and leaks, and the memory of the dynos over time."""
    answers = (asked.answer("r14_memory"), asked.answer("memory_leaks"), asked.answer("dyno_restarts"))
    return Section("memory", "Memory", _sentence(asked), drawn(asked, series.memory), answers)


def _sentence(asked: Asked) -> str:
    over = asked.question("r14_memory")
    if over:
        worst = max(over, key=lambda row: row["errors"])
        when = during(worst["first_at"], worst["last_at"], asked.window)
        if len(over) == 1:
            return f"{named(worst['dyno'], 'A dyno')} was over its memory quota (R14) {when}."
        return f"{len(over):,} dynos were over their memory quota (R14); longest {named(worst['dyno'], 'one')}, {when}."
    minutes = min(series.step_minutes(asked.window), 86_400)
    measured = f"FROM {asked.call('dyno_memory', step_minutes=minutes)} WHERE peak_mb IS NOT NULL"
    rows = asked.records(f"{measured} ORDER BY peak_mb DESC, app, dyno, begins_at LIMIT 1")
    if not rows:
        return (
            "No dyno ran out of memory (no R14); how much they used was not logged (heroku labs: log-runtime-metrics)."
        )
    [top] = rows
    of_quota = f", {share(top['peak_mb'] / top['quota_mb'])} of its quota" if top["quota_mb"] else ""
    when = at(top["peak_at"], asked.window)
    return (
        f"No dyno ran out of memory; most was {megabytes(top['peak_mb'])}{of_quota}, of {named(top['dyno'])} at {when}."
    )
