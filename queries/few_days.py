"""Lets a connection see a few days of the lake, so that what is asked of them costs the same however many are kept.

To plan a question DuckDB looks at every file of each table that is named in it, each time it is named: some 60 us a
file, also for those that `date` then leaves out. A report names tables a few hundred times, and would spend seconds on
the files of a year.

So views of the files of some days hide the lake's views of the same names, in one connection. A question may look at
other days all the same, and files can be gone meanwhile: who would read the rows of a day that is left out gets an
error, never an answer without them, and is asked once more with all days there.
"""

from __future__ import annotations

import itertools
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, Self, TypeVar

import duckdb

from ingest.schema import ASSET_SIZES, ROUTER
from queries.views import ROUTER_ROWS, VIEWS, counting, reading, view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from types import TracebackType

    from ingest.schema import Table

T = TypeVar("T")

# Questions that look at days far from their window. To find that out costs half of what they take.
OF_OTHER_DAYS: Final = frozenset({"compare_periods", "load_test_verdict", "migration_diff"})
# Questions that look so many days back, and at all days before for what a load balancer logged, mostly nothing.
LOOK_BACK_DAYS: Final = {"uncompressed_assets": 30}

# Questions look at some minutes beyond a window at either side, and an alarm check of an hour looks for leaks of memory
# in a day. The empty files of 1970 tell the columns.
_DAYS: Final = """
CREATE TEMP TABLE {days} AS
SELECT
  table_name,
  file,
  date,
  since IS NOT NULL AND date < utc_day(least(since, until - INTERVAL 1 DAY) - INTERVAL 1 HOUR)
    AND date <> DATE '1970-01-01' AS is_before,
  coalesce(date > utc_day(until + INTERVAL 1 HOUR), false) AS is_after
FROM
  drainlake_files,
  (SELECT $since::TIMESTAMPTZ - to_days($look_back_days) AS since, $until::TIMESTAMPTZ AS until)
"""
# Of a day that is left out the sizes of assets tell who wrote its requests, if they were made from all of them.
_KEEP_BALANCED: Final = f"""
UPDATE temp.{{days}} SET is_before = false, is_after = false
WHERE table_name = '{ROUTER.name}' AND date NOT IN (
  SELECT date
  FROM {ROUTER_ROWS}
  JOIN (
    SELECT date, sum(responses) AS rows
    FROM {ASSET_SIZES.name}
    WHERE path IS NULL
    GROUP BY date
    HAVING bool_and(source = 'heroku')
  ) USING (date, rows)
)
"""  # noqa: S608 - names of tables
_FILES: Final = """
SELECT
  table_name,
  coalesce(list(file ORDER BY file) FILTER (WHERE NOT is_before AND NOT is_after), []) AS files,
  bool_or(is_before) AS has_before,
  bool_or(is_after) AS has_after
FROM temp.{days}
GROUP BY table_name
HAVING count(*) FILTER (WHERE is_before OR is_after) >= $least
"""
# To see that a side is not wanted takes as long as to plan with some 25 files.
LEFT_OUT_LEAST: Final = 50
# Tables of their own, because of a table DuckDB knows the least and the greatest value: so it sees when it plans that a
# question of the days between has nothing to look for in them, and plans as if they were not there.
_SIDES: Final = ("before", "after")
_SIDE: Final = "CREATE TEMP TABLE {days}_{side} AS SELECT DISTINCT date FROM temp.{days} WHERE is_{side}"
# A text that is no number is the error: error() has an effect, and may not stand wherever a table may. In a column or a
# filter it could be left out of a plan that does not need it; a row of `unnest` cannot be.
_LEFT_OUT: Final = """
SELECT date, {columns}
FROM (SELECT date, unnest([('left out: ' || date)::INTEGER::VARCHAR]) AS told FROM temp.{days}_{side})
"""
_numbers: Final = itertools.count(1)


class FewDays:
    """The days that a window touches, for questions to one connection. A context manager: afterwards all are there.

    None leaves a side of the window open. With a ``question`` these are the days that it looks at.

    A table with fewer files of other days than ``left_out_least`` stays as it is, which is quicker. Of several for one
    connection the last one hides the days; all of them answer right.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        since: datetime | None,
        until: datetime | None,
        question: str | None = None,
        left_out_least: int = LEFT_OUT_LEAST,
    ) -> None:
        self._connection = connection
        self._is_open = question in OF_OTHER_DAYS or (since, until) == (None, None)
        self._look_back_days = LOOK_BACK_DAYS.get(question or "", 0)
        self._window = {"since": since, "until": until, "look_back_days": self._look_back_days}
        self._least = {"least": left_out_least}
        self._days = f"drainlake_days_{next(_numbers)}"
        self._views: dict[str, str] = {}

    def __enter__(self) -> Self:
        try:
            self._views = self._found()
        except duckdb.InterruptException:
            raise
        except duckdb.Error:
            pass  # what is wrong with the lake is told by whatever is asked of it
        self.hide()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(duckdb.Error):  # a connection that was closed has none any more
            self.show()
            for name in (self._days, *(f"{self._days}_{side}" for side in _SIDES)):
                self._connection.execute(f"DROP TABLE IF EXISTS temp.{name}")

    def answer(self, ask: Callable[[], T], *, stays: bool = False) -> T:
        """What is asked of the connection; where that fails, what is asked with all days there.

        With ``stays`` they stay there then: of an answer that is still being read, the next statement takes the rest.
        """
        try:
            return ask()
        except duckdb.InterruptException:
            raise
        except duckdb.Error:
            if not self._views:
                raise
        if stays:
            self.show()
            self._views = {}
            return ask()
        with self.all_days():
            return ask()

    @contextmanager
    def all_days(self) -> Iterator[None]:
        """All days are there for a while."""
        self.show()
        try:
            yield
        finally:
            self.hide()

    def hide(self) -> None:
        """The connection sees the window's days alone."""
        try:
            for name, query in self._views.items():
                self._connection.execute(f'CREATE OR REPLACE TEMP VIEW "{name}" AS {query}')
        except duckdb.InterruptException:
            raise
        except duckdb.Error:  # a file is torn, or gone meanwhile
            self.show()
            self._views = {}

    def show(self) -> None:
        """It sees all days."""
        for name in self._views:
            self._connection.execute(f'DROP VIEW IF EXISTS temp."{name}"')

    def _found(self) -> dict[str, str]:
        """The views of the tables that have many files of other days; of an open window there are no others."""
        if self._is_open:
            return {}
        self._connection.execute(_DAYS.format(days=self._days), self._window)
        found = self._files()
        if self._look_back_days and ROUTER.name in found:
            self._connection.execute(_KEEP_BALANCED.format(days=self._days))
            found = self._files()
        for side in _SIDES if found else ():
            self._connection.execute(_SIDE.format(days=self._days, side=side))
        views = {name: self._view(VIEWS[name], *there) for name, there in found.items()}
        if ROUTER.name in found:
            views[ROUTER_ROWS] = self._view_of_rows(*found[ROUTER.name])
        return views

    def _files(self) -> dict[str, tuple[list[str], list[str]]]:
        """The files of the days of those tables that have many others, and on which sides the others are."""
        rows = self._connection.execute(_FILES.format(days=self._days), self._least).fetchall()
        return {name: (files, list(itertools.compress(_SIDES, is_there))) for name, files, *is_there in rows}

    def _view(self, table: Table, files: list[str], sides: list[str]) -> str:
        told = {column.name: f"told::{column.type}" for column in table.columns}
        if self._look_back_days and table is ROUTER:
            told["source"] = "'heroku'"  # so that DuckDB sees when it plans that a balancer logged nothing there
        return view(table, [*self._left_out(told, sides), *([reading(files)] if files else [])])

    def _view_of_rows(self, files: list[str], sides: list[str]) -> str:
        nothing = "SELECT NULL::DATE AS date, NULL::BIGINT AS rows WHERE false"
        left_out = self._left_out({"rows": "told::BIGINT"}, sides)
        return " UNION ALL BY NAME ".join([nothing, *left_out, *([counting(files)] if files else [])])

    def _left_out(self, told: Mapping[str, str], sides: list[str]) -> list[str]:
        columns = ", ".join(f'{value} AS "{name}"' for name, value in told.items())
        return [_LEFT_OUT.format(columns=columns, days=self._days, side=side) for side in sides]
