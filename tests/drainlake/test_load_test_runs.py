"""Plan, run, verdict: ab really runs the planned command against an app whose behaviour is known."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from drainlake import importing, settings
from drainlake.lake import open_lake
from tests.drainlake.slow_app import SlowApp, a_minute_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from drainlake.settings import Settings

PAGE = "/garden/chair?colour=dark'green"
HOUR = timedelta(hours=1)


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    """Settings of a home of its own; skips where there is no ab."""
    if shutil.which("ab") is None:
        pytest.skip("ab is not installed (apt-get install apache2-utils)")
    return settings.parse({"DRAINLAKE_HOME": str(tmp_path / "home")})


def take_in(home: Settings, folder: Path, lines: Iterable[str]) -> None:
    """Lines through import, event log and landing into the lake."""
    saved = folder / "saved.log"
    saved.write_text("".join(lines))
    importing.take_in(home, [saved], "shop", "heroku")


def ask(home: Settings, query: str, *values: object) -> dict[str, Any]:
    """The one row of an answer."""
    with open_lake(home) as connection:
        found = connection.execute(query, values)
        (row,) = found.fetchall()
        return dict(zip([column[0] for column in found.description], row, strict=True))


def run(home: Settings, folder: Path, app: SlowApp, per_second: int, at_once: int, today_ms: int) -> dict[str, Any]:
    """Plan from a minute at that rate with so many at once, run the planned command, and give the verdict on it."""
    take_in(home, folder, a_minute_of(per_second, at_once, today_ms, PAGE, datetime.now(UTC) - HOUR))
    with app:
        plan = ask(home, "FROM load_test_plan(target_url := ?, test_seconds := 2)", f"http://127.0.0.1:{app.port}")
        began = datetime.now(UTC)
        done = subprocess.run(["bash", "-c", plan["command"]], capture_output=True, text=True, timeout=60, check=True)
    take_in(home, folder, app.lines)
    verdict = ask(home, "FROM load_test_verdict(since := ?, ab_output := ?)", began, done.stdout)
    assert (plan["concurrency"], plan["arrivals_per_second"] // 1) == (at_once, per_second)
    assert (verdict["workload"], verdict["planned_in_flight"], verdict["ab_concurrency"]) == ("page", at_once, at_once)
    # ab counts what came back to it before its time was up, the log what the app was asked.
    assert 0 < verdict["ab_requests"] <= verdict["requests"] == len(app.lines)
    return verdict


def test_an_app_that_is_as_fast_as_today_holds(home: Settings, tmp_path: Path) -> None:
    """Eight at once are answered in a sixth of today's time, and the rate is reached."""
    verdict = run(home, tmp_path, SlowApp(work_seconds=0.05), 20, 8, today_ms=300)
    assert verdict["verdict"] == "held", verdict
    assert verdict["reached_in_flight"] == 8
    assert verdict["ab_failed"] == verdict["ab_non_2xx"] == 0


def test_an_app_with_one_worker_is_too_slow(home: Settings, tmp_path: Path) -> None:
    """Seven of eight wait for the only worker: 400 ms where 50 are usual."""
    verdict = run(home, tmp_path, SlowApp(workers=1, work_seconds=0.05), 20, 8, today_ms=50)
    assert verdict["verdict"] == "too slow", verdict
    assert verdict["reached_p95_ms"] >= 300
    assert verdict["stop_p95_ms"] == 100


def test_an_app_that_fails_every_fourth_time_has_errors(home: Settings, tmp_path: Path) -> None:
    """A quarter of the answers is a 500, in the log and in ab's count."""
    verdict = run(home, tmp_path, SlowApp(error_every=4), 20, 8, today_ms=300)
    assert verdict["verdict"] == "errors", verdict
    assert verdict["reached_error_share"] == (verdict["requests"] // 4) / verdict["requests"]
    assert verdict["ab_non_2xx"] > 0
    assert verdict["ab_failed"] == 0  # statuses are no failures to ab


def test_a_generator_far_away_was_the_limit(home: Settings, tmp_path: Path) -> None:
    """ab holds sixteen connections, but they are on the way most of the time: the app is bored."""
    verdict = run(home, tmp_path, SlowApp(work_seconds=0.001, way_seconds=0.6), 100, 16, today_ms=50)
    assert verdict["verdict"] == "generator was the limit", verdict
    assert verdict["reached_in_flight"] < 15
    assert verdict["reached_per_second"] < 60
