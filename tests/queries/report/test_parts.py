"""Which hours of a long window a dear question is asked of."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queries.report.model import Window
from queries.report.parts import BURST_LEAST, HOURS_MAX, REQUESTS_MAX, Hour, Part, is_long, stretches

if TYPE_CHECKING:
    from collections.abc import Sequence

SINCE = datetime(2026, 10, 1, 0, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAYS = Window(SINCE, SINCE + timedelta(days=5), "shop")
FIRST = SINCE - timedelta(minutes=30)


def hours(changed: dict[int, dict[str, int]], requests: int = 10_000) -> list[Hour]:
    """All hours of the five days, with as many requests each, but for those changed."""
    usual = [Hour(FIRST + number * HOUR, requests) for number in range(5 * 24 + 1)]
    return [replace(hour, **changed.get(number, {})) for number, hour in enumerate(usual)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("length", "requests", "answer"),
    [(24, 10**8, False), (25, 10**8, False), (26, REQUESTS_MAX, False), (26, REQUESTS_MAX + 1, True)],
)
def test_a_day_is_asked_whole_and_so_is_a_month_of_a_small_site(length: int, requests: int, answer: bool) -> None:
    """Both must be so: more than a day, and more requests than can be sorted in a moment."""
    assert is_long(replace(DAYS, until=SINCE + length * HOUR), requests) is answer


@pytest.mark.parametrize(
    ("part", "changed", "requests", "begin", "length"),
    [
        (Part.NEWEST, {}, 10_000, 97, 24),
        (Part.NEWEST, {}, 300_000, 118, 3),
        (Part.NEWEST, {}, 5_000_000, 120, 1),  # one hour is always asked
        (Part.BUSIEST, {50: {"peak": 9}}, 10_000, 38, 24),
        (Part.BUSIEST, {50: {"peak": 9}, 60: {"peak": 9}}, 300_000, 49, 3),  # the first of equals
        (Part.BUSIEST, {0: {"peak": 9}}, 10_000, 0, 24),
        (Part.BUSIEST, {}, 10_000, 97, 24),
        (Part.WORST, {7: {"timeouts": 1}}, 400_000, 6, 2),
        (Part.CONNECTIONS, {120: {"connections": 20}}, 10_000, 97, 24),
        (Part.TIMEOUTS, {7: {"timeouts": BURST_LEAST - 1}}, 400_000, 6, 2),  # no burst: the hours around it
    ],
)
def test_the_hours_around_what_matters_are_taken(
    part: Part, changed: dict[int, dict[str, int]], requests: int, begin: int, length: int
) -> None:
    """As many as the limits of hours and of requests allow, cut to the window."""
    [found] = stretches(DAYS, hours(changed, requests), part)
    since = FIRST + begin * HOUR
    assert found == Window(max(since, DAYS.since), min(since + length * HOUR, DAYS.until), "shop")


def test_the_worst_hours_of_timeouts_are_taken_with_what_lies_around() -> None:
    """Neighbours are one window; the fifth is left out."""
    worst = {3: 900, 4: 700, 50: 500, 80: 600, 100: 400, 110: 300}
    told = hours({hour: {"timeouts": count} for hour, count in worst.items()})
    found = stretches(DAYS, told, Part.TIMEOUTS)
    half = timedelta(minutes=30)
    assert found == tuple(
        Window(FIRST + begin * HOUR - half, FIRST + end * HOUR + half, "shop")
        for begin, end in [(3, 5), (50, 51), (80, 81)]
    )
    busy = [replace(hour, requests=200_000) for hour in told]
    assert stretches(DAYS, busy, Part.TIMEOUTS) == (Window(FIRST + 3 * HOUR - half, FIRST + 4 * HOUR + half, "shop"),)


def test_the_last_day_is_a_day_however_many_requests_it_has() -> None:
    """What needs the daily restarts of the dynos finds them."""
    assert stretches(DAYS, hours({}, 10**7), Part.DAY) == (replace(DAYS, since=DAYS.until - timedelta(days=1)),)


@given(
    st.sampled_from(Part),
    st.lists(
        st.builds(
            Hour,
            st.just(FIRST),
            st.integers(0, 10**6),
            st.integers(0, 3),
            st.just(0.0),
            st.integers(0, 2 * BURST_LEAST),
        ),
        min_size=121,
        max_size=121,
    ),
)
def test_parts_lie_within_the_window_apart_from_each_other(part: Part, given_hours: Sequence[Hour]) -> None:
    """Whatever the hours hold: no request is counted twice, and never more than a day is asked."""
    placed = [replace(hour, begins_at=FIRST + place * HOUR) for place, hour in enumerate(given_hours)]
    found = stretches(DAYS, placed, part)
    assert all(DAYS.since <= one.since < one.until <= DAYS.until for one in found)
    assert all(one.until < other.since for one, other in pairwise(found))
    assert sum((one.until - one.since for one in found), timedelta()) <= HOURS_MAX * HOUR
