"""deploy_impact against sorted lists, and against how often it may be wrong."""

from __future__ import annotations

import math
import random
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queries import database
from tests.queries.lakes import write_lake

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
RELEASE = "SELECT ?::TIMESTAMPTZ, 'shop', 'deploy', NULL, NULL, 'Deploy x', ?::TIMESTAMPTZ::DATE"


@pytest.fixture(scope="module")
def connection() -> Any:
    """The questions over tables in memory, so that each example costs no files."""
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for statement in database.statements(str(write_lake(Path(folder) / "lake", {}))):
            connection.execute(statement)
        for table in ("router", "releases"):
            connection.execute(f"CREATE TABLE {table}_rows AS SELECT * FROM {table}")
            connection.execute(f"CREATE OR REPLACE VIEW {table} AS FROM {table}_rows")
        yield connection


def fill(connection: Any, rows: list[tuple[datetime, int]], releases: list[datetime]) -> None:
    """Put requests (end, service time) and releases in the place of what is there."""
    connection.execute("TRUNCATE router_rows")
    connection.execute("TRUNCATE releases_rows")
    columns = "timestamp, app, source, dyno, status, service_ms, date"
    connection.execute(
        f"INSERT INTO router_rows ({columns}) SELECT ended, 'shop', 'heroku', 'web.1', 200, ms, ended::DATE FROM"
        " (SELECT unnest(?::TIMESTAMPTZ[]) AS ended, unnest(?::INTEGER[]) AS ms)",
        [[at for at, _ in rows], [ms for _, ms in rows]],
    )
    for at in releases:
        connection.execute(f"INSERT INTO releases_rows {RELEASE}", [at, at])


def expected(before: list[int], after: list[int], q: float) -> list[float | None]:
    """Nearest-rank quantiles, and the difference of the order statistics at 2.2414 standard deviations."""

    def bounds(values: list[int]) -> tuple[float | None, float | None, float | None]:
        ordered, n = sorted(values), len(values)
        spread = 2.2414 * math.sqrt(n * q * (1 - q))
        low, high = math.floor(n * q - spread), math.ceil(n * q + spread) + 1
        middle = ordered[math.ceil(n * q) - 1] if n else None
        return middle, ordered[low - 1] if low >= 1 else None, ordered[high - 1] if high <= n else None

    (middle1, low1, high1), (middle2, low2, high2) = bounds(before), bounds(after)
    if low1 is None or high1 is None or low2 is None or high2 is None:
        return [middle1, middle2, None, None]
    return [middle1, middle2, low2 - high1, high2 - low1]


@settings(max_examples=25, deadline=None)
@given(
    before=st.lists(st.integers(0, 40), max_size=200),
    after=st.lists(st.integers(0, 40), max_size=200),
    late=st.lists(st.integers(0, 40), max_size=5),
)
def test_quantiles_are_those_of_the_sorted_values(
    connection: Any, before: list[int], after: list[int], late: list[int]
) -> None:
    """Medians, p95s and the ends of their intervals are the values at the ranks, within the windows only."""
    hour = timedelta(hours=1)
    inside = [(NOON - hour + timedelta(seconds=n), ms) for n, ms in enumerate(before)]
    inside += [(NOON + timedelta(seconds=n), ms) for n, ms in enumerate(after)]
    outside = [(NOON + hour + timedelta(seconds=n), ms) for n, ms in enumerate([*late, 1])]
    fill(connection, [(NOON - 2 * hour, 1), *inside, *outside], [NOON])
    rows = connection.execute(
        "SELECT before, after, difference_low, difference_high FROM deploy_impact()"
        " WHERE measure IN ('p50_ms', 'p95_ms') ORDER BY measure"
    ).fetchall()
    assert [list(row) for row in rows] == [expected(before, after, 0.5), expected(before, after, 0.95)]


def test_releases_that_change_nothing_are_rarely_blamed(connection: Any) -> None:
    """Of 400 comparisons of requests drawn alike, fewer than 5 % call a difference; one that is there is seen."""
    chance = random.Random(4)
    begin = NOON - timedelta(hours=100)
    releases = [begin + timedelta(minutes=30 * n) for n in range(1, 201)]
    ends = [begin + timedelta(seconds=10 * n) for n in range(180 * 200)]
    fill(connection, [(at, round(chance.expovariate(1 / 80))) for at in ends], releases)
    verdicts = connection.execute(
        "SELECT count(*) FILTER (WHERE verdict IN ('worse', 'better')),"
        " count(*) FILTER (WHERE verdict = 'no difference shown')"
        " FROM deploy_impact(minutes := 30) WHERE measure IN ('p50_ms', 'p95_ms')"
    ).fetchone()
    assert verdicts[0] <= 20
    assert verdicts[1] >= 370
    fill(
        connection,
        [(at, round(chance.expovariate(1 / (80 if at < releases[100] else 140)))) for at in ends],
        [releases[100]],
    )
    seen = connection.execute("SELECT verdict FROM deploy_impact() WHERE measure = 'p50_ms'").fetchone()
    assert seen == ("worse",)
