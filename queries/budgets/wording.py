"""What is said of a standing, in one sentence of plain text. App and route may be hostile: renderers escape."""

from __future__ import annotations

import math
from datetime import timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from queries.budgets.burn_rates import ALLOWED_MIN, BUDGET_MINUTES, State
from queries.budgets.objectives import DAYS, decimal, decimal_places, rounded_down

if TYPE_CHECKING:
    from datetime import datetime

    from queries.budgets.burn_rates import Count, Row
    from queries.budgets.objectives import Objective
    from queries.budgets.standing import Standing

_LENGTHS: Final = {60: "hour", 1440: "24 hours", 4320: "3 days"}
_SOON: Final = timedelta(days=2)
_SHARE_COVERED_ALL: Final = 0.995
_FEW_DAYS_MINUTES: Final = 2 * 24 * 60


def sentence(standing: Standing) -> str:
    """``shop: 99.95 % of 1,204,331 requests answered in 30 days; 48 % of the error budget is left; …``"""
    place = standing.app if standing.objective.route is None else f"{standing.app} {standing.objective.route}"
    if not standing.requests:
        return f"{place}: {_nothing(standing)}, so nothing is known of {standing.objective.promise}."
    parts = [*_burn(standing), _reached(standing), _budget(standing), *_end(standing), *_gap(standing)]
    return f"{place}: {'; '.join(parts)}."


def length(minutes: int) -> str:
    """A window's length in words, to stand behind "the last"."""
    return _LENGTHS.get(minutes) or (f"{minutes // 60} hours" if minutes % 60 == 0 else f"{minutes} minutes")


def times(count: Count, objective: Objective) -> str:
    """How many times what is allowed went bad: the burn rate, rounded to what it is known to."""
    burn = float(count.bad / (count.requests * objective.budget))
    return decimal_places(burn, 0 if burn >= 10 else 1)


def happened(count: Count, objective: Objective) -> str:
    """``3 of 20 requests failed``, or took longer than the limit."""
    bad = "failed" if objective.latency_ms is None else f"took over {limit(objective.latency_ms)}"
    return f"{count.bad:,} of {count.requests:,} requests {bad}"


def limit(latency_ms: int) -> str:
    """A limit as people say it: 800 ms, 2.5 s."""
    return f"{latency_ms} ms" if latency_ms < 1000 else f"{decimal(Fraction(latency_ms, 1000))} s"


def reached(count: Count, objective: Objective) -> str:
    """The good share in percent, rounded down, with one place more than the target: it never reads as met when not."""
    percent = decimal(objective.target * 100)
    places = len(percent.partition(".")[2]) + 1
    return f"{rounded_down(Fraction(100 * (count.requests - count.bad), count.requests), places)} %"


def day(moment: datetime, until: datetime) -> str:
    """The day, and the time of day where that is near."""
    text = f"{moment.day} {moment:%B}"
    return f"{text} at {moment:%H:%M} UTC" if moment - until <= _SOON else text


def _nothing(standing: Standing) -> str:
    if standing.month.covered_minutes:
        return f"no request in {_days(standing.month)}"
    return f"the log covers nothing of the last {DAYS} days"


def _burn(standing: Standing) -> list[str]:
    row = standing.judgement.row
    if row is None:
        return []
    count, objective = standing.counts[row.long_minutes], standing.objective
    told = f"{happened(count, objective)} in the last {length(row.long_minutes)}"
    if standing.judgement.state is State.TOO_FEW:
        return [f"{told}, too few to tell whether the error budget burns"]
    return [f"{told}, {times(count, objective)} times what {objective.promise} allows{_still(standing, row)}"]


def _still(standing: Standing, row: Row) -> str:
    short = standing.counts[row.short_minutes]
    last = f" the last {length(row.short_minutes)}"
    return f", {short.bad:,} of {short.requests:,} in{last}" if short.requests else f", and none came in{last}"


def _reached(standing: Standing) -> str:
    ms = standing.objective.latency_ms
    good = "answered" if ms is None else f"within {limit(ms)}"
    share = reached(standing.month, standing.objective)
    return f"{share} of {standing.requests:,} requests {good} in {_days(standing.month)}"


def _days(month: Count) -> str:
    if month.covered_minutes >= _SHARE_COVERED_ALL * BUDGET_MINUTES:
        return f"{DAYS} days"
    if month.covered_minutes < _FEW_DAYS_MINUTES:
        hours, minutes = divmod(month.covered_minutes, 60)
        return f"the {hours} hours that the log covers" if hours > 1 else f"the {hours * 60 + minutes} minutes of log"
    covered = rounded_down(Fraction(month.covered_minutes, 24 * 60), 1)
    return f"the {covered} of {DAYS} days that the log covers"


def _budget(standing: Standing) -> str:
    assert standing.budget_left is not None
    objective, month = standing.objective, standing.month
    allowed = month.requests * objective.budget
    if standing.is_spent:
        few = {0: "none was", 1: "1 was"}.get(math.floor(allowed), f"{math.floor(allowed):,} were")
        return f"the error budget is spent, {month.bad:,} where {few} allowed"
    if allowed < ALLOWED_MIN:
        needed = math.ceil(ALLOWED_MIN / objective.budget)
        return f"these are too few requests to tell {decimal(objective.target * 100)} %, which takes {needed:,}"
    percent = math.floor(standing.budget_left * 100 + 1e-9)
    share = f"{percent} %" if percent or not standing.budget_left else "under 1 %"
    return f"{share} of the error budget is left"


def _end(standing: Standing) -> list[str]:
    if standing.runs_out_at is None or standing.month.requests * standing.objective.budget < ALLOWED_MIN:
        return []
    return [f"at the pace of the last 24 hours it ends on {day(standing.runs_out_at, standing.until)}"]


def _gap(standing: Standing) -> list[str]:
    """The longest recent stretch of which nothing is known: there the standing is old."""
    dark = [m for m, count in standing.counts.items() if m >= 60 and not count.covered_minutes]
    return [f"the log covers nothing of the last {length(max(dark))}"] if dark else []
