"""The rows of the workbook, and what few requests can and cannot say."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queries.budgets.burn_rates import (
    CHANCE_MAX,
    FAILURES_MIN,
    ROWS,
    WINDOWS,
    Count,
    Judgement,
    State,
    Urgency,
    can_page,
    chance,
    is_sure,
    judge,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

THREE_NINES = Fraction(1, 1000)
DAYS_3, DAYS_30 = 4320, 43200
PAGES = [row for row in ROWS if row.urgency is Urgency.PAGE]

Stretch = tuple[int, int, float]  # minutes, requests a minute, share of them that is bad


def counted(stretches: Sequence[Stretch], covered: Sequence[bool] | None = None) -> dict[int, Count]:
    """The counts of all windows at the end of these stretches, minute by minute; before them the log was not there."""
    requests = [each for minutes, each, _ in stretches for _ in range(minutes)]
    bad = [round(each * share) for minutes, each, share in stretches for _ in range(minutes)]
    seen = [True] * len(requests) if covered is None else list(covered)
    rows = list(zip(requests, bad, seen, strict=True))
    return {
        window: Count(
            sum(one for one, _, ok in rows[-window:] if ok),
            sum(one for _, one, ok in rows[-window:] if ok),
            sum(ok for _, _, ok in rows[-window:]),
        )
        for window in WINDOWS
    }


def said(judgement: Judgement) -> str:
    """The judgement in short: 'page 60', 'too few 1440', 'calm'."""
    row = judgement.row
    if row is None:
        return "calm"
    return f"{'too few' if judgement.state is State.TOO_FEW else row.urgency} {row.long_minutes}"


GOOD_DAYS = (DAYS_3, 1000, 0.0)
CASES: list[tuple[str, list[Stretch], str]] = [
    ("no failure", [GOOD_DAYS], "calm"),
    ("no requests at all", [(DAYS_3, 0, 0.0)], "calm"),
    ("an error rate at the objective itself", [(DAYS_3, 1000, 0.001)], "calm"),
    ("an error rate a tenth above it, for three days", [(DAYS_3, 10_000, 0.0011)], "ticket 4320"),
    ("an error rate of 3 times the budget is not above it", [(DAYS_3, 1000, 0.003)], "ticket 4320"),
    ("an error rate of 4 times the budget for a day", [GOOD_DAYS, (1440, 1000, 0.004)], "ticket 1440"),
    ("an error rate of 7 times the budget for six hours", [GOOD_DAYS, (360, 1000, 0.007)], "page 360"),
    ("an error rate of 15 times the budget for an hour", [GOOD_DAYS, (60, 1000, 0.015)], "page 60"),
    ("the same for half an hour is no page", [GOOD_DAYS, (30, 1000, 0.015)], "calm"),
    ("everything fails for one minute", [GOOD_DAYS, (1, 1000, 1.0)], "page 60"),
    ("everything failed for a minute, ten minutes ago", [GOOD_DAYS, (1, 1000, 1.0), (10, 1000, 0.0)], "calm"),
    ("half failed for ten minutes, four minutes ago", [GOOD_DAYS, (10, 1000, 0.5), (4, 1000, 0.0)], "page 60"),
    # Of the hour nothing rings any more, but 2 % of the budget in six hours did not end 30 minutes ago.
    ("half failed for ten minutes, twenty minutes ago", [GOOD_DAYS, (10, 1000, 0.5), (20, 1000, 0.0)], "page 360"),
    ("half failed for ten minutes, an hour ago", [GOOD_DAYS, (10, 1000, 0.5), (60, 1000, 0.0)], "ticket 1440"),
    ("half failed for ten minutes, seven hours ago", [GOOD_DAYS, (10, 1000, 0.5), (420, 1000, 0.0)], "calm"),
    ("one of twenty requests of the hour failed", [(DAYS_3, 0, 0.0), (19, 1, 0.0), (1, 1, 1.0)], "too few 60"),
    ("three of twenty failed", [(DAYS_3, 0, 0.0), (17, 1, 0.0), (3, 1, 1.0)], "page 60"),
    ("three of three failed", [(DAYS_3, 0, 0.0), (3, 1, 1.0)], "page 60"),
    ("two of two failed", [(DAYS_3, 0, 0.0), (2, 1, 1.0)], "too few 60"),
    # No requests since: nothing shows that it is over.
    ("three of three failed half an hour ago", [(DAYS_3, 0, 0.0), (3, 1, 1.0), (30, 0, 0.0)], "page 60"),
    ("and one request since was good", [(DAYS_3, 0, 0.0), (3, 1, 1.0), (30, 0, 0.0), (1, 1, 0.0)], "ticket 1440"),
    ("four failures of a day, hours apart", [(DAYS_3, 0, 0.0), *[(1, 1, 1.0), (359, 0, 0.0)] * 4], "ticket 1440"),
    ("a log of ten minutes is no hour", [(10, 1000, 1.0)], "calm"),
    ("a log of half an hour is one, but no day", [(30, 1000, 0.01), (1, 1000, 1.0)], "page 60"),
]


@pytest.mark.parametrize(("stretches", "want"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_rates_bursts_recoveries_and_few_requests(stretches: list[Stretch], want: str) -> None:
    """What three nines say after constant rates, bursts, bursts that are over, and a handful of requests."""
    assert said(judge(counted(stretches), THREE_NINES)) == want


@pytest.mark.parametrize("share", [1.0, 0.5, 0.144, 0.072, 0.0288])
@pytest.mark.parametrize("row", PAGES, ids=lambda row: row.long_minutes)
def test_detection_takes_what_the_workbook_says(row: object, share: float) -> None:
    """An error rate is paged after (1 - objective) / rate x window x burn, the workbook's detection time."""
    assert row in PAGES
    page = next(each for each in PAGES if each is row)
    wanted = float(THREE_NINES) / share * page.long_minutes * float(page.burn)
    fires = [after for after in range(1, page.long_minutes + 1) if _fires(page.long_minutes, share, after)]
    assert fires
    assert fires[0] == math.floor(wanted + 1e-9) + 1
    assert fires == list(range(fires[0], page.long_minutes + 1))


def _fires(long_minutes: int, share: float, after: int) -> bool:
    steady = [(DAYS_3 - after, 10_000, 0.0), (after, 10_000, share)]
    counts = counted(steady)
    others = {window: Count(0, 0, 0) for window in WINDOWS}
    row = next(each for each in PAGES if each.long_minutes == long_minutes)
    kept = {window: counts[window] for window in (row.long_minutes, row.short_minutes)}
    return judge(others | kept, THREE_NINES).state is State.BURNING


@pytest.mark.parametrize("row", ROWS[:4], ids=lambda row: row.long_minutes)
def test_it_stops_within_the_short_window(row: object) -> None:
    """The workbook's reset time: when all is good again, a row is silent after its short window, and not before."""
    of_row = next(each for each in ROWS if each is row)
    states = [
        judge(
            {window: Count(0, 0, 0) for window in WINDOWS}
            | {
                window: count
                for window, count in counted([(DAYS_3, 1000, 0.02), (good, 1000, 0.0)]).items()
                if window in (of_row.long_minutes, of_row.short_minutes)
            },
            THREE_NINES,
        ).state
        for good in (0, of_row.short_minutes // 5, of_row.short_minutes)
    ]
    assert states == [State.BURNING, State.BURNING, State.CALM]


def test_a_row_is_not_judged_by_less_than_half_of_its_window() -> None:
    """Of an hour of which 31 minutes are missing nothing is said, of one of which 30 are missing it is."""
    stretch = [(60, 100, 1.0)]
    assert said(judge(counted(stretch, [False] * 31 + [True] * 29), THREE_NINES)) == "calm"
    assert said(judge(counted(stretch, [False] * 30 + [True] * 30), THREE_NINES)) == "page 60"


def test_minutes_without_coverage_say_nothing() -> None:
    """Failures that were seen in them do not burn, and requests that were seen in them do not dilute."""
    stretch = [(30, 100, 0.0), (30, 100, 1.0)]
    assert said(judge(counted(stretch, [True] * 30 + [False] * 30), THREE_NINES)) == "calm"
    assert said(judge(counted([(30, 10**6, 0.0), (30, 1, 1.0)], [False] * 30 + [True] * 30), THREE_NINES)) == "page 60"


def test_a_trickle_that_mostly_fails_is_a_ticket_where_the_chance_is_not_small() -> None:
    """Three of five slow requests of a day happen to an app that keeps 95 % in one day of 860: the share decides."""
    counts = counted([(DAYS_3 - 1440, 0, 0.0), *[(1, 1, 1.0), (287, 0, 0.0)] * 3, *[(1, 1, 0.0), (287, 0, 0.0)] * 2])
    assert not is_sure(counts[1440], Fraction(1, 20))
    # The last six hours were good.
    assert said(judge(counts, Fraction(1, 20))) == "too few 1440"
    counts = counted([(DAYS_3 - 1440, 0, 0.0), *[(1, 1, 0.0), (287, 0, 0.0)] * 2, *[(1, 1, 1.0), (287, 0, 0.0)] * 3])
    assert said(judge(counts, Fraction(1, 20))) == "ticket 1440"


def test_a_target_below_93_percent_cannot_page() -> None:
    """14.4 times more than 6.9 % is more than all requests."""
    assert can_page(Fraction(694, 10_000))
    assert not can_page(Fraction(695, 10_000))


@given(n=st.integers(1, 120), bad=st.integers(0, 120), budget=st.sampled_from(["0.0001", "0.001", "0.05", "0.069"]))
@settings(max_examples=200, deadline=None)
def test_the_chance_is_the_exact_tail(n: int, bad: int, budget: str) -> None:
    """Above the mean it is the binomial tail, summed here in exact fractions; at or below it is 1."""
    bad, p = min(bad, n), Fraction(budget)
    exact = sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(bad, n + 1))
    want = exact if bad > n * p else 1
    assert chance(n, bad, float(p)) == pytest.approx(float(want), rel=1e-9)


def test_the_chance_of_many_requests_is_that_of_a_poisson_count() -> None:
    """Of 100 million requests too, where the sum would have 100 million terms."""
    n, mean = 10**8, 100.0
    for bad in (110, 130, 160):
        poisson = sum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(bad, bad + 400))
        assert chance(n, bad, mean / n) == pytest.approx(poisson, rel=1e-4)


@st.composite
def _nested(draw: st.DrawFn) -> dict[int, Count]:
    """Counts of all windows, each of which holds the shorter ones."""
    requests, bad, found = 0, 0, {}
    for window in WINDOWS:
        more = draw(st.integers(0, draw(st.sampled_from([2, 40, 5000]))))
        requests, bad = requests + more, bad + draw(st.integers(0, min(more, draw(st.sampled_from([1, 9, 5000])))))
        found[window] = Count(requests, bad, draw(st.sampled_from([0, window // 2, window])))
    return found


@given(counts=_nested(), at=st.integers(0, len(WINDOWS) - 1), more=st.integers(1, 50), budget=st.integers(1, 69))
@settings(max_examples=200, deadline=None)
def test_more_bad_is_never_less_burning(counts: dict[int, Count], at: int, more: int, budget: int) -> None:
    """Good requests that turn bad, in a window and so in all that hold it, never make the state better."""
    room = min(count.requests - count.bad for count in list(counts.values())[at:])
    worse = {
        window: Count(
            count.requests, count.bad + (min(more, room) if window >= WINDOWS[at] else 0), count.covered_minutes
        )
        for window, count in counts.items()
    }
    share = Fraction(budget, 1000)
    assert judge(worse, share).state >= judge(counts, share).state


def _critical(largest: int, budget: Fraction) -> NDArray[np.int64]:
    """By number of requests: the fewest bad ones that are enough."""
    found, bad = [], FAILURES_MIN
    for requests in range(largest + 1):
        while bad <= requests and not is_sure(Count(requests, bad, 0), budget):
            bad += 1
        found.append(bad)
    return np.array(found)


@pytest.mark.parametrize("per_hour", [4, 30, 200])
def test_an_app_that_just_keeps_its_objective_is_hardly_paged(per_hour: int) -> None:
    """At exactly the objective and few requests, a page row is on in less than one in a thousand minutes.

    By the shares alone it would be on more than twice as often, so the rule does something.
    """
    days, budget = 300, THREE_NINES
    generator = np.random.default_rng(20261126)
    requests = generator.poisson(per_hour / 60, days * 1440)
    bad = generator.binomial(requests, float(budget))
    shares_alone, by_rule = 0.0, 0.0
    for row in PAGES:
        long = [_sums(each, row.long_minutes) for each in (requests, bad)]
        short = [_sums(each, row.short_minutes) for each in (requests, bad)]
        threshold = float(row.threshold(budget))
        by_share = (long[1] > threshold * long[0]) & ((short[0] == 0) | (short[1] > threshold * short[0]))
        on = by_share & (long[1] >= _critical(int(long[0].max()), budget)[long[0]])
        assert on.mean() < CHANCE_MAX
        shares_alone += by_share.mean()
        by_rule += on.mean()
        _compare(row.long_minutes, row.short_minutes, on, long, short)
    assert shares_alone > 2 * by_rule


def _sums(values: NDArray[np.int64], window: int) -> NDArray[np.int64]:
    total = np.concatenate([[0], np.cumsum(values)])
    ends = np.arange(1, len(total))
    return total[ends] - total[np.maximum(ends - window, 0)]


def _compare(long_m: int, short_m: int, on: NDArray[np.bool_], long: list, short: list) -> None:  # type: ignore[type-arg]
    """The simulation in arrays is the rule itself, on minutes of both kinds."""
    picked = [*np.flatnonzero(on)[:20], *range(DAYS_3, len(on), len(on) // 50)]
    for at in picked:
        if at < long_m:
            continue
        counts = {window: Count(0, 0, 0) for window in WINDOWS} | {
            long_m: Count(int(long[0][at]), int(long[1][at]), long_m),
            short_m: Count(int(short[0][at]), int(short[1][at]), short_m),
        }
        assert (judge(counts, THREE_NINES).state is State.BURNING) == on[at]
