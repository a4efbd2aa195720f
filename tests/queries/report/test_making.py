"""A calm day, a silent one, a broken one, a hostile one."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from queries import database
from queries.few_days import FewDays
from queries.listing import Listing
from queries.report import making
from queries.report.alarms import alarms
from queries.report.asked import EXAMPLED_MAX
from queries.report.making import make
from queries.report.model import Finding, Section, Severity, Window
from tests.queries.lakes import write_lake
from tests.queries.report import calm
from tests.queries.report.hostile import HOSTILE, hostile_tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from queries.report.model import Report

WINDOW = Window(calm.DAY, calm.DAY + timedelta(days=1), "shop")
SILENT = Window(calm.DAY - timedelta(days=9), calm.DAY - timedelta(days=8))


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """The calm day of one app, and the hostile one of another."""
    folder = tmp_path_factory.mktemp("calm")
    hostile = hostile_tables()
    tables = {table: [*rows, *hostile.get(table, [])] for table, rows in calm.tables().items()}
    write_lake(folder / "lake", tables)
    with database.connect(str(folder / "lake"), folder / "lake.duckdb") as opened:
        yield opened


@pytest.fixture(scope="module")
def report(connection: duckdb.DuckDBPyConnection) -> Report:
    """The calm day's report."""
    return make(connection, WINDOW, WINDOW.until)


def test_on_a_calm_day_nothing_is_wrong(report: Report) -> None:
    """A deploy, daily restarts and a few errors are no warning."""
    assert [finding.sentence for finding in report.findings if finding.severity >= Severity.WARNING] == []
    assert report.verdict == ("Nothing is wrong: 3,600 requests, 0.08 % failed, p95 542 ms, 100 % of the lines seen.")
    assert [note for note in report.notes if "failed" in note] == []


def test_each_section_says_that_there_is_nothing(report: Report) -> None:
    """An answer too, and the value that was measured."""
    said = {section.name: section.sentence for section in report.sections}
    assert said["timeouts"] == "No request timed out."
    assert said["memory"].startswith("No dyno ran out of memory; most was 330 MB, 64.5 % of its quota, of web.1 at")
    assert said["compression"] == "Nothing is known to go out uncompressed."
    assert said["deploys"] == "1 change: deploy v118 at 12:00 UTC; after none of them a measure was worse."


def test_a_window_without_lines_says_so(connection: duckdb.DuckDBPyConnection) -> None:
    """And what was not checked for it."""
    silent = make(connection, SILENT, SILENT.until)
    assert (silent.verdict, silent.findings, silent.apps) == ("No lines came in this window.", (), ())
    assert len(silent.sections) == 10
    assert len(silent.notes) == 5
    assert not any(section.charts for section in silent.sections)


def test_an_app_that_the_lake_does_not_know_is_told(connection: duckdb.DuckDBPyConnection) -> None:
    """Else a name that is written wrong reads as a quiet day; one that only rests is known."""
    absent, resting = (
        making.make(connection, replace(SILENT, app_name=name), SILENT.until).notes for name in ("shpo", "shop")
    )
    said = "The lake holds nothing of an app named shpo: is that how its name is written?"
    assert absent[0] == said
    assert [note for note in resting if "named" in note] == []


def test_a_load_balancers_log_alone_is_not_nothing(tmp_path: Any) -> None:
    """Requests are there, and none of Heroku: neither "no lines" nor "nothing is wrong" would be true."""
    requests = [row | {"source": "elb", "dyno": None} for row in calm.tables()["router"][:40]]
    write_lake(tmp_path / "lake", {"router": requests})
    with database.connect(str(tmp_path / "lake"), tmp_path / "lake.duckdb") as opened:
        report = make(opened, WINDOW, WINDOW.until)
    assert report.verdict == "Nothing was checked: all there is are 40 requests in a load balancer's log."


def test_a_web_servers_log_alone_is_not_no_requests(tmp_path: Any) -> None:
    """What was imported from before the move is no traffic of the app at Heroku, and is not nothing."""
    write_lake(tmp_path / "lake", {name: calm.tables()[name][:40] for name in ("access", "deliveries")})
    with database.connect(str(tmp_path / "lake"), tmp_path / "lake.duckdb") as opened:
        report = make(opened, WINDOW, WINDOW.until)
    told = "Nothing is wrong: no request at Heroku's router, 40 requests in a web server's log,"
    assert report.verdict.startswith(told)


def test_more_findings_and_sections_are_taken_in(connection: duckdb.DuckDBPyConnection) -> None:
    """They are asked with the connection and the window; one that fails costs a note."""

    def more(given: duckdb.DuckDBPyConnection, window: Window) -> Iterator[Finding]:
        times = window.since, window.until
        yield Finding("anomaly", "shop", "", Severity.WARNING, "Requests halved.", *times, "SELECT 1", "true")
        given.execute("FROM no_such_table")

    def section(given: duckdb.DuckDBPyConnection, window: Window) -> Section:
        return Section("budgets", "Budgets", "All is left.")

    report = make(connection, WINDOW, WINDOW.until, {"more": more}, {"budgets": section})
    assert report.verdict == "One thing is wrong: Requests halved."
    assert report.sections[-1].name == "budgets"
    [failed] = [note for note in report.notes if "failed" in note]
    assert "no_such_table" in failed


def test_what_is_asked_besides_sees_all_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report and an alarm check look at few days, but budgets and the detector at those of weeks."""
    monkeypatch.setattr("queries.report.asked.FewDays", partial(FewDays, left_out_least=1))
    row = {"app": "shop", "source": "heroku", "status": 200}
    rows = [row | {"timestamp": calm.DAY - timedelta(days=days)} for days in range(5)]
    write_lake(tmp_path / "lake", {"router": rows})
    seen: list[int] = []

    def more(given: duckdb.DuckDBPyConnection, window: Window) -> list[Finding]:
        seen.extend(count for (count,) in given.execute("SELECT count(*) FROM router").fetchall())
        return []

    def section(given: duckdb.DuckDBPyConnection, window: Window) -> Section:
        more(given, window)
        return Section("budgets", "Budgets", "All is left.")

    with database.connect(str(tmp_path / "lake"), tmp_path / "lake.duckdb") as opened:
        report = make(opened, WINDOW, WINDOW.until, {"more": more}, {"budgets": section})
        alarms(opened, WINDOW.until, [more])
    assert seen == [5, 5, 5]
    assert [note for note in report.notes if "failed" in note] == []


def test_the_lakes_files_are_listed_once(
    connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To list a year of them takes as long as a quick question; a report asks on two connections, of several days."""
    listed: list[str] = []

    class Counted(Listing):
        def files(self, connection: duckdb.DuckDBPyConnection) -> pa.Table:
            listed.extend(["files"] if self._files is None else [])
            return super().files(connection)

    monkeypatch.setattr("queries.report.asked.Listing", Counted)
    make(connection, WINDOW, WINDOW.until)
    assert listed == ["files"]


@pytest.mark.parametrize(("table", "section"), [("samples", "database"), ("releases", "deploys")])
def test_a_question_that_fails_costs_its_own_parts_only(tmp_path: Any, table: str, section: str) -> None:
    """A file that is no Parquet breaks what reads its table; the timeouts are told all the same."""
    usual = calm.tables()
    times = [calm.DAY + timedelta(minutes=600, seconds=second) for second in range(30)]
    timed_out = {"code": "H12", "status": 503, "service_ms": 30000}
    tables = {table: usual[table][:2], "deliveries": usual["deliveries"]}
    tables["router"] = [row | timed_out | {"timestamp": at} for at, row in zip(times, usual["router"], strict=False)]
    write_lake(tmp_path / "lake", tables)
    with database.connect(str(tmp_path / "lake"), tmp_path / "lake.duckdb") as opened:
        (tmp_path / f"lake/{table}/date=2026-11-25/e0-000009.parquet").write_bytes(b"PAR1 no more of it")
        report = make(opened, WINDOW, WINDOW.until)
    assert [finding.kind for finding in report.findings if finding.severity >= Severity.WARNING] == ["timeouts"]
    assert any(note.startswith(f"The section on {section} failed: ") for note in report.notes)
    assert {"timeouts", "latency", "trust"} <= {one.name for one in report.sections}
    assert section not in {one.name for one in report.sections}


def test_an_interruption_ends_the_report(
    connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no failure of a part."""
    monkeypatch.setattr(making, "CHECKS", {})  # what is asked before; it takes its time

    def more(given: duckdb.DuckDBPyConnection, window: Window) -> list[Finding]:
        raise duckdb.InterruptException("INTERRUPT Error: Interrupted!")

    with pytest.raises(duckdb.InterruptException):
        make(connection, WINDOW, WINDOW.until, {"more": more})


def test_hostile_text_stays_text(connection: duckdb.DuckDBPyConnection) -> None:
    """In every name of the log: it is told as it is, and SQL and commands are printable, run and do nothing else."""
    report = make(connection, Window(WINDOW.since, WINDOW.until, HOSTILE), WINDOW.until)
    assert [note for note in report.notes if "failed" in note] == []
    assert {"timeouts", "error-code", "memory-quota", "php-memory-limit"} <= _kinds(report)
    for finding in report.findings:
        assert connection.execute(finding.sql).fetchall(), finding
        assert all(character.isprintable() or character == "\n" for character in finding.sql)
        assert finding.command.isprintable()
        assert "--app" not in shlex.split(finding.command)
    assert HOSTILE in report.findings[0].sentence


def _kinds(report: Report) -> set[str]:
    """Of findings, and of those beneath them by what they say."""
    said = " ".join(text for finding in report.findings for text in finding.also)
    beneath = {"error-code"} if "H13" in said else set()
    return {finding.kind for finding in report.findings} | beneath


def test_of_very_many_findings_only_the_worst_get_request_ids(tmp_path: Path) -> None:
    """Each looks through an app's requests once more; a note says how many have none."""
    apps = EXAMPLED_MAX + 5
    failed = {"source": "heroku", "code": "H13", "status": 503, "request_id": "an-id"}
    rows = [
        {**failed, "app": f"app-{app:02}", "timestamp": calm.DAY + timedelta(hours=1, seconds=second)}
        for app in range(apps)
        for second in range(3 + app)
    ]
    lake = write_lake(tmp_path / "lake", {"router": rows})
    with database.connect(str(lake), tmp_path / "lake.duckdb") as connection:
        report = make(connection, replace(WINDOW, app_name=None), WINDOW.until)
    without = sorted(finding.app for finding in report.findings if not finding.request_ids)
    assert without == [f"app-{app:02}" for app in range(5)]
    assert f"Request ids were looked up for the first {EXAMPLED_MAX} of {apps} findings that have some." in report.notes
