"""The day a budget runs out, against a simulation hour by hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queries.budgets.burn_rates import Count
from queries.budgets.projection import HOURS, course, left, runs_out_at
from queries.budgets.reading import Step

UNTIL = datetime(2026, 11, 23, 12, tzinfo=UTC)
THREE_NINES = Fraction(1, 1000)
Hours = list[tuple[int, int]]


def steps_of(hours: Hours) -> list[Step]:
    """Hours that end with UNTIL, given as requests and bad ones."""
    begins = [UNTIL - timedelta(hours=len(hours) - at) for at in range(len(hours))]
    return [Step(begin, Count(*hour, 60)) for begin, hour in zip(begins, hours, strict=True)]


def simulated(hours: Hours, pace: tuple[int, int], budget: Fraction) -> int | None:
    """Hours until the last 720 hold too many bad requests, adding one hour like the pace at a time."""
    past = [(0, 0)] * (HOURS - len(hours)) + hours
    if sum(bad for _, bad in past) > budget * sum(requests for requests, _ in past):
        return None
    for hour in range(1, HOURS + 1):
        past = [*past[1:], pace]
        if sum(bad for _, bad in past) > budget * sum(requests for requests, _ in past):
            return hour
    return None


@given(
    kinds=st.lists(st.tuples(st.integers(1, 200), st.integers(0, 2000), st.integers(0, 9)), min_size=1, max_size=6),
    pace=st.tuples(st.integers(1, 2000), st.integers(0, 20)),
)
@settings(max_examples=60, deadline=None)
def test_it_is_the_hour_of_a_simulation(kinds: list[tuple[int, int, int]], pace: tuple[int, int]) -> None:
    """Whatever the last 30 days were like, and however much of them is known."""
    hours = [(requests, min(bad, requests)) for count, requests, bad in kinds for _ in range(count)][-HOURS:]
    day = Count(pace[0] * 24, min(pace) * 24, 1440)
    want = simulated(hours, (pace[0], min(pace)), THREE_NINES)
    found = runs_out_at(steps_of(hours), day, THREE_NINES, UNTIL)
    assert found == (None if want is None else UNTIL + timedelta(hours=want))


@pytest.mark.parametrize(
    ("bad_a_day", "covered", "days"),
    [
        (1440, 1440, 15),  # twice what is allowed: 30 good days are used up in half the time
        (7200, 1440, 3),
        (720, 1440, None),  # just what is allowed
        (0, 1440, None),
        (3600, 720, 3),  # half a day is known: the same pace
        (360, 59, None),  # not an hour is known
    ],
)
def test_a_new_pace_after_thirty_good_days(bad_a_day: int, covered: int, days: int | None) -> None:
    """At twice the allowed share it ends after 15 days, at ten times after three, else not."""
    steps = steps_of([(30_000, 0)] * HOURS)
    pace = Count(720_000 * covered // 1440, bad_a_day, covered)
    found = runs_out_at(steps, pace, THREE_NINES, UNTIL)
    assert (None if found is None else round((found - UNTIL) / timedelta(days=1))) == days


def test_the_course_ends_with_what_is_left() -> None:
    """The budget declines with each bad request, and its last value is that of the whole 30 days."""
    steps = steps_of([(1000, 0), (1000, 2), (0, 0), (2000, 3)])
    assert course(steps, THREE_NINES) == [1.0, 0.5, 0.5, -0.25]
    assert left(Count(4000, 5, 240), THREE_NINES) == -0.25
    assert left(Count(0, 0, 240), THREE_NINES) is None
    assert course(steps_of([(0, 0)]), THREE_NINES) == [1.0]
