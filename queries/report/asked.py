"""The lake as a report's checks and sections ask it: each question is computed once, whoever asks for it again.

Statements have the window's times written out, so that what a report shows runs as it stands. Here the questions in
them are read from temporary tables that hold their answers, because several checks and sections ask the same ones.
"""

from __future__ import annotations

import itertools
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Self

import duckdb

from queries.few_days import FewDays
from queries.listing import Listing
from queries.reach import OF_OTHER_DAYS, Reach, reach
from queries.report import hours, moments, sums
from queries.report.balancer import limits
from queries.report.model import Answer
from queries.report.parts import LONG, PART_OF, is_long, stretches
from queries.report.quoting import between, call
from queries.temporary import make_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from types import TracebackType

    import pyarrow as pa

    from queries.report.model import Chart, Window
    from queries.report.parts import Hour

    Early = Mapping[str, pa.Table]

# Rows held of one answer: lines of a chart take 300 moments each, and a flooded app has a million routes.
ROWS_MAX: Final = 20_000
SHOWN_MAX: Final = 50
# Each reads an app's requests once more, and with a thousand apps there can be as many findings.
EXAMPLED_MAX: Final = 40
_BITE: Final = 2_000  # divides ROWS_MAX, so that no row is fetched and then neither kept nor counted

_COUNT: Final = "SELECT count(*) AS requests FROM {rows}"

Record = dict[str, Any]
_NONE: Final[Early] = {}
_numbers: Final = itertools.count(1)


@dataclass(frozen=True)
class Rows:
    """The first rows of an answer, the names of their columns, and how many rows there were."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    count: int

    @cached_property
    def records(self) -> tuple[Record, ...]:
        """The rows by column name."""
        return tuple(dict(zip(self.columns, row, strict=True)) for row in self.rows)


class Asked:
    """One connection and one window, and what has been asked already; a failure is remembered like an answer.

    A context manager: at its end the temporary tables are gone. Until then the connection sees the window's days alone,
    and only what is asked here is asked once more where it needs others; its cursors see all. ``early`` are answers
    that are known, by how the questions are called, ``counted`` are hours that were counted, which are added to, and
    ``listing`` are the lake's files, if they were listed.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        window: Window,
        early: Early = _NONE,
        counted: hours.Counted | None = None,
        listing: Listing | None = None,
    ) -> None:
        self.connection = connection
        self.window = window
        self.counted: hours.Counted = {} if counted is None else counted
        self._early = early
        self.listing = listing or Listing()
        self._few_days = FewDays(connection, Reach(((window.since, window.until),)), self.listing)
        self._other_days: dict[tuple[object, ...], FewDays] = {}  # by a question and its instants
        self._looks_at: dict[str, tuple[str, dict[str, datetime]]] = {}  # a question and its instants, by what is asked
        self._counted_hours = hours.Hours(connection, self.counted)
        self._by_hours: dict[str, Window] = {}
        self._known: dict[str, Rows | duckdb.Error] = {}
        self._tables: dict[str, str | duckdb.Error | None] = {}
        self.narrowed: dict[str, tuple[Window, ...]] = {}  # of each question that was not asked of all, what of
        self.charts: dict[tuple[object, ...], Chart] = {}  # by what was drawn
        self.exampled = 0  # findings that wanted request ids

    def __enter__(self) -> Self:
        moments.cast(self.connection)
        self._few_days.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for table in self._tables.values():
            if isinstance(table, str):
                with suppress(duckdb.Error):  # a connection that was closed has none any more
                    self.connection.execute(f"DROP TABLE IF EXISTS temp.{table}")
        self._counted_hours.forget()
        moments.forget(self.connection)
        for days in (*self._other_days.values(), self._few_days):
            days.__exit__(kind, error, trace)

    @cached_property
    def is_long(self) -> bool:
        """Whether dear questions are asked of a part of the window only."""
        if self.window.until - self.window.since <= LONG:
            return False
        return is_long(self.window, sum(hour.requests for hour in self._hours))

    @cached_property
    def _hours(self) -> list[Hour]:
        """The hours of the window; where there are no minutes, only how many requests it holds is known."""
        hours = sums.all_hours(self.window, self.records(sums.of_window(sums.HOURS, self.window)))
        if any(hour.requests for hour in hours):
            return hours
        [held] = self.records(_COUNT.format(rows=between("router", self.window)))
        return sums.even_hours(self.window, held["requests"])

    def windows(self, question: str) -> tuple[Window, ...]:
        """What a question is asked of: the window, or parts of one that is too long for it."""
        if question not in PART_OF or not self.is_long:
            return (self.window,)
        if question not in self.narrowed:
            self.narrowed[question] = stretches(self.window, self._hours, PART_OF[question])
        return self.narrowed[question]

    def window_at(self, question: str, moment: datetime | None = None) -> Window:
        """That of the question's windows in which the moment lies; otherwise the last."""
        windows = self.windows(question)
        return next((one for one in windows if moment and one.since <= moment < one.until), windows[-1])

    def near(self, moment: datetime) -> Window:
        """The window, or of a long one the hour from the moment on: examples need not be looked for in all of it."""
        return replace(self.window, since=moment, until=moment + timedelta(hours=1)) if self.is_long else self.window

    def call(self, question: str, **more: int | str) -> str:
        """The question as it is called in SQL for this window, or for the part of it that is looked at."""
        if self.is_long and question in sums.QUESTIONS:
            return self.shared(sums.of_window(sums.QUESTIONS[question], self.window))
        windows = self.windows(question)
        if len(windows) == 1:
            return self.call_in(windows[0], question, **more)
        return self.shared(" UNION ALL ".join(f"FROM {call(question, window, **more)}" for window in windows))

    def call_in(self, window: Window, question: str, **more: int | str) -> str:
        """The question as it is called in SQL for another window."""
        limited = limits(self, question)
        text = call(question, window, **limited, **more)
        self._tables.setdefault(text, None)
        self._looks_at[text] = question, limited
        if question in hours.QUESTIONS:
            self._by_hours[text] = window
        return text

    def shared(self, sql: str, like: str | None = None) -> str:
        """A statement as a source of others, which is computed once however often they read it.

        It looks at the days that the question ``like`` looks at, or at the window's.
        """
        text = f"({sql})"
        if like is not None:
            self._looks_at[text] = like, {}
        self._tables.setdefault(text, None)
        return text

    def rows(self, sql: str) -> Rows:
        """The answer to a statement; raises duckdb.Error when it fails, each time it is asked."""
        if sql not in self._known:
            try:
                statement = self._from_tables(sql)
                self._known[sql] = self._few_days.answer(lambda: self._run(statement))
            except duckdb.InterruptException:
                raise
            except duckdb.Error as error:
                self._known[sql] = error
        known = self._known[sql]
        if isinstance(known, duckdb.Error):
            raise known
        return known

    def whole(self, source: str) -> pa.Table:
        """All rows of a source, to be known early by another; raises duckdb.Error when it fails."""
        return self._few_days.answer(lambda: self.connection.sql(f"FROM {source}").to_arrow_table())

    def records(self, sql: str) -> tuple[Record, ...]:
        """The rows of a statement by column name."""
        return self.rows(sql).records

    def question(self, name: str, **more: int | str) -> tuple[Record, ...]:
        """The rows of a question in this window."""
        return self.records(f"FROM {self.call(name, **more)}")

    def request_ids(self, sql: str) -> tuple[str, ...]:
        """Examples of a finding, in the column `request_id`; none after those of EXAMPLED_MAX findings."""
        self.exampled += 1
        return tuple(row["request_id"] for row in self.records(sql)) if self.exampled <= EXAMPLED_MAX else ()

    def answer(self, name: str, where: str = "", **more: int | str) -> Answer:
        """The first rows of a question, to be shown."""
        return self.answer_to(name, f"FROM {self.call(name, **more)}" + (f" WHERE {where}" if where else ""))

    def answer_to(self, name: str, sql: str) -> Answer:
        """The first rows of a statement about a question, to be shown."""
        rows = self.rows(sql)
        return Answer(name, rows.columns, rows.rows[:SHOWN_MAX], rows.count, sql)

    def _from_tables(self, sql: str) -> str:
        """The statement with the answers already computed in the place of the questions."""
        for text in sorted(self._tables, key=len, reverse=True):
            if text in sql:
                sql = sql.replace(text, f"temp.{self._table(text)}")
        return sql

    def _table(self, text: str) -> str:
        table = self._tables[text]
        if isinstance(table, duckdb.Error):
            raise table
        if table is None:
            table = f"drainlake_asked_{next(_numbers)}"
            try:
                self._answer(text, table)
            except duckdb.InterruptException:
                raise
            except duckdb.Error as error:
                self._tables[text] = error
                raise
            self._tables[text] = table
        return table

    def _answer(self, text: str, table: str) -> None:
        if text in self._early:
            make_table(self.connection, table, self._early[text])
        else:
            with self._days_of(*self._looks_at.get(text, ("", {}))) as days:
                days.answer(lambda: self._create(text, table))

    @contextmanager
    def _days_of(self, question: str, instants: dict[str, datetime]) -> Iterator[FewDays]:
        """The connection sees the days that a question looks at, for a while."""
        if question not in OF_OTHER_DAYS:
            yield self._few_days
            return
        given = {"since": self.window.since, "until": self.window.until, **instants}
        with self._few_days.all_days():
            days = self._other_days.get(key := (question, *instants.items()))
            if days is None:
                days = FewDays(self.connection, reach(question, given, self.window.until), self.listing).__enter__()
                self._other_days[key] = days
            else:
                days.hide()
            try:
                yield days
            finally:
                days.show()

    def _create(self, text: str, table: str) -> None:
        if text in self._by_hours:
            self._counted_hours.count(self._by_hours[text])
        self.connection.execute(f"CREATE TEMP TABLE {table} AS FROM {text}")

    def _run(self, sql: str) -> Rows:
        cursor = self.connection.execute(sql)
        columns = tuple(column[0] for column in cursor.description or ())
        kept = tuple(itertools.islice(_fetched(cursor), ROWS_MAX))
        return Rows(columns, kept, len(kept) + sum(1 for _ in _fetched(cursor)))


def _fetched(cursor: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while rows := cursor.fetchmany(_BITE):
        yield from rows
