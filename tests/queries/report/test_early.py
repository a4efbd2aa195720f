"""The question that a report asks before all others: its answer is taken as it is, and what it cannot tell is asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pytest

from ingest.schema import DERIVED
from queries import database
from queries.report.early import QUESTION, early
from queries.report.making import make
from queries.report.model import Window
from queries.report.quoting import call
from tests.queries.lakes import write_lake
from tests.queries.report import calm
from tests.queries.report.hostile import hostile_tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from queries.report.model import Report

WINDOW = Window(calm.DAY, calm.DAY + timedelta(days=1))


@pytest.fixture(name="lake", scope="module")
def _lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day with timeouts of an app whose names are attacks, and one without."""
    return write_lake(tmp_path_factory.mktemp("early") / "lake", calm.tables() | hostile_tables())


@pytest.fixture(name="connection", scope="module")
def _connection(lake: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with database.connect(str(lake), lake.parent / "lake.duckdb") as opened:
        yield opened


@pytest.fixture(name="report", scope="module")
def _report(connection: duckdb.DuckDBPyConnection) -> Report:
    """The day's report, for which all is asked."""
    return make(connection, WINDOW, WINDOW.until)


def test_a_report_is_the_same_with_what_is_known(connection: duckdb.DuckDBPyConnection, report: Report) -> None:
    """Rows, their types and what is told of them."""
    known = early(connection, WINDOW)
    assert [table.num_rows for table in known.values()] == [1]
    assert make(connection, WINDOW, WINDOW.until, early=known) == report


def test_what_is_known_is_not_asked_again(connection: duckdb.DuckDBPyConnection) -> None:
    """Without its rows the report tells of no timeouts."""
    nothing = {text: table.slice(0, 0) for text, table in early(connection, WINDOW).items()}
    report = make(connection, WINDOW, WINDOW.until, early=nothing)
    [section] = [section for section in report.sections if section.name == "timeouts"]
    [answer] = [answer for answer in section.answers if answer.question == QUESTION]
    assert answer.rows == ()


def test_the_question_reads_no_made_table(connection: duckdb.DuckDBPyConnection) -> None:
    """Else it would be asked of the minutes that are about to be made."""
    with connection.cursor() as other:
        for table in DERIVED:
            other.execute(f"CREATE TEMP VIEW {table} AS SELECT 'nothing of it' AS whole")
        with pytest.raises(duckdb.BinderException):
            other.execute(f"FROM {call('peak_concurrency', WINDOW)}")
        assert early(other, WINDOW) == early(connection, WINDOW)


def test_of_a_long_window_nothing_is_known(connection: duckdb.DuckDBPyConnection) -> None:
    """The question may be asked of a part of it only, and the minutes say which."""
    assert early(connection, Window(WINDOW.since - timedelta(days=6), WINDOW.until)) == {}


def test_what_is_called_in_other_words_is_not_known(connection: duckdb.DuckDBPyConnection, report: Report) -> None:
    """Answers are of exactly one window and app."""
    [text] = early(connection, WINDOW)
    assert text == call(QUESTION, WINDOW)
    other = {call(QUESTION, replace(WINDOW, app_name="shop")): pa.table({"wrong": [1]})}
    assert make(connection, WINDOW, WINDOW.until, early=other) == report
