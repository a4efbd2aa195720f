"""Cron expressions in zones whose clocks jump."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queries.delivery import cron, quiet
from tests.queries.delivery.world import BERLIN, UTC_ZONE, at

SPRING, AUTUMN = datetime(2026, 3, 28, 12, tzinfo=BERLIN), datetime(2026, 10, 24, 12, tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("expression", "begin", "want"),
    [
        ("30 2 * * *", SPRING, ["29 03:00 CEST", "30 02:30 CEST"]),
        ("30 2 * * *", AUTUMN, ["25 02:30 CEST", "26 02:30 CET"]),
        ("15,45 2 * * *", SPRING, ["29 03:00 CEST", "30 02:15 CEST"]),
        ("0 2,3 * * *", SPRING, ["29 03:00 CEST", "30 02:00 CEST"]),
        ("0 7 * * *", SPRING, ["29 07:00 CEST", "30 07:00 CEST"]),
        ("0 7 * * *", AUTUMN, ["25 07:00 CET", "26 07:00 CET"]),
        ("30 1-3 * * *", AUTUMN, ["25 01:30 CEST", "25 02:30 CEST", "25 03:30 CET"]),
    ],
)
def test_a_time_that_is_skipped_or_shown_twice_is_due_once(expression: str, begin: datetime, want: list[str]) -> None:
    """Europe/Berlin, both ways: forwards and backwards give the same instants."""
    due = cron.parse(expression, BERLIN)
    found, moment = [], begin
    for _ in want:
        moment = due.next(moment)
        found.append(f"{moment.astimezone(BERLIN):%d %H:%M %Z}")
    assert found == want
    assert [f"{each.astimezone(BERLIN):%d %H:%M %Z}" for each in due.between(begin, moment, 100)[::-1]] == want


@pytest.mark.parametrize(("begin", "hours"), [(SPRING, 23), (AUTUMN, 25)])
def test_every_five_minutes_is_real_time(begin: datetime, hours: int) -> None:
    """On the day that is an hour longer there are checks in that hour too."""
    due = cron.parse("*/5 * * * *", BERLIN)
    midnight = (begin + timedelta(hours=12)).replace(hour=0)
    found = due.between(midnight, (midnight + timedelta(days=1)).replace(hour=0), 1000)
    assert len(found) == hours * 12
    assert all(a - b == timedelta(minutes=5) for a, b in pairwise(found))


FIELDS = st.tuples(
    st.sampled_from(["0", "30", "5,50", "*/20", "59"]),
    st.sampled_from(["2", "*/2", "1-3", "0", "7", "*", "2,3", "23"]),
    st.sampled_from(["*", "1", "25-31"]),
    st.sampled_from(["*", "3,10"]),
    st.sampled_from(["*", "SUN", "1-5"]),
)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])


@given(FIELDS, ZONES, st.sampled_from([SPRING, AUTUMN, datetime(2026, 4, 4, tzinfo=UTC)]), st.integers(0, 4000))
def test_next_and_latest_agree(fields: tuple[str, ...], name: str, begin: datetime, minutes: int) -> None:
    """No due instant lies between the latest and the next one, in any zone; a step never stands still."""
    due = cron.parse(" ".join(fields), ZoneInfo(name))
    moment = begin.astimezone(UTC) + timedelta(minutes=minutes)
    following = due.next(moment)
    assert following > moment
    assert due.latest(following) == (following,)
    (latest,) = due.latest(moment)
    assert latest <= moment
    assert due.next(latest) == following
    assert due.next(latest - timedelta(seconds=1)) == latest


@pytest.mark.parametrize(
    "text", ["", "7", "* * * * * *", "61 * * * *", "0 7 31 2 *", "@daily", "0 7 * * * root", "a b c d e"]
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    """In half a sentence with examples."""
    with pytest.raises(ValueError, match="must be five fields of cron"):
        cron.parse(text, UTC_ZONE)


@pytest.mark.parametrize(
    ("hours", "inside", "outside"),
    [
        ("22:00-07:00", ["25 22:00", "26 00:00", "26 06:59"], ["26 07:00", "26 21:59", "26 12:00"]),
        ("12:30-13:00", ["26 12:30", "26 12:59"], ["26 13:00", "26 12:29", "26 00:00"]),
    ],
)
def test_quiet_hours_go_over_midnight(hours: str, inside: list[str], outside: list[str]) -> None:
    """The beginning is quiet, the end is not."""
    found = quiet.parse(hours, UTC_ZONE)
    assert all(found.contain(at(text)) for text in inside)
    assert not any(found.contain(at(text)) for text in outside)


def test_quiet_hours_are_those_of_the_wall() -> None:
    """Seven o'clock in Berlin is an hour later in UTC once the clock went back."""
    found = quiet.parse("22:00-07:00", BERLIN)
    assert not found.contain(datetime(2026, 10, 24, 5, 30, tzinfo=UTC))
    assert found.contain(datetime(2026, 10, 25, 5, 30, tzinfo=UTC))
