"""How much of a load balancer's log a report compares with: its newest days, as its statements and commands say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from queries import database
from queries.report import balancer
from queries.report.asked import Asked
from queries.report.balancer import has_balancer, limits, newest
from queries.report.making import make
from queries.report.model import Window
from tests.queries.lakes import write_lake
from transforms.asset_sizes.keeping import keep
from transforms.locallake import LocalLake

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import duckdb

    from tests.queries.lakes import Row

    Opened = Callable[[Path], duckdb.DuckDBPyConnection]
    AskedOf = Callable[[Path], Asked]

MOVED = datetime(2026, 11, 10, tzinfo=UTC)
WINDOW = Window(MOVED, MOVED + timedelta(days=1))


def request(day: float, source: str, app: str = "shop") -> Row:
    """A request so many days after the move."""
    asset = {"method": "GET", "path": "/a.css", "route": "/a.css", "status": 200, "bytes": 9000, "service_ms": 5}
    return {**asset, "timestamp": MOVED + timedelta(days=day), "source": source, "app": app, "dyno": "web.1"}


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four requests on each of five days before the move, and on the day after it; six requests are enough."""
    monkeypatch.setattr(balancer, "REQUESTS", 6)
    rows = [request(day + hour / 24, "alb" if day < 0 else "heroku") for day in range(-5, 1) for hour in range(4)]
    return write_lake(tmp_path / "lake", {"router": rows})


def sized(lake: Path, *more: Row) -> Path:
    """With the sizes of assets, and other rows before they are made."""
    write_lake(lake, {"router": more}, sequence=2)
    keep(LocalLake(lake), MOVED + timedelta(days=2))
    return lake


@pytest.fixture
def asked(opened: Opened) -> AskedOf:
    """The lake as a report asks it."""
    return lambda lake: Asked(opened(lake), WINDOW)


def test_the_newest_days_are_compared_with(lake: Path, asked: AskedOf) -> None:
    """Days are taken until they hold enough; the questions are told so, and no other one is."""
    with asked(sized(lake)) as asking:
        since = MOVED - timedelta(days=2)
        assert has_balancer(asking)
        assert newest(asking) == since
        assert limits(asking, "migration_diff") == {"before_since": since}
        assert limits(asking, "uncompressed_assets") == {"balancer_since": since}
        assert limits(asking, "latency") == {}
        assert asking.question("migration_diff")[0]["requests_before"] == 8


@pytest.mark.parametrize("enough", [20, 17])
def test_of_a_short_log_all_is(enough: int, lake: Path, asked: AskedOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Statements have no parameter that says nothing."""
    monkeypatch.setattr(balancer, "REQUESTS", enough)
    with asked(sized(lake)) as asking:
        assert newest(asking) is None
        assert "before_since" not in asking.call("migration_diff")
        assert asking.question("migration_diff")[0]["requests_before"] == 20


def test_of_each_app_there_is_enough(lake: Path, asked: AskedOf) -> None:
    """An app that moved long before the other one is compared with its log, too."""
    early = [request(-9 - day, "alb", "blog") for day in range(9)]
    with asked(sized(lake, *early)) as asking:
        assert newest(asking) == MOVED - timedelta(days=14)


def test_before_days_are_counted_all_is_compared_with(lake: Path, asked: AskedOf) -> None:
    """The log is there all the same."""
    with asked(lake) as asking:
        assert has_balancer(asking)
        assert newest(asking) is None
        assert asking.question("migration_diff")[0]["requests_before"] == 20


def test_a_log_from_after_the_window_is_none(lake: Path, opened: Opened) -> None:
    """What somebody asks of a time before the log began is not compared with it."""
    before = Window(MOVED - timedelta(days=30), MOVED - timedelta(days=29))
    with Asked(opened(sized(lake)), before) as asking:
        assert not has_balancer(asking)
        assert newest(asking) is None


def test_a_report_says_what_it_compared_with(lake: Path, tmp_path: Path) -> None:
    """In a note, and in the statements that it shows."""
    with database.connect(str(sized(lake)), tmp_path / "lake.duckdb") as connection:
        report = make(connection, WINDOW, WINDOW.until)
        assert (
            "Of the load balancer's log only what was logged since 2026-11-08 was compared with, enough to tell."
            in (report.notes)
        )
        shown = [answer.sql for section in report.sections for answer in section.answers]
        [compared] = [sql for sql in shown if "migration_diff" in sql]
        assert "before_since := '2026-11-08T00:00:00+00:00'::TIMESTAMPTZ" in compared
        assert connection.execute(compared).fetchall() is not None
