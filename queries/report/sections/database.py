"""How is the database?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queries.report import series
from queries.report.apps import drawn
from queries.report.model import Section, Threshold
from queries.report.words import at, counted, named

if TYPE_CHECKING:
    from queries.report.asked import Asked
    from queries.report.model import Chart


def section(asked: Asked) -> Section:
    """Connections over time with their limit, and what breaks its threshold."""
    answers = (asked.answer("database_connections"), asked.answer("database_health"))
    return Section("database", "Database", _sentence(asked), drawn(asked, _chart), answers)


def _sentence(asked: Asked) -> str:
    rows = [row for row in asked.question("database_connections") if row["peak_connections"] is not None]
    if not rows:
        return "No database reported its connections."
    top = max(rows, key=lambda row: (row["peak_share"] or 0.0, row["peak_connections"]))
    of = f" of {top['max_connections']:,}" if top["max_connections"] is not None else ""
    refused = f"; {counted(top['refused'], 'connection was', 'connections were')} refused" if top["refused"] else ""
    when = at(top["peak_at"], asked.window)
    return f"{named(top['source'])} had {top['peak_connections']:,}{of} connections open at most, at {when}{refused}."


def _chart(asked: Asked, app: str) -> Chart:
    limits = {row["max_connections"] for row in asked.question("database_connections") if row["app"] == app}
    known = sorted(limit for limit in limits if limit)
    return series.connections(asked, app, tuple(Threshold("limit", limit) for limit in known))
