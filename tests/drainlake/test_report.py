"""`drainlake report`: formats, files and exit codes, on a report that a stand-in makes."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from drainlake import cli
from tests.report.reports import bad_day, quiet_day

if TYPE_CHECKING:
    from pathlib import Path

    from queries.report.model import Report, Window


class Making(ModuleType):
    """In place of ``queries.report.making``: gives one report, and keeps what it was asked for."""

    def __init__(self, report: Report) -> None:
        super().__init__("queries.report.making")
        self.report = report
        self.asked: list[tuple[Window, datetime]] = []

    def make(self, connection: Any, window: Window, made_at: datetime, *more: Any, **known: Any) -> Report:
        """The report, made with a connection on which questions can be asked."""
        assert connection.execute("SELECT count(*) FROM router").fetchall() == [(0,)]
        self.asked.append((window, made_at))
        return self.report


@pytest.fixture
def making(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Making:
    """A lake that is empty, and a stand-in that reports a bad day."""
    stand_in = Making(bad_day())
    monkeypatch.setitem(sys.modules, "queries.report.making", stand_in)
    monkeypatch.setenv("DRAINLAKE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return stand_in


def test_a_summary_goes_to_the_terminal_and_nothing_is_written(
    making: Making, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 3 says that something is wrong."""
    assert cli.run(["report", "--app", "shop"]) == 3
    shown = capsys.readouterr().out
    assert shown.startswith("drainlake report: shop")
    assert "CRITICAL  530 requests timed out" in shown
    assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == []
    [(window, made_at)] = making.asked
    assert window.app_name == "shop"
    assert (window.until, window.until - window.since) == (made_at, timedelta(hours=24))


def test_a_quiet_day_is_exit_code_0(making: Making) -> None:
    """A cron job can tell it from a bad one."""
    making.report = quiet_day()
    assert cli.run(["report"]) == 0


@pytest.mark.parametrize(
    ("name", "start"),
    [("r.html", "<!doctype html>"), ("r.md", "# 530"), ("r.json", "{\n"), ("r.txt", "drainlake report: shop")],
)
def test_the_files_name_says_the_format(
    making: Making, tmp_path: Path, name: str, start: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file appears whole; stdout stays empty, stderr says where it is."""
    assert cli.run(["report", "--out", name]) == 3
    assert (tmp_path / name).read_text("utf-8").startswith(start)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.endswith(f"in the evening. Written to {name}.\n")
    assert {path.name for path in tmp_path.iterdir()} == {"home", name}


def test_a_format_that_is_given_wins(making: Making, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Over the file's name, and on stdout."""
    assert cli.run(["report", "--format", "slack", "--out", "r.html"]) == 3
    assert (tmp_path / "r.html").read_text("utf-8").startswith("*Report*: 530")
    capsys.readouterr()
    assert cli.run(["report", "--format", "json"]) == 3
    assert capsys.readouterr().out.startswith('{\n "version": 1')


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--out", "r.pdf"], "The name r.pdf says no format."),
        (["--out", "absent/r.html"], "There is no folder"),
        (["--since", "1h", "--until", "2h"], "--since must lie before --until."),
        (["--since", "0001-01-01"], "--since lies more than 100 years before --until."),
        (["--format", "pdf"], "Invalid value for '--format'"),
        (["--since", "yesterday"], "Invalid value for '--since'"),
    ],
)
def test_wrong_use_is_told_before_the_lake_is_read(
    making: Making, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, one sentence, one thing to try, nothing made."""
    assert cli.run(["report", *arguments]) == 2
    assert sentence in capsys.readouterr().err
    assert making.asked == []


def test_a_window_of_the_past_ends_where_it_is_told(making: Making) -> None:
    """A day before --until when --since is not given."""
    cli.run(["report", "--until", "2026-11-26"])
    assert making.asked[0][0].since == datetime(2026, 11, 25, tzinfo=UTC)


def test_a_span_that_is_given_is_as_long_as_it_says(making: Making) -> None:
    """A day of some milliseconds more has other steps in its charts, and a date at each time."""
    cli.run(["report", "--since", "24h"])
    [(window, made_at)] = making.asked
    assert (window.until - window.since, window.until) == (timedelta(days=1), made_at)
    assert made_at.microsecond == 0


def test_the_exit_codes_stand_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Who writes the cron job reads it there."""
    assert cli.run(["report", "--help"]) == 0
    assert "Exit code 3 when something is wrong" in capsys.readouterr().out
