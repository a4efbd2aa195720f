"""Queries in a thread: Ctrl-C at any moment ends the query and leaves the connection usable."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pytest

from drainlake.errors import Failure
from drainlake.lake import asked_beside, interruptible
from drainlake.settings import parse
from queries import database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from drainlake.settings import Settings
    from tests.drainlake.inside import Inside

LONG = "SELECT count(*) FROM range(300000000) t(x) WHERE x % 7 = 3"
ENDLESS = "SELECT count(*) FROM range(1000000000000) t(x) WHERE x % 7 = 3"


assert pl.thread_pool_size() > 0  # threads that a signal can meet in the place of the main one


def _interrupt_main() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("delay_seconds", [0.0, 0.0001, 0.001, 0.05])
def test_an_interrupt_at_any_moment_ends_the_query(delay_seconds: float) -> None:
    """Before the query begins or in the midst of it: it ends, and the connection answers again."""
    with duckdb.connect() as connection:
        started = threading.Event()

        def work() -> object:
            threading.Timer(delay_seconds, _interrupt_main).start()
            started.set()
            return connection.execute(ENDLESS).fetchall()

        with pytest.raises(KeyboardInterrupt):
            interruptible(connection, work)
        assert started.is_set()
        assert connection.execute("SELECT 1").fetchall() == [(1,)]


@pytest.fixture(name="bystander")
def _bystander() -> Iterator[threading.Thread]:
    """Another thread, which the system may give a signal to."""
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    yield thread
    end.set()
    thread.join()


@pytest.mark.parametrize("is_before", [True, False])
def test_an_interrupt_amid_the_start_is_not_lost(
    monkeypatch: pytest.MonkeyPatch, bystander: threading.Thread, *, is_before: bool
) -> None:
    """Whichever thread meets the signal, it is held back until the query can be stopped; none is waited for in vain."""
    start = threading.Thread.start

    def start_and_interrupt(thread: threading.Thread) -> None:
        for step in (True, False):
            if step is is_before:
                signal.pthread_kill(bystander.ident, signal.SIGINT)
                time.sleep(0.05)  # for the signal to be seen here
            if step:
                start(thread)

    with duckdb.connect() as connection:
        monkeypatch.setattr(threading.Thread, "start", start_and_interrupt)
        with pytest.raises(KeyboardInterrupt):
            interruptible(connection, lambda: connection.execute(ENDLESS).fetchall())
        assert connection.execute("SELECT 1").fetchall() == [(1,)]


@pytest.fixture(name="settings")
def _settings(tmp_path: Path) -> Settings:
    return parse({"DRAINLAKE_HOME": str(tmp_path)})


def test_work_goes_on_while_the_lake_is_asked(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """Each in a thread of its own: neither ends before the other has begun. That nothing landed is told elsewhere."""
    both = threading.Barrier(2, timeout=30)

    def ask(lake: duckdb.DuckDBPyConnection) -> object:
        both.wait()
        return lake.execute("SELECT count(*) FROM router").fetchall()

    assert asked_beside(settings, ask, both.wait)[0] == [(0,)]
    assert capsys.readouterr().err == ""


def test_a_failed_answer_does_not_cost_the_work(settings: Settings) -> None:
    """Whoever asks the same again is told why."""
    assert asked_beside(settings, lambda lake: lake.execute("FROM nope"), lambda: "done") == (None, "done")


@pytest.mark.parametrize("seconds", [0.0, 0.3])
def test_work_that_fails_stops_the_query(settings: Settings, seconds: float) -> None:
    """Whether it runs by then or not: the error is told at once, and no thread is left."""

    def work() -> object:
        time.sleep(seconds)
        raise Failure("The disk is full.", "make room")

    with pytest.raises(Failure, match="disk"):
        asked_beside(settings, lambda lake: lake.execute(ENDLESS).fetchall(), work)
    assert "query" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("is_over", [True, False])
def test_an_interrupt_ends_both_the_work_and_the_query(settings: Settings, *, is_over: bool) -> None:
    """Also where the work is over and only the answer is waited for."""

    def work() -> None:
        threading.Timer(0.3, _interrupt_main).start()
        if not is_over:
            time.sleep(60)

    with pytest.raises(KeyboardInterrupt):
        asked_beside(settings, lambda lake: lake.execute(ENDLESS).fetchall(), work)
    assert "query" not in {thread.name for thread in threading.enumerate()}


def test_an_error_of_the_query_becomes_a_sentence() -> None:
    """DuckDB's message without its excerpt of the statement, as an expected failure."""
    with duckdb.connect() as connection, pytest.raises(Failure) as caught:
        interruptible(connection, lambda: connection.execute("SELECT nope FROM range(3)"))
    assert "nope" in caught.value.sentence
    assert "LINE 1" not in caught.value.sentence


def test_an_interrupt_while_the_catalog_is_made_ends_the_command(inside: Inside) -> None:
    """The first command over a home makes ``lake.duckdb``: Ctrl-C amid a statement is exit code 130, no traceback."""
    home = inside.folder / "drainlake-data"

    def long_statement(connection: duckdb.DuckDBPyConnection, _: list[str]) -> None:
        threading.Timer(0.1, _interrupt_main).start()
        connection.execute(LONG)

    inside.patch.setattr(database, "_run", long_statement)
    done = inside.run("query", "h12_timeouts")
    assert (done.returncode, done.stdout) == (130, "")
    assert list(home.iterdir()) == []
