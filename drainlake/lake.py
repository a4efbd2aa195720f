"""The lake as commands open it: a connection with all tables and questions, errors as one sentence."""

from __future__ import annotations

import os
import queue
import re
import signal
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, NoReturn, TypeVar

import click
import duckdb
import pyarrow as pa

from drainlake.errors import Failure, WrongUse
from drainlake.hostile import clean_line
from queries.database import connect, ensure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drainlake.settings import Settings
    from transforms.objects import S3Options

BATCH_ROWS: Final = 10_000
_REFUSED: Final = "Invalid Input Error: "
_TORN: Final = re.compile("No magic bytes found|too small to be a Parquet file")
INTERRUPT_SECONDS: Final = 0.05
# How long a query may go on after it was told to end: some functions of DuckDB look up only when they are done.
PATIENCE_SECONDS: Final = 2.0
Result = TypeVar("Result")


class RefusedParameterError(Failure):
    """What a question says itself of a wrong parameter; the remedy is written as in SQL."""


@contextmanager
def open_lake(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the lake, closed at the end; a lake that is not there yet is an empty one."""
    try:
        connection = _connect(settings)
    except ValueError as error:
        raise WrongUse(str(error), "another DRAINLAKE_LAKE") from None
    except duckdb.Error as error:
        raise failure_of(error) from None
    except RuntimeError as error:  # what DuckDB makes of Ctrl-C in the main thread, while the catalog is made
        if str(error) == "Query interrupted":
            raise KeyboardInterrupt from None
        raise
    with connection:
        yield connection


def _connect(settings: Settings) -> duckdb.DuckDBPyConnection:
    if isinstance(settings.lake, Path):
        if not settings.lake.is_dir():
            click.echo(f"Note: nothing has landed in {settings.lake} yet.", err=True)
        return connect(str(settings.lake), settings.catalog)
    from transforms.objects import StoreError  # noqa: PLC0415 - only a lake on S3 needs it

    try:
        store = settings.lake.store()
        if not store.children("")[0]:
            click.echo(f"Note: nothing has landed in {settings.lake} yet.", err=True)
        return connect(str(settings.lake), settings.catalog, store)
    except StoreError as error:
        raise _failure(str(error)) from None


def make_catalog(lake: str, database: Path, options: S3Options | None = None) -> None:
    """Make ``lake.duckdb`` for other clients, if that can be done; every question does, or does without."""
    from transforms.objects import ObjectStore, StoreError  # noqa: PLC0415

    with suppress(OSError, ValueError, duckdb.Error, StoreError):
        ensure(lake, database, ObjectStore(options) if options else None)


def interruptible(
    connection: duckdb.DuckDBPyConnection, work: Callable[[], Result], seconds: float | None = None
) -> Result:
    """Run a query's work in a thread; Ctrl-C stops the query, waits for its end and raises.

    In the main thread DuckDB would make a RuntimeError of it, which could mean anything. Errors of the query
    become :class:`Failure`, and so does one that takes longer than ``seconds``; where it cannot be stopped then, the
    process ends.
    """
    task = _Task(work)
    thread, is_begun = threading.Thread(target=task.run, name="query"), False
    ctrl_c = _HeldBack()
    try:
        thread.start()
        is_begun = True
        ctrl_c.let_go()
        if not _wait(task.ended, seconds):
            _stop_for_good(connection, task.ended, seconds)
    except KeyboardInterrupt:
        if is_begun:
            _stop(connection, task.ended)
        raise
    finally:
        ctrl_c.let_go()
    return task.result()


class _Task(Generic[Result]):
    """Work for a thread, and what became of it."""

    def __init__(self, work: Callable[[], Result]) -> None:
        self._work = work
        self._results: list[Result] = []
        self._error: Exception | None = None
        # Neither Thread.join nor an Event: interrupted at a bad moment, these take a running thread for an ended one or
        # raise a RuntimeError. A SimpleQueue waits in C.
        self.ended: queue.SimpleQueue[None] = queue.SimpleQueue()

    def run(self) -> None:
        """Do it; raises nothing."""
        try:
            self._results.append(self._work())
        except (duckdb.Error, pa.ArrowException) as error:
            self._error = failure_of(error)
        except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
            self._error = error
        finally:
            self.ended.put(None)

    def result(self) -> Result:
        """What the work gave, once it has ended, or raises what it raised."""
        if self._error is not None:
            raise self._error
        return self._results[0]


class _HeldBack:
    """Ctrl-C is held back from now on, until it is let go.

    Amid the start of a thread it would leave a query that nobody waits for, or one waited for that never begins. It is
    the handler that holds back, not a mask of this thread: the system may give the signal to any other.
    """

    def __init__(self) -> None:
        self._came = False
        is_main = threading.current_thread() is threading.main_thread()  # the only one that Ctrl-C can interrupt
        self._before = signal.signal(signal.SIGINT, self._note) if is_main else None

    def _note(self, *_: object) -> None:
        self._came = True

    def let_go(self) -> None:
        """Handle Ctrl-C as before, and one that came meanwhile; more than once does no harm."""
        before, self._before = self._before, None
        if before is not None:
            signal.signal(signal.SIGINT, before)
            if self._came and callable(before):
                before(signal.SIGINT, None)


def _wait(ended: queue.SimpleQueue[None], seconds: float | None = None) -> bool:
    """Whether it ended in time. In short steps: the signal may meet another thread, and nothing would wake this one."""
    deadline = None if seconds is None else time.monotonic() + seconds
    while deadline is None or time.monotonic() < deadline:
        with suppress(queue.Empty):
            ended.get(timeout=INTERRUPT_SECONDS)
            return True
    return False


def _stop_for_good(
    connection: duckdb.DuckDBPyConnection, ended: queue.SimpleQueue[None], seconds: float | None
) -> NoReturn:
    told = f"The statement took longer than {seconds:g} s and was stopped."
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        connection.interrupt()
        if _wait(ended, INTERRUPT_SECONDS):
            raise Failure(told, "a shorter window, or fewer columns")
    # A thread cannot be killed, a process can: a limit that holds only for polite statements is none.
    click.echo(f"drainlake: {told}\nTry: a shorter window, or fewer columns", err=True)
    os._exit(1)


def _stop(connection: duckdb.DuckDBPyConnection, ended: queue.SimpleQueue[None]) -> None:
    """Interrupt until the query ends: an interrupt does nothing to one that has not begun yet."""
    while True:
        with suppress(KeyboardInterrupt, queue.Empty):
            connection.interrupt()
            ended.get(timeout=INTERRUPT_SECONDS)
            return


def failure_of(error: duckdb.Error | pa.ArrowException) -> Failure:
    """DuckDB's error as one sentence; its excerpt of the statement is left out."""
    text = str(error).partition("\n\n")[0]
    if text.startswith(
        "Traceback"
    ):  # an error of the file system that reads a lake on S3, with its sentence at the end
        return _failure(text.splitlines()[-1].partition(": ")[2])
    sentence, _, remedy = clean_line(text).removeprefix(_REFUSED).partition("; try ")
    if remedy and text.startswith(_REFUSED):
        return RefusedParameterError(f"{sentence}.", remedy.rstrip("."))
    if _TORN.search(text):
        return Failure(clean_line(text), "restore that file from a backup, or move it out of the lake")
    return Failure(clean_line(text), 'drainlake sql ".tables", or `drainlake query` for the questions')


def _failure(told: str) -> Failure:
    """What a store told, as a failure: "what is wrong; what to try."."""
    return Failure.told(clean_line(told).rstrip("."), "try again")
