"""SQL and shell lines of a report: what logs hold stays text in them."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime, timedelta

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from queries.report.model import Window
from queries.report.quoting import call, command, sql_text

WINDOW = Window(datetime(2026, 11, 25, tzinfo=UTC), datetime(2026, 11, 26, tzinfo=UTC))
HOSTILE = [
    "it's",
    "$(reboot)",
    "`id`",
    "a\nreboot\n",
    "a\x00b",
    "\u202egnp.exe",
    "--drop",
    "a' OR 1=1 --",
    "\x1b[2J",
    "",
]
DUCKDB = duckdb.connect()


@pytest.mark.parametrize("text", HOSTILE)
def test_sql_gives_the_text_back_and_shows_all_of_it(text: str) -> None:
    """What is pasted means what it shows: no character that turns, hides or ends it."""
    written = sql_text(text)
    assert written.isprintable()
    assert DUCKDB.execute(f"SELECT {written}").fetchall() == [(text,)]


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_any_text_survives_sql(text: str) -> None:
    """Whatever it is made of."""
    assert DUCKDB.execute(f"SELECT {sql_text(text)}").fetchall() == [(text,)]


@pytest.mark.parametrize("app", HOSTILE)
def test_a_shell_line_never_holds_what_is_no_name_of_an_app(app: str) -> None:
    """drainlake takes no such name there; without it the command asks for all apps."""
    line = command("h12_autopsy", WINDOW, app)
    assert line.isprintable()
    assert shlex.split(line) == [
        "drainlake", "query", "h12_autopsy",
        "--since", "2026-11-25T00:00Z", "--until", "2026-11-26T00:00Z",
    ]  # fmt: skip


def test_an_ordinary_app_and_a_parameter_stand_in_the_line() -> None:
    """Each is one word of the shell."""
    words = shlex.split(command("throughput", WINDOW, "shop", "per=a b"))
    assert words[-4:] == ["--app", "shop", "--param", "per=a b"]


def test_a_shell_line_has_its_times_to_the_microsecond_where_they_need_it() -> None:
    """Else it would ask about other rows than the finding."""
    since = datetime(2026, 11, 25, 9, 0, 7, 120, tzinfo=UTC)
    words = shlex.split(command("throughput", Window(since, since + timedelta(seconds=53)), "shop"))
    assert words[4] == "2026-11-25T09:00:07.000120Z"
    assert datetime.fromisoformat(words[6]) == since + timedelta(seconds=53)


def test_a_question_is_called_with_the_windows_times() -> None:
    """Written out, so that it gives the same rows tomorrow."""
    asked = call("latency", Window(WINDOW.since, WINDOW.until, "o'shop"), per="x")
    assert asked == (
        "latency(since := '2026-11-25T00:00:00+00:00'::TIMESTAMPTZ, until := '2026-11-26T00:00:00+00:00'::TIMESTAMPTZ,"
        " app_name := 'o''shop', per := 'x')"
    )
