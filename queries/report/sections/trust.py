"""What share of the log lines are the answers from?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queries.report import series
from queries.report.apps import drawn
from queries.report.formatting import share
from queries.report.model import Section
from queries.report.words import at, counted

if TYPE_CHECKING:
    from queries.report.asked import Asked


def section(asked: Asked) -> Section:
    """Lines received, lost, repeated and damaged, hour by hour."""
    answer = asked.answer_to("coverage", f"FROM {asked.call('coverage')} ORDER BY dropped DESC, app, hour")
    return Section("trust", "Trust", _sentence(asked), drawn(asked, series.log_lines), (answer,))


def _sentence(asked: Asked) -> str:
    rows = asked.question("coverage")
    new = sum(row["received"] - row["repeated"] for row in rows)
    lost = sum(row["dropped"] for row in rows)
    if not new + lost:
        return "No lines were received in this window."
    repeated, damaged = (sum(row[name] for row in rows) for name in ("repeated", "defective"))
    said = f"{share(new / (new + lost))} of the lines were seen: {new:,} received, {lost:,} lost, {repeated:,} repeated"
    worst = max(rows, key=lambda row: row["dropped"])
    when = f"; most were lost in the hour from {at(worst['hour'], asked.window)}" if worst["dropped"] else ""
    return f"{said}, {counted(damaged, 'line')} damaged{when}."
