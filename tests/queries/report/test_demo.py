"""The simulated day: every planted incident is told, once, and nothing else is called wrong."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest

from drainlake.derived import keep_minutes
from drainlake.documents import example_lake
from queries import database
from queries.anomalies.watch import Watch
from queries.few_days import FewDays
from queries.report import apps, parts
from queries.report.asked import SHOWN_MAX, Asked
from queries.report.checks import timeouts
from queries.report.making import make
from queries.report.model import Severity, Window
from queries.report.previous import Reported
from queries.report.series import MOMENTS_MAX
from tests.queries.report.figures import unproved

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

    from queries.report.model import Report

SINCE = datetime.combine(example_lake.DAY, datetime.min.time(), UTC)
WINDOW = Window(SINCE, SINCE + timedelta(days=1))
PLANTED = {
    ("timeouts", "/reports/export"): "timed out (H12)",
    ("memory-leak", "web.3"): "leaks memory",
    ("php-memory-limit", "/tools/price-list"): "memory_limit of 32 MB",
    ("compression", ""): "went out uncompressed",
    ("cold-cache", "/product/{slug}"): "the first time on a started dyno",
    ("connections", "DATABASE"): "120 of 120 connections",
    ("lines-lost", ""): "336 lines were lost",
}
# What these planted things did besides, and must not be told by itself.
BENEATH = {
    "timeouts": ("php-fpm killed 85 requests of /reports/export", "New since the move: H12", "had to wait there"),
    "memory-leak": ("over its memory quota", "Scaled to web@4"),
    "compression": ("At the load balancer",),
    "connections": ("By PHP's errors",),
}


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """The simulated day and the load balancer's log of a week before."""
    home = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(example_lake, "LINES", 20_000)
        settings = example_lake.make(home)
    assert keep_minutes(settings, WINDOW.until) is None
    with database.connect(str(settings.lake), home / "lake.duckdb") as opened:
        yield opened


@pytest.fixture(scope="module")
def report(connection: duckdb.DuckDBPyConnection) -> Report:
    """The day's report, alarms among its findings."""
    return make(connection, WINDOW, WINDOW.until, {"anomalies": Watch(1.0).findings})


def test_every_planted_incident_is_told_once_and_nothing_else_is_wrong(report: Report) -> None:
    """No finding that is none of them is a warning, and none is told twice."""
    found = {(finding.kind, finding.subject): finding for finding in report.findings}
    assert len(found) == len(report.findings)
    assert {key: said for key, said in PLANTED.items() if key not in found or said not in found[key].sentence} == {}
    assert {key for key, finding in found.items() if finding.severity >= Severity.WARNING} - set(PLANTED) == set()


def test_alarms_are_told_beneath_what_explains_them(report: Report, connection: duckdb.DuckDBPyConnection) -> None:
    """The detector rings for the planted incidents, and each alarm is a sentence of the finding that explains it."""
    rang = [finding.sentence for finding in Watch(1.0).findings(connection, WINDOW)]
    told = [sentence for finding in report.findings for sentence in finding.also]
    assert len(rang) >= 2
    assert set(rang) <= set(told)


def test_what_has_the_same_cause_is_told_beneath_it(report: Report) -> None:
    """The effects are sentences of their cause."""
    also = {finding.kind: " ".join(finding.also) for finding in report.findings}
    assert [(kind, said) for kind, texts in BENEATH.items() for said in texts if said not in also[kind]] == []


def test_the_sql_of_each_finding_gives_the_figures_of_its_sentence(
    report: Report, connection: duckdb.DuckDBPyConnection
) -> None:
    """It runs as it stands, gives few rows, and each figure is one of theirs."""
    for finding in report.findings:
        cursor = connection.execute(finding.sql)
        columns, rows = [column[0] for column in cursor.description or ()], cursor.fetchall()
        assert 1 <= len(rows) <= 20, finding
        assert unproved(finding.sentence, columns, rows, WINDOW) == [], (finding.sentence, rows)


def test_a_wrong_figure_would_be_seen(report: Report, connection: duckdb.DuckDBPyConnection) -> None:
    """The test before this one can fail."""
    finding = report.findings[0]
    rows = connection.execute(finding.sql).fetchall()
    assert unproved("All 98,765 requests failed at 03:33 UTC, 77 % of them.", [], rows, WINDOW) == [
        "98,765", "03:33", "77 %",
    ]  # fmt: skip


def test_the_sql_of_each_answer_gives_its_rows(report: Report, connection: duckdb.DuckDBPyConnection) -> None:
    """As many as the report says, those that are shown first."""
    for section in report.sections:
        for answer in section.answers:
            cursor = connection.execute(answer.sql)
            assert tuple(column[0] for column in cursor.description or ()) == answer.columns
            rows = cursor.fetchall()
            assert (len(rows), len(answer.rows)) == (answer.row_count, min(answer.row_count, SHOWN_MAX)), answer.sql


def test_each_command_is_one_line_of_the_question_it_names(report: Report) -> None:
    """With the window and the app."""
    for finding in report.findings:
        words = shlex.split(finding.command)
        assert words[:2] == ["drainlake", "query"]
        assert words[3:] == ["--since", f"{SINCE:%FT%RZ}", "--until", f"{WINDOW.until:%FT%RZ}", "--app", "shop"]


def test_a_window_that_begins_within_a_burst_tells_of_the_same_burst(
    report: Report, connection: duckdb.DuckDBPyConnection
) -> None:
    """Its second half alone would blame a route that only waited."""
    [burst] = [finding for finding in report.findings if finding.kind == "timeouts"]
    since = burst.since + (burst.until - burst.since) * 0.9
    with Asked(connection, replace(WINDOW, since=since)) as asked:
        [found] = timeouts.check(asked)
        assert (found.id, found.since, found.until, found.request_ids) == (
            burst.id, burst.since, burst.until, burst.request_ids
        )  # fmt: skip
        first = "SELECT app, first_at, last_at, timeouts, dynos, culprit "
        assert connection.execute(first + found.sql).fetchall() == connection.execute(first + burst.sql).fetchall()


def test_the_standing_sections_answer(report: Report) -> None:
    """Each with the value that matters."""
    said = {section.name: section.sentence for section in report.sections}
    assert list(said) == [
        "timeouts", "memory", "compression", "capacity", "php", "database", "latency", "deploys", "load-tests", "trust",
    ]  # fmt: skip
    assert "74 requests" in said["timeouts"]
    assert "web.3" in said["memory"]
    assert "120 of 120" in said["database"]
    assert "deploy v118 at 19:30 UTC, scale at 11:20 UTC" in said["deploys"]
    assert "336 lost" in said["trust"]


def test_charts_are_whole_and_small(report: Report) -> None:
    """A value or a gap for each moment, thresholds and deploys on them."""
    charts = [chart for section in report.sections for chart in section.charts]
    charts += [finding.chart for finding in report.findings if finding.chart is not None]
    for chart in charts:
        assert 1 < len(chart.times) <= MOMENTS_MAX
        assert all(len(line.values) == len(chart.times) for line in chart.lines)
        assert [marker.label for marker in chart.markers][-1] == "deploy v118"
    by_title = {chart.title: chart for chart in charts}
    assert by_title["Memory of the dynos"].thresholds[0].value == 512
    assert by_title["Database connections"].thresholds[0].value == 120
    assert max(value or 0 for value in by_title["Database connections"].lines[0].values) == 120


def test_the_verdict_names_the_worst_first(report: Report) -> None:
    """In one sentence."""
    assert report.verdict.startswith(
        "Seven things are wrong: requests timed out behind /reports/export; DATABASE ran out"
    )
    assert report.is_wrong
    assert report.notes == ()


def test_a_report_is_the_same_when_other_days_are_left_out(
    report: Report, connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a lake of many days the files of others are not planned with, which nobody sees in what is told."""
    monkeypatch.setattr("queries.report.asked.FewDays", partial(FewDays, left_out_least=1))
    assert make(connection, WINDOW, WINDOW.until, {"anomalies": Watch(1.0).findings}) == report


def test_new_and_muted_findings_are_told_apart(report: Report, connection: duckdb.DuckDBPyConnection) -> None:
    """New is what the report before had not; what is muted is not counted until its date."""
    first, second, *_ = report.findings
    later = WINDOW.until + timedelta(days=1)
    again = make(
        connection,
        WINDOW,
        WINDOW.until,
        previous=Reported(None, SINCE, (second.id,)),
        mutes={first.id: later, second.id: WINDOW.until},
    )
    assert [(muted.finding.id, muted.until) for muted in again.muted] == [(first.id, later)]
    assert {finding.id for finding in again.findings} == {finding.id for finding in report.findings} - {first.id}
    assert {finding.id for finding in again.findings if not finding.is_new} == {second.id}
    assert not any(finding.is_new for finding in report.findings)
    assert again.verdict.startswith("Six things")


LONG = Window(SINCE - timedelta(days=2), WINDOW.until)


@pytest.fixture(scope="module")
def long_report(connection: duckdb.DuckDBPyConnection) -> Report:
    """Of three days, with so many requests that not all of them can be asked everything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "REQUESTS_MAX", 3_000)
        return make(connection, LONG, LONG.until)


def test_a_long_window_finds_what_is_worst_and_says_where_it_looked(long_report: Report) -> None:
    """The burst of timeouts is found by the hours that it was in; notes, sections and findings name the hours."""
    found = {(finding.kind, finding.subject): finding for finding in long_report.findings}
    burst = found["timeouts", "/reports/export"]
    assert "74 requests timed out" in burst.sentence
    assert any("This was looked for between 2026-11-23 09:30" in text for text in burst.also)
    assert any("h12_autopsy looked at the hours with most timeouts only, between" in note for note in long_report.notes)
    assert "Only between 2026-11-23" in next(one for one in long_report.sections if one.name == "timeouts").sentence
    assert not any("failed" in note for note in long_report.notes)


def test_what_a_long_report_shows_is_what_its_sql_gives(
    long_report: Report, connection: duckdb.DuckDBPyConnection
) -> None:
    """The figures of findings are of the hours that are named."""
    for finding in long_report.findings:
        cursor = connection.execute(finding.sql)
        columns, rows = [column[0] for column in cursor.description or ()], cursor.fetchall()
        assert unproved(finding.sentence, columns, rows, LONG) == [], (finding.sentence, rows)
    for answer in (answer for section in long_report.sections for answer in section.answers):
        assert len(connection.execute(answer.sql).fetchall()) == answer.row_count, answer.sql


def test_sums_of_minutes_are_the_figures_of_the_requests(connection: duckdb.DuckDBPyConnection) -> None:
    """Counts are equal, the p95 is within 1 %."""
    codes = ("app", "code", "requests", "share")
    with Asked(connection, WINDOW) as whole, Asked(connection, WINDOW) as long:
        long.is_long = True
        exact, summed = apps.traffic(whole), apps.traffic(long)
        told, kept = (
            [[row[name] for name in codes] for row in asked.question("error_codes")] for asked in (whole, long)
        )
    assert (summed["requests"], summed["failed"]) == (exact["requests"], exact["failed"])
    assert summed["p95_ms"] == pytest.approx(exact["p95_ms"], rel=0.01)
    assert kept == told != []


def test_nothing_is_left_in_the_connection(report: Report, connection: duckdb.DuckDBPyConnection) -> None:
    """Answers are kept in temporary tables, for as long as the report is made."""
    assert connection.execute("SELECT count(*) FROM duckdb_tables() WHERE temporary").fetchall() == [(0,)]
