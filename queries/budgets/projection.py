"""What is left of a budget, how it went, and when it runs out."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from queries.budgets.burn_rates import BUDGET_MINUTES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from queries.budgets.burn_rates import Count
    from queries.budgets.reading import Step

HOURS: Final = BUDGET_MINUTES // 60
PACE_MINUTES: Final = 24 * 60
_PACE_COVERED_MIN: Final = 60


def left(count: Count, budget: Fraction) -> float | None:
    """The share of the budget that is left, below 0 when overspent; None without requests."""
    return float(1 - count.bad / (budget * count.requests)) if count.requests else None


def course(steps: Sequence[Step], budget: Fraction) -> list[float]:
    """The share that was left at the end of each step, of the budget that all steps together have."""
    allowed = budget * sum(step.count.requests for step in steps)
    gone, lefts = 0, []
    for step in steps:
        gone += step.count.bad
        lefts.append(float(1 - gone / allowed) if allowed else 1.0)
    return lefts


def runs_out_at(steps: Sequence[Step], pace: Count, budget: Fraction, until: datetime) -> datetime | None:
    """When the 30 days then past will hold more bad requests than they allow, if all goes on as in ``pace``.

    ``steps`` are hours counted back from ``until``, ``pace`` is the last day: a whole one, since nights are unlike
    days, and no more, since what was mended yesterday must not be projected. The window moves, so what is bad leaves
    it again 30 days later, and so does the good. None if that does not come within 30 days, if it is so already, or if
    less than an hour of the last day is known.
    """
    if pace.covered_minutes < _PACE_COVERED_MIN or not pace.requests:
        return None
    bad_per_hour = Fraction(pace.bad * 60, pace.covered_minutes)
    margin_per_hour = budget * Fraction(pace.requests * 60, pace.covered_minutes) - bad_per_hour
    leaving = {_hours_ago(step, until): budget * step.count.requests - step.count.bad for step in steps}
    margin = sum(leaving.values(), Fraction(0))  # bad requests still allowed
    if margin < 0:
        return None
    for hour in range(1, HOURS + 1):
        margin += margin_per_hour - leaving.get(HOURS + 1 - hour, 0)
        if margin < 0:
            return until + timedelta(hours=hour)
    return None


def _hours_ago(step: Step, until: datetime) -> int:
    """How many hours before the end a step began, 1 for the last."""
    return round((until - step.begins_at) / timedelta(hours=1))
