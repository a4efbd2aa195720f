"""memory_leaks against the plainest possible computation over all pairs."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queries import database
from tests.queries.lakes import write_lake

START = datetime(2026, 11, 23, tzinfo=UTC)
MB = 1024**2
SLOPES = "slope_mb_per_hour, slope_low_mb_per_hour, slope_high_mb_per_hour"


@pytest.fixture(scope="module")
def connection() -> Any:
    """The questions over a table of samples in memory, so that each example costs no files."""
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        for statement in database.statements(str(write_lake(Path(folder) / "lake", {}))):
            connection.execute(statement)
        connection.execute("CREATE TABLE rows AS SELECT * FROM samples")
        connection.execute("CREATE OR REPLACE VIEW samples AS FROM rows")
        yield connection


def fill(connection: Any, seconds: list[int], megabytes: list[float]) -> None:
    """Put these measurements of one dyno in the place of the ones before."""
    connection.execute("TRUNCATE rows")
    connection.execute(
        "INSERT INTO rows BY NAME SELECT unnest(?) AS timestamp, 'shop' AS app, 'web.1' AS source, 'dyno' AS kind, "
        "'memory_total' AS metric, unnest(?) AS value, DATE '2026-11-23' AS date",
        [[START + timedelta(seconds=at) for at in seconds], [mb * MB for mb in megabytes]],
    )


def sen(hours: np.ndarray, megabytes: np.ndarray) -> tuple[float, float, float]:
    """Theil's slope and Sen's 95 % interval, by the definition: all slopes in order, ranks from the variance of S."""
    later, earlier = np.tril_indices(len(hours), -1)
    slopes = np.sort((megabytes[later] - megabytes[earlier]) / (hours[later] - hours[earlier]))
    n, (_, ties) = len(hours), np.unique(megabytes, return_counts=True)
    variance = (n * (n - 1) * (2 * n + 5) - np.sum(ties * (ties - 1) * (2 * ties + 5))) / 18
    reach = 1.959963984540054 * np.sqrt(variance)
    low = max(round((len(slopes) - reach) / 2) - 1, 0)
    high = min(round((len(slopes) + reach) / 2), len(slopes) - 1)
    return float(np.median(slopes)), float(slopes[low]), float(slopes[high])


@given(
    points=st.dictionaries(st.integers(0, 20_000), st.integers(200, 230), min_size=2, max_size=40),
    slope=st.sampled_from([0, 0, 7, -3]),
)
@settings(max_examples=60, deadline=None)
def test_slope_and_interval_equal_brute_force(connection: Any, points: dict[int, int], slope: int) -> None:
    """For any measurements with many equal values, slope and interval are those of all pairs."""
    seconds = sorted(points)
    megabytes = [points[at] + slope * (at // 900) for at in seconds]
    fill(connection, seconds, megabytes)
    answer = connection.execute(f"SELECT {SLOPES} FROM memory_leaks(warm_up_minutes := 0)").fetchone()
    assert answer == pytest.approx(sen(np.array(seconds) / 3600, np.array(megabytes)), rel=1e-12, abs=1e-9)


def test_the_interval_holds_its_promise(connection: Any) -> None:
    """Of sixty noisy lives of known growth, the 95 % interval holds the growth in about 57."""
    random = np.random.default_rng(20261123)
    seconds = np.arange(0, 30_000, 500)
    held = 0
    for _ in range(60):
        noise = random.standard_t(3, len(seconds)) * 4
        fill(connection, seconds.tolist(), (300 + seconds / 3600 * 2.5 + noise).tolist())
        _, low, high = connection.execute(f"SELECT {SLOPES} FROM memory_leaks(warm_up_minutes := 0)").fetchone()
        held += low <= 2.5 <= high
    assert 53 <= held <= 60


def test_a_long_life_is_reduced_to_two_hundred_points(connection: Any) -> None:
    """A day of a sample each 20 s is compared as 200 medians, and the slope is that of all pairs but for noise."""
    random = np.random.default_rng(7)
    seconds = np.arange(0, 86_400, 20)
    megabytes = 300 + seconds / 3600 * 4 + random.normal(0, 3, len(seconds))
    fill(connection, seconds.tolist(), megabytes.tolist())
    verdict, points, slope, low, high = connection.execute(
        f"SELECT verdict, points, {SLOPES} FROM memory_leaks(warm_up_minutes := 0)"
    ).fetchone()
    assert (verdict, points) == ("leak", 200)
    assert low < slope < high
    assert slope == pytest.approx(sen(seconds[::9] / 3600, megabytes[::9])[0], abs=0.03)
