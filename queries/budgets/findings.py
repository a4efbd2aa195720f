"""What the report takes from here: findings of budgets that burn or are spent, and the section."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from queries.budgets import charts, sections
from queries.budgets.burn_rates import BUDGET_MINUTES, Urgency
from queries.budgets.standing import Standing, Verdict, standings
from queries.report.model import Finding, Severity, Window
from queries.report.quoting import command

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    import duckdb

    from queries.budgets.burn_rates import Row
    from queries.budgets.objectives import Objective
    from queries.report.model import Section

_SEVERITIES: Final = {Urgency.PAGE: Severity.CRITICAL, Urgency.TICKET: Severity.WARNING}


@dataclass
class Budgets:
    """How objectives stand, read once for each end of a window and app, whoever wants it."""

    objectives: Sequence[Objective]
    _found: dict[tuple[datetime, str | None], list[Standing]] = field(default_factory=dict)

    def findings(self, connection: duckdb.DuckDBPyConnection, window: Window) -> Iterator[Finding]:
        """What burns or is spent at the end of the window, the most urgent first."""
        found = []
        for standing in self._standings(connection, window):
            if standing.burning is not None:
                found.append(_burning(connection, standing, standing.burning))
            elif standing.verdict is Verdict.SPENT:
                found.append(_spent(standing))
        yield from sorted(found, key=lambda finding: -finding.severity)

    def section(self, connection: duckdb.DuckDBPyConnection, window: Window) -> Section:
        """How each objective stands at the end of the window; without objectives, what 30 days would have met."""
        if not self.objectives:
            return sections.proposal(connection, window)
        return sections.standings(self._standings(connection, window), window)

    def _standings(self, connection: duckdb.DuckDBPyConnection, window: Window) -> list[Standing]:
        key = (window.until, window.app_name)
        if key not in self._found:
            self._found[key] = standings(connection, self.objectives, window.until, window.app_name)
        return self._found[key]


def _burning(connection: duckdb.DuckDBPyConnection, standing: Standing, row: Row) -> Finding:
    return Finding(
        kind="error_budget_burning",
        app=standing.app,
        subject=standing.objective.subject,
        severity=_SEVERITIES[row.urgency],
        sentence=standing.sentence,
        since=standing.until - timedelta(minutes=row.long_minutes),
        until=standing.until,
        sql=standing.asked.sql("burn_rates"),
        command=_command(standing, row.long_minutes),
        advice=_advice(standing, row.long_minutes),
        chart=charts.shares(connection, standing, row),
    )


def _spent(standing: Standing) -> Finding:
    return Finding(
        kind="error_budget_spent",
        app=standing.app,
        subject=standing.objective.subject,
        severity=Severity.WARNING,
        sentence=standing.sentence,
        since=standing.until - timedelta(minutes=BUDGET_MINUTES),
        until=standing.until,
        sql=standing.asked.sql("burn_history", step_minutes=24 * 60),
        command=_command(standing, BUDGET_MINUTES),
        advice=(
            "Nothing burns fast now, but all in all it was worse than promised: put what makes requests "
            f"{_bad(standing)} before new features, or promise less in DRAINLAKE_OBJECTIVES."
        ),
        chart=charts.lefts(standing.app, [standing]),
    )


def _bad(standing: Standing) -> str:
    return "fail" if standing.objective.latency_ms is None else "slow"


def _advice(standing: Standing, minutes: int) -> str:
    before = _asking("deploy_impact", standing, 2 * minutes)
    lines = [f"If a release came before it, roll it back: `{before}` tells."]
    if standing.objective.latency_ms is None:
        lines.append(f"Which routes and codes fail: `{_asking('error_codes', standing, minutes)}`.")
    else:
        lines.append(f"Who holds the workers: `{_asking('php_capacity', standing, minutes)}`.")
    return "\n".join(lines)


def _command(standing: Standing, minutes: int) -> str:
    return _asking("routes" if standing.objective.latency_ms is None else "latency", standing, minutes)


def _asking(question: str, standing: Standing, minutes: int) -> str:
    window = Window(standing.until - timedelta(minutes=minutes), standing.until)
    return command(question, window, standing.app)
