"""peak_concurrency and latency against the plainest possible counting."""

from __future__ import annotations

import math
import tempfile
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queries import database
from tests.queries.lakes import write_lake

EPOCH = datetime(2026, 11, 23, tzinfo=UTC)

request = st.fixed_dictionaries(
    {
        # Few milliseconds and few microseconds, so that ties and equal peaks are the rule.
        "timestamp": st.builds(
            lambda ms, us: EPOCH + timedelta(milliseconds=ms, microseconds=us),
            st.integers(0, 30),
            st.integers(0, 2),
        ),
        "app": st.sampled_from(["shop", "blog"]),
        "dyno": st.sampled_from(["web.1", "web.2", None]),
        "route": st.sampled_from(["/a", None]),
        "service_ms": st.one_of(st.none(), st.integers(0, 12)),
        "connect_ms": st.one_of(st.none(), st.integers(0, 3)),
        "status": st.sampled_from([200, 200, 200, 101, None]),
        "code": st.sampled_from([None, None, None, "H12"]),
    }
)
instants = st.one_of(st.none(), st.integers(-5, 35).map(lambda ms: EPOCH + timedelta(milliseconds=ms)))


@pytest.fixture(scope="module")
def connection() -> Any:
    """The questions over tables in memory, so that each example costs no files."""
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        lake = write_lake(Path(folder) / "lake", {})
        connection.execute("SET TimeZone = 'UTC'")
        for statement in database.statements(str(lake)):
            connection.execute(statement)
        connection.execute("CREATE TABLE rows AS SELECT * FROM router")
        connection.execute("CREATE OR REPLACE VIEW router AS FROM rows")
        yield connection


@given(
    rows=st.lists(request, max_size=25),
    since=instants,
    until=instants,
    per=st.sampled_from(["app", "dyno", "route"]),
)
@settings(max_examples=150, deadline=None)
def test_peak_equals_brute_force(
    connection: Any, rows: list[dict[str, Any]], since: datetime | None, until: datetime | None, per: str
) -> None:
    """For any requests and window, peak, instant and H12 mark equal counting at each start."""
    fill(connection, rows)
    answer = connection.execute("FROM peak_concurrency(?, ?, NULL, ?)", [since, until, per]).fetchall()
    assert {(app, key): rest for app, key, *rest in answer} == brute_force(rows, since, until, per)


def fill(connection: Any, rows: list[dict[str, Any]]) -> None:
    """Put these requests in the place of the ones before."""
    connection.execute("TRUNCATE rows")
    names = ["timestamp", "app", "dyno", "route", "service_ms", "connect_ms", "status", "code"]
    for row in rows:
        values = [row.get(name) for name in names]
        connection.execute(
            f"INSERT INTO rows (date, {', '.join(names)}) VALUES (?, {', '.join('?' * 8)})",
            [row["timestamp"].date(), *values],
        )


def brute_force(
    rows: list[dict[str, Any]], since: datetime | None, until: datetime | None, per: str
) -> dict[tuple[str, str | None], list[Any]]:
    """Count, at every instant at which a request starts within the window, who is in flight."""
    groups: dict[tuple[str, str | None], list[tuple[datetime, datetime, bool]]] = {}
    for row in rows:
        if row["dyno"] is None or row["service_ms"] is None or row["status"] == 101:
            continue
        start = row["timestamp"] - timedelta(milliseconds=row["service_ms"] + (row["connect_ms"] or 0))
        end = max(row["timestamp"], start + timedelta(microseconds=1))
        start = max(start, since or start)
        if start < end and (until is None or start < until) and (since is None or row["timestamp"] >= since):
            groups.setdefault((row["app"], row[per]), []).append((start, end, row["code"] == "H12"))
    return {group: highest(spans) for group, spans in groups.items()}


def highest(spans: list[tuple[datetime, datetime, bool]]) -> list[Any]:
    """The most spans at one instant, that instant, and whether a timed-out one is among them.

    Of several such instants, the one at which a span begins that ends before those of the others.
    """
    flying = {
        at: [timed_out for start, end, timed_out in spans if start <= at < end]
        for at in {start for start, _, _ in spans}
    }
    peak = max(map(len, flying.values()))
    logged = [(end, start) for start, end, _ in spans if len(flying[start]) == peak]
    at = min(logged)[1]
    return [peak, at, any(flying[at])]


@given(values=st.lists(st.integers(0, 40), min_size=1, max_size=140))
@settings(max_examples=60, deadline=None)
def test_percentiles_are_nearest_rank(connection: Any, values: list[int]) -> None:
    """p50, p95 and p99 are the values at rank ceil(p * n), exactly, and p99 needs a hundred of them."""
    connection.execute("TRUNCATE rows")
    connection.execute(
        "INSERT INTO rows (timestamp, date, app, service_ms) "
        "SELECT TIMESTAMPTZ '2026-11-23 00:00:00+00', DATE '2026-11-23', 'shop', unnest(?)",
        [values],
    )
    ranks = [sorted(values)[math.ceil(Fraction(p, 100) * len(values)) - 1] for p in (50, 95, 99)]
    if len(values) < 100:
        ranks[2] = None  # type: ignore[call-overload]
    answer = connection.execute("SELECT p50_ms, p95_ms, p99_ms, requests FROM latency()").fetchall()
    assert answer == [(*ranks, len(values))]
