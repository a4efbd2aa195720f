"""Queries in a thread: Ctrl-C at any moment ends the query and leaves the connection usable."""

from __future__ import annotations

import subprocess
import sys

import duckdb
import pytest

from drainlake.errors import Failure
from drainlake.lake import interruptible

ENDLESS = "SELECT count(*) FROM range(1000000000000) t(x) WHERE x % 7 = 3"


# Each interrupt in a process of its own, as a user's prompt is one.
PROGRAM = f"""
import os, signal, threading
import duckdb
from drainlake.lake import interruptible

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)

def query():
    {{before}}
    return connection.execute({ENDLESS!r}).fetchall()

connection = duckdb.connect()
{{setup}}
try:
    interruptible(connection, query)
except KeyboardInterrupt:
    threading.Thread.start = start if "start" in globals() else threading.Thread.start
    print(connection.execute("SELECT 'usable'").fetchall())
"""
AMID_THE_START = """
start = threading.Thread.start
def start_and_interrupt(thread):
    start(thread)
    interrupt()
threading.Thread.start = start_and_interrupt
"""


def _interrupted(before: str = "pass", setup: str = "") -> str:
    program = PROGRAM.format(before=before, setup=setup)
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout


@pytest.mark.parametrize("delay_seconds", [0.0, 0.0001, 0.001, 0.05])
def test_an_interrupt_at_any_moment_ends_the_query(delay_seconds: float) -> None:
    """Before the query begins or in the midst of it: it ends, and the connection answers again."""
    assert "usable" in _interrupted(before=f"threading.Timer({delay_seconds}, interrupt).start()")


def test_an_interrupt_amid_the_start_is_not_lost() -> None:
    """A signal while the thread starts is held back until the query can be stopped."""
    assert "usable" in _interrupted(setup=AMID_THE_START)


def test_an_error_of_the_query_becomes_a_sentence() -> None:
    """DuckDB's message without its excerpt of the statement, as an expected failure."""
    with duckdb.connect() as connection, pytest.raises(Failure) as caught:
        interruptible(connection, lambda: connection.execute("SELECT nope FROM range(3)"))
    assert "nope" in caught.value.sentence
    assert "LINE 1" not in caught.value.sentence
