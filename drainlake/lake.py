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
Done = TypeVar("Done")


class RefusedParameterError(Failure):
    """What a question says itself of a wrong parameter; the remedy is written as in SQL."""


@contextmanager
def open_lake(settings: Settings, *, says_empty: bool = True) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the lake, closed at the end; a lake that is not there yet is an empty one, and a note says so."""
    try:
        connection = _connect(settings, says_empty=says_empty)
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


def _connect(settings: Settings, *, says_empty: bool) -> duckdb.DuckDBPyConnection:
    if isinstance(settings.lake, Path):
        if says_empty and not settings.lake.is_dir():
            click.echo(f"Note: nothing has landed in {settings.lake} yet.", err=True)
        return connect(str(settings.lake), settings.catalog)
    from transforms.objects import StoreError  # noqa: PLC0415 - only a lake on S3 needs it

    try:
        store = settings.lake.store()
        if says_empty and not store.children("")[0]:
            click.echo(f"Note: nothing has landed in {settings.lake} yet.", err=True)
        return connect(str(settings.lake), settings.catalog, store)
    except StoreError as error:
        raise _failure(str(error)) from None


def make_catalog(lake: str, database: Path, options: S3Options | None = None) -> None:
    """Make ``lake.duckdb`` for other clients, if that can be done; every question does, or does without."""
    if options is None:
        with suppress(OSError, ValueError, duckdb.Error):
            ensure(lake, database)
        return
    from transforms.objects import ObjectStore, StoreError  # noqa: PLC0415 - only a lake on S3 needs it

    with suppress(OSError, ValueError, duckdb.Error, StoreError):
        ensure(lake, database, ObjectStore(options))


def interruptible(
    connection: duckdb.DuckDBPyConnection, work: Callable[[], Result], seconds: float | None = None
) -> Result:
    """Run a query's work in a thread; Ctrl-C stops the query, waits for its end and raises.

    In the main thread DuckDB would make a RuntimeError of it, which could mean anything. Errors of the query
    become :class:`Failure`, and so does one that takes longer than ``seconds``; where it cannot be stopped then, the
    process ends.
    """
    task = _Task(work)

    def wait() -> None:
        if not task.wait(seconds):
            _stop_for_good(connection, task, seconds)

    _beside(task, connection.interrupt, wait)
    return task.result()


def asked_beside(
    settings: Settings, ask: Callable[[duckdb.DuckDBPyConnection], Result], work: Callable[[], Done]
) -> tuple[Result | None, Done]:
    """Ask the lake in a thread with a connection of its own, and do other work meanwhile; gives what both gave.

    None is an answer that failed: whoever asks again is told why. Where the work raises, as by Ctrl-C, the query is
    stopped and its end waited for.
    """
    opened: list[duckdb.DuckDBPyConnection] = []

    def asked() -> Result:
        with open_lake(settings, says_empty=False) as connection:
            opened.append(connection)
            return ask(connection)

    def interrupt() -> None:
        with suppress(duckdb.Error):  # it is closed already
            for connection in opened:
                connection.interrupt()

    task = _Task(asked)

    def worked() -> Done:
        done = work()
        task.wait()
        return done

    done = _beside(task, interrupt, worked)
    return task.answer(), done


def _beside(task: _Task[Result], interrupt: Callable[[], None], work: Callable[[], Done]) -> Done:
    """Do some work while a thread does the task. However this is left, the task has ended."""
    thread, is_begun = threading.Thread(target=task.run, name="query"), False
    ctrl_c = _HeldBack()
    try:
        thread.start()
        is_begun = True
        ctrl_c.let_go()
        return work()
    finally:
        if is_begun:
            _stop(interrupt, task)
        ctrl_c.let_go()


class _Task(Generic[Result]):
    """Work for a thread, and what became of it."""

    def __init__(self, work: Callable[[], Result]) -> None:
        self._work = work
        self._results: list[Result] = []
        self._error: Exception | None = None
        self.has_ended = False
        # Neither Thread.join nor an Event: interrupted at a bad moment, these take a running thread for an ended one or
        # raise a RuntimeError. A SimpleQueue waits in C.
        self._ended: queue.SimpleQueue[None] = queue.SimpleQueue()

    def run(self) -> None:
        """Do it; raises nothing."""
        try:
            self._results.append(self._work())
        except (duckdb.Error, pa.ArrowException) as error:
            self._error = failure_of(error)
        except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
            self._error = error
        finally:
            self.has_ended = True
            self._ended.put(None)

    def wait(self, seconds: float | None = None) -> bool:
        """Whether it ended in time. In short steps: the signal may meet another thread, and nothing would wake this
        one. What is taken from the queue only wakes, since an interrupt may come between that and the next line."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while not self.has_ended and (deadline is None or time.monotonic() < deadline):
            with suppress(queue.Empty):
                self._ended.get(timeout=INTERRUPT_SECONDS)
        return self.has_ended

    def answer(self) -> Result | None:
        """What the work gave, once it has ended; None when it failed."""
        return self._results[0] if self._results else None

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


def _stop_for_good(connection: duckdb.DuckDBPyConnection, task: _Task[Result], seconds: float | None) -> NoReturn:
    told = f"The statement took longer than {seconds:g} s and was stopped."
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        connection.interrupt()
        if task.wait(INTERRUPT_SECONDS):
            raise Failure(told, "a shorter window, or fewer columns")
    # A thread cannot be killed, a process can: a limit that holds only for polite statements is none.
    click.echo(f"drainlake: {told}\nTry: a shorter window, or fewer columns", err=True)
    os._exit(1)


def _stop(interrupt: Callable[[], None], task: _Task[Result]) -> None:
    """Interrupt until the work ends: an interrupt does nothing to a query that has not begun yet."""
    while not task.has_ended:
        with suppress(KeyboardInterrupt):
            interrupt()
            task.wait(INTERRUPT_SECONDS)


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
