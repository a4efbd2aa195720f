"""What each check makes of a small lake: one app for each thing that can be wrong."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from queries import database
from queries.report.making import make
from queries.report.model import Severity, Window
from tests.queries.lakes import write_lake
from tests.queries.report.calm import DAY
from tests.queries.report.figures import unproved

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

    from queries.report.model import Report
    from tests.queries.lakes import Row

WINDOW = Window(DAY, DAY + timedelta(days=1))
USUAL = {
    "source": "heroku",
    "method": "GET",
    "path": "/",
    "route": "/",
    "status": 200,
    "service_ms": 50,
    "connect_ms": 1,
}
# app: what must be found there, as kind, severity and a piece of the sentence; empty if nothing must be.
EXPECTED: dict[str, tuple[str, int, str] | None] = {
    "quiet": None,
    "one-h13": None,
    "no-dynos": ("error-code", 3, "60 requests ended in H14 (no web processes running"),
    "answers-500": ("server-errors", 3, "The app answered 60 requests with a status such as 500 without a PHP error"),
    "told-500": ("php-fatal", 3, "60 fatal PHP errors in /app/a.php:7"),
    "trickle": ("timeouts-apart", 2, "6 requests timed out (H12) one by one between 08:00 and 13:00 UTC"),
    "one-h12": ("timeouts-apart", 1, "1 request timed out (H12) at 08:00 UTC"),
    "crashing": ("crashes", 2, "web dynos crashed 3 times between 06:01 and 06:03 UTC."),
    "deployed": ("worse-after-change", 2, "After the deploy v7 at 12:00 UTC the median time rose from 50 ms to 600 ms"),
    "refused": ("connections-refused", 3, "By PHP's errors 12 connections were refused"),
    "busy": ("php-workers-busy", 2, "php-fpm reported 8 times that all its workers were busy"),
    "crawled": ("crawler", 1, "The crawler GPTBot made 300 requests, 50 % of all"),
    "damaged": ("lines-damaged", 2, "50 lines, 5 % of all, were no log lines."),
    "lossy": ("lines-lost", 2, "200 lines were lost before drainlake (L10 and kin), 16.7 % of all"),
    "killed": ("memory-quota", 3, "web.1 was over its memory quota at 09:00 UTC: 3 R14, at most 1,100 MB (215 % of"),
    "leaking": ("memory-leak", 2, "web.1 leaks memory, 20 MB an hour over its life and 20 at its end: from"),
    "leaking-slowly": None,
}


def lake() -> dict[str, list[Row]]:
    """Rows by table."""
    tables: dict[str, list[Row]] = {
        "router": [_at(app, 2.4 * n, **USUAL, dyno="web.1") for app in EXPECTED for n in range(600)],
        "deliveries": [
            _at(app, 600, lines=1000, parsed=900, defects=50 * (app == "damaged"), repeated=0) for app in EXPECTED
        ],
    }

    def add(table: str, *rows: Row) -> None:
        tables.setdefault(table, []).extend(rows)

    failed = USUAL | {"status": 503, "dyno": None, "service_ms": 0}
    add("router", *(_at("one-h13", 9 + n, **failed | {"code": "H13"}) for n in range(1)))
    add("router", *(_at("no-dynos", 500 + n, **failed | {"code": "H14", "request_id": f"r{n}"}) for n in range(60)))
    fatal = {
        "component": "php",
        "level": "Fatal error",
        "message": "Uncaught Error: no",
        "file": "/app/a.php",
        "line": 7,
    }
    for n in range(60):
        add(
            "router",
            *(_at(app, 500 + n, **USUAL | {"status": 500, "dyno": "web.2"}) for app in ("answers-500", "told-500")),
        )
        add("php", _at("told-500", 500 + n, dyno="web.2", **fatal))
    timed_out = USUAL | {"status": 503, "code": "H12", "service_ms": 30_000, "dyno": "web.1"}
    add("router", *(_at("trickle", 480 + 60 * n, **timed_out) for n in range(6)), _at("one-h12", 480, **timed_out))
    add("platform", *(row for n in range(4) for row in _crash("crashing", 360 + n)))
    add("releases", _at("deployed", 720, event="deploy", message="Deploy 1a2b3c4"))
    add("releases", _at("deployed", 720, event="release", version=7, message="Release v7 created"))
    slow = USUAL | {"dyno": "web.1"}
    add("router", *(_at("deployed", 690 + n / 10, **slow) for n in range(300)))
    add("router", *(_at("deployed", 720 + n / 10, **slow | {"service_ms": 600}) for n in range(1, 300)))
    refusal = fatal | {"message": "Uncaught PDOException: SQLSTATE[HY000] [1040] Too many connections"}
    add("php", *(_at("refused", 600 + n, dyno="web.1", **refusal) for n in range(12)))
    full = "[pool www] server reached pm.max_children setting (4), consider raising it"
    add(
        "php",
        *(_at("busy", 600 + n, dyno="web.1", component="php-fpm", level="WARNING", message=full) for n in range(8)),
    )
    bot = {"method": "GET", "path": "/", "route": "/", "status": 200, "bytes": 900, "user_agent": "GPTBot/1.2"}
    add("access", *(_at("crawled", n, **bot | {"request_ms": 40}) for n in range(300)))
    add("access", *(_at("crawled", n, **bot | {"request_ms": 40, "user_agent": "Mozilla/5.0"}) for n in range(300)))
    add("platform", _at("lossy", 610, event="error", code="L10", lines_dropped=200))
    over = {"dyno": "web.1", "event": "memory", "memory_mb": 1100.0, "memory_percent": 215.0}
    for code in ("R14", "R14", "R14", "R15"):
        add("platform", _at("killed", 540, **over), _at("killed", 540, dyno="web.1", event="error", code=code))
    add("samples", *_growing("leaking", 20), *_growing("leaking-slowly", 3))
    return tables


def _at(app: str, minute: float, **row: Any) -> Row:
    return {"timestamp": DAY + timedelta(minutes=minute), "app": app, **row}


def _crash(app: str, minute: int) -> list[Row]:
    return [
        _at(app, minute, dyno="web.1", event="start", message="Starting process with command `x`"),
        _at(app, minute + 0.2, dyno="web.1", event="state", from_state="starting", to_state="up"),
        _at(app, minute + 0.4, dyno="web.1", event="exit", exit_status=1, message="Process exited with status 1"),
        _at(app, minute + 0.41, dyno="web.1", event="state", from_state="up", to_state="crashed"),
    ]


def _growing(app: str, mb_an_hour: float) -> Iterator[Row]:
    """Up to the end of the day, from 100 MB on."""
    for minute in range(0, 1440, 10):
        used = 100 + mb_an_hour * minute / 60 + minute % 3
        for metric, value in (("memory_total", used), ("memory_quota", 1024.0 if app == "leaking" else 512.0)):
            yield _at(app, minute, source="web.1", kind="dyno", metric=metric, value=value * 1_048_576, unit="bytes")


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """All apps in one lake."""
    folder = tmp_path_factory.mktemp("checks")
    write_lake(folder / "lake", lake())
    with database.connect(str(folder / "lake"), folder / "lake.duckdb") as opened:
        yield opened


@pytest.fixture(scope="module")
def report(connection: duckdb.DuckDBPyConnection) -> Report:
    """The report of all apps."""
    return make(connection, WINDOW, WINDOW.until)


@pytest.mark.parametrize(("app", "expected"), EXPECTED.items(), ids=EXPECTED)
def test_each_thing_is_found_where_it_is(report: Report, app: str, expected: tuple[str, int, str] | None) -> None:
    """With its severity and its figures; and nothing else is wrong with that app."""
    found = [finding for finding in report.findings if finding.app == app]
    wrong = [finding for finding in found if finding.severity >= Severity.WARNING]
    if expected is None:
        assert wrong == []
        return
    kind, severity, said = expected
    assert [finding.severity for finding in found if finding.kind == kind and said in finding.sentence] == [severity], (
        found
    )
    assert [finding for finding in wrong if finding.kind != kind] == []


def test_their_sql_gives_their_figures(report: Report, connection: duckdb.DuckDBPyConnection) -> None:
    """Of each finding, whatever it is about."""
    for finding in report.findings:
        rows = connection.execute(finding.sql).fetchall()
        assert unproved(finding.sentence, [], rows, WINDOW) == [], (finding.sentence, rows)


def test_a_report_of_one_app_tells_of_that_one(connection: duckdb.DuckDBPyConnection) -> None:
    """As its window says."""
    one = make(connection, Window(WINDOW.since, WINDOW.until, "no-dynos"), WINDOW.until)
    assert {finding.app for finding in one.findings} == {"no-dynos"}
    assert one.apps == ("no-dynos",)


def test_the_verdict_names_the_apps_of_several(report: Report) -> None:
    """Else nobody knows whose it is."""
    assert report.verdict.startswith(
        "12 things are wrong: the app answers with errors (answers-500); requests end in H14 (no"
    )
