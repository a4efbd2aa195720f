"""How each objective stands at an instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Final

from queries.budgets import burn_rates, projection, reading, wording
from queries.budgets.burn_rates import ALLOWED_MIN, BUDGET_MINUTES, FAILURES_MIN, WINDOWS, Count, Judgement, State
from queries.budgets.objectives import EVERY_APP, Objective, of_app

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    import duckdb

    from queries.budgets.burn_rates import Row
    from queries.budgets.reading import Asked, Step

_NOTHING: Final = reading.Month({minutes: Count(0, 0, 0) for minutes in WINDOWS}, ())


class Verdict(StrEnum):
    """What to think of an objective; of several that hold the worst is said."""

    BURNING = "burning"
    SPENT = "spent"
    TOO_FEW = "too few requests"
    KEPT = "kept"
    NO_DATA = "no data"


@dataclass(frozen=True)
class Standing:
    """An objective of an app at ``until``: counts of all windows, and what follows from them."""

    app: str
    objective: Objective
    until: datetime
    counts: Mapping[int, Count]
    judgement: Judgement
    budget_left: float | None  # of 1; below 0 when overspent; None without requests
    verdict: Verdict
    runs_out_at: datetime | None  # at the pace of the last day; None if not within 30 days, or spent already
    steps: Sequence[Step] = field(repr=False, default=())  # the hours of the 30 days

    @property
    def target(self) -> float:
        """The share that is promised, from 0 to 1."""
        return float(self.objective.target)

    @property
    def month(self) -> Count:
        """The counts of the 30 days."""
        return self.counts[BUDGET_MINUTES]

    @property
    def requests(self) -> int:
        """Requests of the 30 days that count for it."""
        return self.month.requests

    @property
    def bad(self) -> int:
        """Of these, failed or slow."""
        return self.month.bad

    @property
    def share(self) -> float | None:
        """The share of good requests that was reached in 30 days, from 0 to 1; None without requests."""
        return None if self.month.share is None else 1 - self.month.share

    @property
    def is_spent(self) -> bool:
        """Whether more was bad in 30 days than allowed, burning or not."""
        return is_spent(self.month, self.objective)

    @property
    def burning(self) -> Row | None:
        """The rule that fires, with its urgency and windows; None if none does."""
        return self.judgement.row if self.judgement.state is State.BURNING else None

    @property
    def asked(self) -> Asked:
        """What the questions are asked for it."""
        return reading.asked_of(self.objective, self.app, self.until)

    @property
    def sentence(self) -> str:
        """All of it in one plain sentence."""
        return wording.sentence(self)


def standings(
    connection: duckdb.DuckDBPyConnection,
    objectives: Sequence[Objective],
    until: datetime,
    app_name: str | None = None,
) -> list[Standing]:
    """Each objective of each app, or of one app, by app; an app that is named and was never seen has no data.

    Raises duckdb.Error when the connection has no questions installed.
    """
    if not objectives:
        return []
    # Objectives that ask the same are read once; of all apps at once, which costs no more than one app does.
    month = cache(lambda asked: reading.month(connection, asked))
    found = []
    for app, objective in _each(objectives, reading.apps(connection, until, app_name), app_name):
        asked = reading.asked_of(objective, app_name, until)
        known = month(asked).get(app, _NOTHING)
        found.append(stand(app, objective, until, known.windows, known.steps))
    return found


def stand(
    app: str, objective: Objective, until: datetime, counts: Mapping[int, Count], steps: Sequence[Step]
) -> Standing:
    """The standing that follows from the counts of all windows and the hours of the 30 days."""
    judgement = burn_rates.judge(counts, objective.budget)
    verdict = _verdict(counts[BUDGET_MINUTES], judgement, objective)
    return Standing(
        app=app,
        objective=objective,
        until=until,
        counts=counts,
        judgement=judgement,
        budget_left=projection.left(counts[BUDGET_MINUTES], objective.budget),
        verdict=verdict,
        runs_out_at=projection.runs_out_at(steps, counts[projection.PACE_MINUTES], objective.budget, until),
        steps=tuple(steps),
    )


def _verdict(month: Count, judgement: Judgement, objective: Objective) -> Verdict:
    if not month.requests:
        return Verdict.NO_DATA
    if judgement.state is State.BURNING:
        return Verdict.BURNING
    if is_spent(month, objective):
        return Verdict.SPENT
    if judgement.state is State.TOO_FEW or is_too_small(month, objective):
        return Verdict.TOO_FEW
    return Verdict.KEPT


def is_too_small(month: Count, objective: Objective) -> bool:
    """Whether the objective allows so few bad requests that one more or less decides."""
    return month.requests * objective.budget < ALLOWED_MIN


def is_spent(month: Count, objective: Objective) -> bool:
    """Whether more was bad than allowed; where that would hang on one request, only if chance does not make it so."""
    if month.bad < FAILURES_MIN or month.bad <= month.requests * objective.budget:
        return False
    return not is_too_small(month, objective) or burn_rates.is_sure(month, objective.budget)


def _each(
    objectives: Sequence[Objective], seen: Sequence[str], app_name: str | None
) -> Iterator[tuple[str, Objective]]:
    named = {item.app for item in objectives if item.app != EVERY_APP and app_name in (None, item.app)}
    for app in sorted(named.union(seen)):
        for objective in of_app(objectives, app):
            yield app, objective
