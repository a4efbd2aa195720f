"""Hours that are counted once for several questions: the answers are those of the questions themselves."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from queries import database
from queries.catalog import question, questions
from queries.report.hours import QUESTIONS, Hours
from queries.report.model import Window
from queries.report.quoting import call
from tests.queries.facts import FACTS, every_hour
from tests.queries.lakes import write_lake

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

    from queries.report.hours import Counted

SINCE = datetime(2026, 11, 15, 12, tzinfo=UTC)
WINDOW = Window(SINCE, SINCE + timedelta(days=1))
COUNTED = "SELECT count(*) FROM duckdb_tables() WHERE temporary"
HOURS = "FROM hours_between({since}, {until}, {app_name}) ORDER BY ALL"


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to twelve days."""
    folder = tmp_path_factory.mktemp("hours")
    lake = write_lake(folder / "lake", every_hour(FACTS))
    with database.connect(str(lake), folder / "a 'lake\".duckdb") as opened:
        yield opened


def test_the_questions_are_those_that_read_hours() -> None:
    """Each of them, and each that reads one of them; the report's own, since a verdict is of two windows."""
    mentions = {each.name: set(re.findall(r"\w+", question(each.name).sql)) for each in questions()}
    macros = {"hours_between", "peaks_between", "load_test_figures"}
    reading = {name for name, words in mentions.items() if words & macros}
    assert reading == QUESTIONS | {"load_test_verdict"}


@pytest.fixture(scope="module")
def known() -> dict[str, list[tuple[object, ...]]]:
    """Answers while no hours are counted, by statement."""
    return {}


@pytest.mark.parametrize("name", sorted(QUESTIONS))
@pytest.mark.parametrize("app_name", [None, "shop", "no such app"])
def test_answers_are_those_of_the_question(
    name: str,
    app_name: str | None,
    connection: duckdb.DuckDBPyConnection,
    known: dict[str, list[tuple[object, ...]]],
) -> None:
    """Of the window whose hours are counted, and of any other window and app meanwhile."""
    window = replace(WINDOW, app_name=app_name)
    others = [replace(window, until=window.until + timedelta(hours=1)), replace(window, app_name="shop"), WINDOW]
    asked = [f"FROM {call(name, each)}" for each in (window, *others)]
    known |= {sql: connection.execute(sql).fetchall() for sql in asked if sql not in known}
    hours = Hours(connection, {})
    hours.count(window)
    assert [connection.execute(sql).fetchall() for sql in asked] == [known[sql] for sql in asked]
    hours.forget()


@pytest.mark.parametrize(
    "other", ["'2026-11-15 12:00'", "TIMESTAMP '2026-11-15 12:00'", "NULL", "TIMESTAMPTZ '2026-11-15 12:00:00.000001Z'"]
)
def test_a_window_in_other_words_is_counted_as_it_is(other: str, connection: duckdb.DuckDBPyConnection) -> None:
    """Text, other types and open sides give what they give without it."""
    sql = HOURS.format(since=other, until=f"TIMESTAMPTZ '{WINDOW.until}'", app_name="NULL")
    expected = connection.execute(sql).fetchall()
    hours = Hours(connection, {})
    hours.count(WINDOW)
    assert connection.execute(sql).fetchall() == expected != []
    hours.forget()


def test_hours_are_counted_once(connection: duckdb.DuckDBPyConnection) -> None:
    """Rows that come meanwhile change nothing for a window that is counted, and another window is counted anew."""
    sql = HOURS.format(since=f"TIMESTAMPTZ '{SINCE}'", until=f"TIMESTAMPTZ '{WINDOW.until}'", app_name="NULL")
    hours = Hours(connection, {})
    hours.count(WINDOW)
    rows = connection.execute(sql).fetchall()
    connection.execute('CREATE OR REPLACE TEMP VIEW router AS FROM "a \'lake""".router WHERE false')
    try:
        hours.count(WINDOW)
        assert connection.execute(sql).fetchall() == rows
        hours.count(replace(WINDOW, app_name="shop"))
        assert connection.execute(sql).fetchall() != rows
    finally:
        connection.execute("DROP VIEW temp.router")
        hours.forget()


def test_another_connection_takes_what_was_counted(connection: duckdb.DuckDBPyConnection) -> None:
    """It reads none of the router's rows for it, and answers the same."""
    sql = HOURS.format(since=f"TIMESTAMPTZ '{SINCE}'", until=f"TIMESTAMPTZ '{WINDOW.until}'", app_name="NULL")
    expected = connection.execute(sql).fetchall()
    counted: Counted = {}
    hours = Hours(connection, counted)
    hours.count(WINDOW)
    with connection.cursor() as other:
        other.execute('CREATE OR REPLACE TEMP VIEW router AS FROM "a \'lake""".router WHERE false')
        of_other = Hours(other, counted)
        of_other.count(WINDOW)
        assert other.execute(sql).fetchall() == expected != []
        of_other.forget()
    hours.forget()


def test_nothing_stays_in_the_connection(connection: duckdb.DuckDBPyConnection) -> None:
    """Also where two were at work at once, and the first ends last."""
    one, other = Hours(connection, {}), Hours(connection, {})
    one.count(WINDOW)
    other.count(replace(WINDOW, app_name="shop"))
    other.forget()
    one.forget()
    assert connection.execute(COUNTED).fetchall() == [(0,)]
    assert connection.execute("SELECT count(*) FROM duckdb_functions() WHERE database_name = 'temp'").fetchall() == [
        (0,)
    ]
