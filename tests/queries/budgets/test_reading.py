"""The sums that budgets are computed from, against the plainest way to make them."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from ingest.schema import LATENCY_BASE
from queries.added_up import are_added_up
from queries.budgets import reading
from queries.budgets.burn_rates import WINDOWS, Count
from queries.budgets.reading import Asked

if TYPE_CHECKING:
    from tests.queries.budgets.conftest import Minutes

UNTIL = datetime(2026, 11, 23, 12, 0, 41, tzinfo=UTC)
END = UNTIL.replace(second=0)


def bucket(ms: int) -> int:
    """The bucket of a service time."""
    return -1 if ms == 0 else math.ceil(round(math.log(ms, LATENCY_BASE), 9))


def histogram(times_ms: list[int]) -> dict[str, list[int]]:
    """The two columns of a minute with these service times."""
    counts: dict[int, int] = {}
    for ms in times_ms:
        counts[bucket(ms)] = counts.get(bucket(ms), 0) + 1
    return {"latency_buckets": sorted(counts), "latency_counts": [counts[one] for one in sorted(counts)]}


def test_windows_and_history_are_sums_of_covered_minutes(minutes: Minutes) -> None:
    """Random minutes of two apps over 31 days: both questions count what a loop over them counts."""
    generator = random.Random(7)
    rows: list[dict[str, Any]] = []
    ages = {generator.choice([generator.randint(-3, 400), generator.randint(-3, 44_640)]) for _ in range(1500)}
    for app in ("shop", "blog"):
        for age in sorted({*ages, 43_200, 43_201}):
            requests = generator.choice([0, 1, 50])
            slow = [generator.choice([3, 200, 9000]) for _ in range(requests // 2)]
            rows.append(
                {
                    "timestamp": END - timedelta(minutes=age), "app": app, "is_covered": generator.random() < 0.8,
                    "requests": requests, "failed": generator.randint(0, requests), **histogram(slow),
                }
            )  # fmt: skip
    connection = minutes(rows)
    assert reading.months(connection, UNTIL, None, (250,)) == {
        app: (_loop(rows, app, 43_200, 0, None), {250: _loop(rows, app, 43_200, 0, 250)}) for app in ("shop", "blog")
    }
    for latency_ms in (None, 250):
        asked = Asked(UNTIL, None, None, latency_ms)
        windows = reading.windows(connection, asked)
        assert windows == {
            app: {window: _loop(rows, app, window, 0, latency_ms) for window in WINDOWS} for app in ("shop", "blog")
        }
        month = reading.month(connection, asked)
        assert {app: found.windows for app, found in month.items()} == windows
        assert {app: found.steps for app, found in month.items()} == reading.history(connection, asked)
        steps = reading.history(connection, asked, step_minutes=120)["shop"]
        assert {step.begins_at: step.count for step in steps} == {
            END - timedelta(minutes=begin): count
            for begin in range(120, 43_201, 120)
            if (count := _loop(rows, "shop", begin, begin - 120, latency_ms)).covered_minutes
        }


def test_hours_that_nobody_added_up_are_read_by_the_minute(minutes: Minutes) -> None:
    """Minutes made by an older version, which stay so in a lake that can only be read, give the same month."""
    rows = [
        {"timestamp": END - timedelta(hours=hours), "requests": 2, **histogram([3, 9000])} for hours in range(1, 100, 7)
    ]
    connection = minutes(rows)
    expected = reading.months(connection, UNTIL, None, (250,))
    assert expected["shop"][1][250].bad == len(rows)
    connection.execute("DELETE FROM rows WHERE per = 'sum_app' AND date < ?", [END.date()])
    assert reading.months(connection, UNTIL, None, (250,)) == expected
    connection.execute("DELETE FROM rows WHERE per = 'sum_app'")
    assert reading.months(connection, UNTIL, None, (250,)) == expected


def test_a_date_is_not_added_up_because_another_has_a_sum_more(minutes: Minutes) -> None:
    """The sum of an hour of which the window holds no request does not stand for a date without sums."""
    ages = (timedelta(minutes=30), timedelta(hours=30))
    connection = minutes([{"timestamp": END - age, "requests": 2, **histogram([3])} for age in ages])
    window = END - timedelta(hours=40), END - timedelta(minutes=50)
    assert are_added_up(connection, *window)
    connection.execute("DELETE FROM rows WHERE per = 'sum_app' AND date < ?", [END.date()])
    assert not are_added_up(connection, *window)


def _loop(rows: list[dict[str, Any]], app: str, begin: int, end: int, latency_ms: int | None) -> Count:
    requests = bad = covered = 0
    for row in rows:
        age = (END - row["timestamp"]) / timedelta(minutes=1)
        if row["app"] == app and row["is_covered"] and end < age <= begin:
            covered += 1
            pairs = list(zip(row["latency_buckets"], row["latency_counts"], strict=True))
            requests += row["requests"] if latency_ms is None else sum(count for _, count in pairs)
            bad += row["failed"] if latency_ms is None else sum(count for at, count in pairs if at > bucket(9000) - 1)
    return Count(requests, bad, covered)


@pytest.mark.parametrize("limit_ms", [1, 2, 10, 49, 50, 51, 99, 500, 800, 1000, 2500, 10_000, 29_000])
def test_what_is_counted_on_the_wrong_side_took_within_one_percent_of_the_limit(
    minutes: Minutes, limit_ms: int
) -> None:
    """One request of each time near the limit: below 50 ms each is counted right, above that but for the nearest."""
    times = range(max(0, int(limit_ms * 0.97) - 2), int(limit_ms * 1.03) + 3)
    rows = [
        {"timestamp": END - timedelta(minutes=1 + at), "requests": 1, **histogram([ms])} for at, ms in enumerate(times)
    ]
    connection = minutes(rows)
    steps = reading.history(connection, Asked(UNTIL, "shop", None, limit_ms), step_minutes=1)["shop"]
    slow = {ms for at, ms in enumerate(times) if steps[len(times) - 1 - at].count.bad}
    wrong = slow ^ {ms for ms in times if ms > limit_ms}
    assert all(abs(ms - limit_ms) <= limit_ms * 0.01 for ms in wrong)
    assert limit_ms >= 50 or not wrong
    [counted] = {
        row[0]
        for row in connection.execute(f"SELECT slow_over_ms FROM burn_rates(latency_ms := {limit_ms})").fetchall()
    }
    assert slow == {ms for ms in times if ms > counted}


def test_what_is_asked_can_be_pasted(minutes: Minutes) -> None:
    """The statement of a hostile app and route runs, and answers for them."""
    app, route = "a'); DROP TABLE rows; --", '/it\'s "here"\n'
    row = {"timestamp": END - timedelta(minutes=1), "app": app, "requests": 4}
    connection = minutes([row, {**row, "per": "route", "key": route, "requests": 3}, {**row, "app": "other"}])
    asked = Asked(UNTIL, app, route)
    rows = connection.execute(asked.sql("burn_rates")).fetchall()
    assert {(one[0], one[5]) for one in rows} == {(app, 3)}
    assert reading.windows(connection, asked)[app][60].requests == 3
    assert reading.apps(connection, UNTIL, None) == [app, "other"]
