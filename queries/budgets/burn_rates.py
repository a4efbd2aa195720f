"""Whether an error budget burns: counts of windows in, verdict out.

Burn 1 uses the budget up in exactly 30 days. The rows are those of Google's SRE workbook, chapter "Alerting on SLOs":
each fires when its long window burns faster than its rate, and its short one still does, so that a burst that is over
stops firing. Both are shares of the requests of covered minutes.

Few requests make any share possible: 1 failure of 20 is burn 50 at 99.9 %, and nothing. So a row fires only if the
failures of its long window would come about in fewer than one in a thousand windows of an app that just keeps its
objective (exact binomial tail), and are at least three. Where the share alone would fire and that is not so, the answer
is "too few requests". For many requests the tail is far below that bound, and the rows are the workbook's own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

BUDGET_MINUTES: Final = 30 * 24 * 60
CHANCE_MAX: Final = 1e-3  # of a window of an app that just keeps its objective to look this bad
FAILURES_MIN: Final = 3
# Where an objective allows fewer failures than this, one more or less decides: the usual least expected count.
ALLOWED_MIN: Final = 5
COVERED_MIN: Final = Fraction(1, 2)  # of a long window; with less its row would be that of a shorter one


@dataclass(frozen=True)
class Count:
    """Requests of the covered minutes of a window, and the bad ones among them (failed, or slow)."""

    requests: int
    bad: int
    covered_minutes: int

    @property
    def share(self) -> float | None:
        """Bad of all, from 0 to 1; None without requests."""
        return self.bad / self.requests if self.requests else None


class Urgency(StrEnum):
    """Who must look: whoever is on call, or whoever plans the week."""

    PAGE = "page"
    TICKET = "ticket"


class State(IntEnum):
    """What the windows show; in order."""

    CALM = 0
    TOO_FEW = 1
    BURNING = 2


@dataclass(frozen=True)
class Row:
    """One rule. It fires over ``burn`` times the budget, or over ``share`` of all requests where that is given."""

    urgency: Urgency
    long_minutes: int
    short_minutes: int
    burn: Fraction = Fraction(0)
    share: Fraction | None = None

    def threshold(self, budget: Fraction) -> Fraction:
        """The share of bad requests that must be exceeded."""
        return self.burn * budget if self.share is None else self.share


ROWS: Final = (
    Row(Urgency.PAGE, 60, 5, Fraction("14.4")),  # 2 % of the budget in 1 hour
    Row(Urgency.PAGE, 6 * 60, 30, Fraction(6)),  # 5 % in 6 hours
    Row(Urgency.TICKET, 24 * 60, 2 * 60, Fraction(3)),  # 10 % in 1 day
    Row(Urgency.TICKET, 3 * 24 * 60, 6 * 60, Fraction(1)),  # 10 % in 3 days
    # For a trickle of requests: at least three failures of a day that are more than half of all. No chance is asked,
    # and the short window is long enough to have a request in it.
    Row(Urgency.TICKET, 24 * 60, 6 * 60, share=Fraction(1, 2)),
)
WINDOWS: Final = tuple(sorted({BUDGET_MINUTES, *(m for row in ROWS for m in (row.long_minutes, row.short_minutes))}))
TOP_BURN: Final = max(row.burn for row in ROWS)


@dataclass(frozen=True)
class Judgement:
    """The state, and the row that says so: the first, so the most urgent. ``row`` is None when all is calm."""

    state: State
    row: Row | None = None


def can_page(budget: Fraction) -> bool:
    """Whether any share of failures is over the fastest row; a larger budget could burn only slower."""
    return TOP_BURN * budget <= 1


def chance(requests: int, bad: int, budget: float) -> float:
    """P[Binomial(requests, budget) >= bad], exact but for rounding, for a share of bad above the budget; else 1.

    Above the mean each term is smaller than the one before, so the sum ends where terms no longer count.
    """
    if bad <= requests * budget:
        return 1.0
    log_term = (
        math.lgamma(requests + 1) - math.lgamma(bad + 1) - math.lgamma(requests - bad + 1)
        + bad * math.log(budget) + (requests - bad) * math.log1p(-budget)
    )  # fmt: skip
    term = total = math.exp(log_term)
    for count in range(bad, requests):
        term *= (requests - count) / (count + 1) * budget / (1 - budget)
        total += term
        if term <= total * 1e-17:
            break
    return min(total, 1.0)


def is_sure(count: Count, budget: Fraction) -> bool:
    """Whether these failures are enough, and hardly those of an app that keeps its objective."""
    return count.bad >= FAILURES_MIN and chance(count.requests, count.bad, float(budget)) < CHANCE_MAX


def judge(counts: Mapping[int, Count], budget: Fraction) -> Judgement:
    """The verdict on the counts of all WINDOWS (by minutes)."""
    judged = [(_state(row, counts, budget), row) for row in ROWS]
    worst = max(state for state, _ in judged)
    return Judgement(worst, None if worst is State.CALM else next(row for state, row in judged if state is worst))


def _state(row: Row, counts: Mapping[int, Count], budget: Fraction) -> State:
    long = counts[row.long_minutes]
    if long.covered_minutes < COVERED_MIN * row.long_minutes or not _is_over(long, row.threshold(budget)):
        return State.CALM
    short = counts[row.short_minutes]
    # A short window without requests shows no recovery: an outage at three in the morning must not end by itself.
    if short.requests and not _is_over(short, row.threshold(budget)):
        return State.CALM
    if is_sure(long, budget) or (row.share is not None and long.bad >= FAILURES_MIN):
        return State.BURNING
    return State.TOO_FEW if long.requests * budget < ALLOWED_MIN else State.CALM


def _is_over(count: Count, threshold: Fraction) -> bool:
    return count.bad > threshold * count.requests
