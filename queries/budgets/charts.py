"""Charts of budgets: the bad share against the burn that fires, and what was left of 30 days."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from queries.budgets import projection, reading, wording
from queries.report.model import Chart, Key, Line, Threshold

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import duckdb

    from queries.budgets.burn_rates import Row
    from queries.budgets.reading import Step
    from queries.budgets.standing import Standing

STEPS: Final = 288  # of a day in five minutes
_DAY_MINUTES: Final = 24 * 60


def shares(connection: duckdb.DuckDBPyConnection, standing: Standing, row: Row) -> Chart:
    """The share of bad requests, step by step, of a day or of the row's long window if that is longer."""
    minutes = max(_DAY_MINUTES, row.long_minutes)
    step = timedelta(minutes=minutes // STEPS)
    since = standing.until - timedelta(minutes=minutes)
    read = reading.history(connection, standing.asked, since, minutes // STEPS).get(standing.app, [])
    times = [_end(standing) - step * ago for ago in range(STEPS, 0, -1)]
    known = {item.begins_at: item.count.share for item in read}
    values = [None if (share := known.get(time)) is None else 100 * share for time in times]
    budget = standing.objective.budget
    fires = Threshold(f"{row.urgency} at {wording.length(row.long_minutes)}", float(100 * row.threshold(budget)))
    worst = max(((value, time) for value, time in zip(values, times, strict=True) if value is not None), default=None)
    return Chart(
        title=f"{standing.app}: requests that {_bad(standing)}",
        unit="%",
        times=times,
        lines=(Line(standing.objective.subject, values),),
        keys=() if worst is None else (Key("worst", *worst),),
        thresholds=(Threshold(f"{standing.objective.promise} allows", float(100 * budget)), fires),
    )


def lefts(app: str, standings: Sequence[Standing]) -> Chart:
    """What was left of the budgets of an app at the end of each hour of the 30 days."""
    end = _end(standings[0])
    times = [end - timedelta(hours=ago) for ago in range(projection.HOURS - 1, -1, -1)]
    return Chart(
        title=f"{app}: error budget left",
        unit="%",
        times=times,
        lines=tuple(Line(item.objective.subject, _left(item, times)) for item in standings),
        keys=tuple(
            Key(item.objective.subject, 100 * item.budget_left, end)
            for item in standings
            if item.budget_left is not None
        ),
        thresholds=(Threshold("spent", 0.0),),
    )


def _left(standing: Standing, times: Sequence[datetime]) -> list[float | None]:
    lefts = projection.course(standing.steps, standing.objective.budget)
    known = {_ends(step): 100 * left for step, left in zip(standing.steps, lefts, strict=True)}
    return [known.get(time) for time in times]


def _ends(step: Step) -> datetime:
    return step.begins_at + timedelta(hours=1)


def _end(standing: Standing) -> datetime:
    """Where the steps end: the full minute."""
    return standing.until.replace(second=0, microsecond=0)


def _bad(standing: Standing) -> str:
    ms = standing.objective.latency_ms
    return "failed" if ms is None else f"took over {wording.limit(ms)}"
