"""What rings: what is so just now and cannot wait until the morning."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import duckdb
import pytest

from queries import database
from queries.report.alarms import LOOK_BACK, RECENT, alarms
from queries.report.model import Severity, Window
from tests.queries.lakes import write_lake
from tests.queries.report.calm import DAY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queries.report.model import Finding

BEGIN = DAY + timedelta(hours=8)
END = BEGIN + timedelta(minutes=5)
REQUEST = {"app": "shop", "source": "heroku", "method": "GET", "path": "/", "route": "/", "status": 200}


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """An hour of requests; for five minutes no dyno answers, one H13 is before it."""
    at = [DAY + timedelta(hours=7, minutes=30, seconds=second) for second in range(0, 3600, 6)]
    failed = REQUEST | {"status": 503, "code": "H14"}
    rows = [{**(failed if BEGIN <= each < END else REQUEST), "service_ms": 50, "timestamp": each} for each in at]
    rows.append({**failed, "code": "H13", "timestamp": at[0]})
    place = tmp_path_factory.mktemp("ringing")
    write_lake(place / "lake", {"router": rows})
    with database.connect(str(place / "lake"), place / "lake.duckdb") as opened:
        yield opened


def _ringing(connection: duckdb.DuckDBPyConnection, minutes_after_end: float) -> list[str]:
    return [finding.kind for finding in alarms(connection, END + timedelta(minutes=minutes_after_end))]


def test_what_is_so_now_rings(connection: duckdb.DuckDBPyConnection) -> None:
    """In the middle of it, at its end, and for a while after it: a check must not fall just beside it."""
    assert _ringing(connection, -3) == _ringing(connection, 0) == _ringing(connection, 14) == ["error-code"]


def test_what_is_over_does_not_ring(connection: duckdb.DuckDBPyConnection) -> None:
    """Although the questions look back further than that."""
    assert RECENT < timedelta(minutes=16) < LOOK_BACK
    assert _ringing(connection, 16) == _ringing(connection, 24 * 60) == []


def test_the_command_of_an_alarm_has_whole_seconds(connection: duckdb.DuckDBPyConnection) -> None:
    """Somebody types it at three in the morning."""
    (found,) = alarms(connection, END.replace(microsecond=123456))
    assert found.severity is Severity.CRITICAL
    assert "123456" not in found.command


def test_others_are_asked_about_the_last_minutes(connection: duckdb.DuckDBPyConnection) -> None:
    """The detector knows the days before by itself."""
    asked: list[Window] = []

    def more(_: duckdb.DuckDBPyConnection, window: Window) -> Iterator[Finding]:
        asked.append(window)
        return iter(())

    assert alarms(connection, END + timedelta(hours=9), [more]) == []
    assert asked == [Window(END + timedelta(hours=9) - RECENT, END + timedelta(hours=9))]


def test_a_check_that_fails_raises() -> None:
    """It must not look like a quiet night."""
    with duckdb.connect() as empty, pytest.raises(duckdb.Error):
        alarms(empty, END)
