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
from collections import Counter
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, Self, TypeVar

import duckdb

from ingest.schema import ROUTER
from queries.listing import Listing
from queries.temporary import make_table, seen
from queries.views import ROUTER_DAYS, UNSIZED, VIEWS, reading, view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from ingest.schema import Table
    from queries.reach import Reach

T = TypeVar("T")

BALANCED: Final = "_balanced"
# Questions look at some minutes beyond a window at either side, and an alarm check of an hour looks for leaks of memory
# in a day. The empty files of 1970 tell the columns. A `gap` is named by how many stretches ended before it, and of the
# router by whether a load balancer's rows are looked at there.
_DAYS: Final = f"""
CREATE TEMP TABLE {{days}} AS
SELECT
  table_name,
  file,
  date,
  coalesce(NOT bool_or(is_whole AND date BETWEEN first_day AND last_day), false)
    AND date <> DATE '1970-01-01' AS is_left_out,
  bool_or(kind = 'looked_back' AND date BETWEEN first_day AND last_day) AS is_looked_back,
  count(*) FILTER (WHERE is_whole AND date > last_day)
    || CASE
      WHEN table_name <> '{ROUTER.name}' THEN ''
      WHEN bool_or(kind = 'balanced' AND date BETWEEN first_day AND last_day) THEN '{BALANCED}'
      ELSE '_{ROUTER.name}'
    END AS gap
FROM (
  SELECT listed.*, stretches.*, kind = 'whole' OR (kind = 'looked_back' AND table_name <> '{ROUTER.name}') AS is_whole
  FROM
    {{days}}_listed AS listed,
    (
      SELECT
        kind,
        CASE
          WHEN since IS NULL THEN DATE '-infinity'
          ELSE utc_day(least(since, until - INTERVAL 1 DAY) - INTERVAL 1 HOUR)
        END AS first_day,
        coalesce(utc_day(until + INTERVAL 1 HOUR), DATE 'infinity') AS last_day
      FROM (
        SELECT
          unnest($kinds::VARCHAR[]) AS kind,
          unnest($begins::TIMESTAMPTZ[]) AS since,
          unnest($ends::TIMESTAMPTZ[]) AS until
      )
    ) AS stretches
)
GROUP BY table_name, file, date
"""  # noqa: S608 - names of tables
# Of a day that is left out the sizes of assets tell who wrote its requests, if they are kept.
_KEEP_BALANCED: Final = f"""
UPDATE temp.{{days}} SET is_left_out = false
WHERE ends_with(gap, '{BALANCED}') AND date NOT IN (SELECT date FROM temp.{{days}}_told WHERE is_herokus)
"""  # noqa: S608 - a name
_UNSIZED: Final = f"""
SELECT coalesce(list(file ORDER BY file), [])
FROM temp.{{days}} LEFT JOIN temp.{{days}}_told USING (date)
WHERE table_name = '{ROUTER.name}' AND is_looked_back AND NOT coalesce(has_sizes, false)
"""  # noqa: S608 - names of tables
_FILES: Final = """
SELECT
  table_name,
  coalesce(list(file ORDER BY file) FILTER (WHERE NOT is_left_out), []) AS files,
  list(DISTINCT gap ORDER BY gap) FILTER (WHERE is_left_out) AS gaps
FROM temp.{days}
GROUP BY table_name
HAVING count(*) FILTER (WHERE is_left_out) >= $least
"""
# To see that nothing of a gap is wanted takes as long as to plan with some 25 files.
LEFT_OUT_LEAST: Final = 50
# A table for each gap, because DuckDB knows the least and the greatest value of a table: so it sees when it plans that
# nothing of the gap is wanted, and plans as if it were not there.
_GAP: Final = """
CREATE TEMP TABLE {days}_{gap} AS SELECT DISTINCT date FROM temp.{days} WHERE is_left_out AND gap = '{gap}'
"""
# A text that is no number is the error: error() has an effect, and may not stand wherever a table may. In a column or a
# filter it could be left out of a plan that does not need it; a row of `unnest` cannot be.
_LEFT_OUT: Final = """
SELECT date, {columns}
FROM (SELECT date, unnest([('left out: ' || date)::INTEGER::VARCHAR]) AS told FROM temp.{days}_{gap})
"""
_numbers: Final = itertools.count(1)


class FewDays:
    """The days that questions look at, for one connection. A context manager: afterwards all are there.

    A table with fewer files of other days than ``left_out_least`` stays as it is, which is quicker. Of several for one
    connection the last one hides the days; all of them answer right, and they may share a ``listing`` of the files.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        reach: Reach,
        listing: Listing | None = None,
        left_out_least: int = LEFT_OUT_LEAST,
    ) -> None:
        self._connection = connection
        self._reach = reach
        self._listing = listing or Listing()
        self._least = left_out_least
        self._days = f"drainlake_days_{next(_numbers)}"
        self._gaps: set[str] = set()
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
            for name in (self._days, *(f"{self._days}_{part}" for part in ("told", *self._gaps))):
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
        """The connection sees these days alone."""
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
        """The views of the tables that have many files of other days."""
        if self._reach.is_open or not self._has_many_files():
            return {}
        self._choose()
        found = self._files()
        views: dict[str, str] = {}
        if self._reach.balanced and ROUTER.name in found:
            self._keep_unknown()
            found = self._files()
            views = self._views_of_sized_days() if self._reach.looked_back else {}
        self._gaps = {gap for _, gaps in found.values() for gap in gaps}
        for gap in self._gaps:
            self._connection.execute(_GAP.format(days=self._days, gap=gap))
        return views | {name: self._view(VIEWS[name], *there) for name, there in found.items()}

    def _has_many_files(self) -> bool:
        """Whether a table has so many that there may be enough to leave out: in a young lake none has."""
        files = Counter(self._listing.files(self._connection)["table_name"].to_pylist())
        return max(files.values(), default=0) >= self._least

    def _choose(self) -> None:
        """Make the table of the files, and of which of them are left out."""
        more = {"balanced": self._reach.balanced, "looked_back": self._reach.looked_back}
        stretches = [
            *(("whole", *stretch) for stretch in self._reach.stretches),
            *((kind, *stretch) for kind, stretch in more.items() if stretch),
        ]
        kinds, begins, ends = zip(*stretches, strict=True)
        given = {"kinds": kinds, "begins": begins, "ends": ends}
        with seen(self._connection, f"{self._days}_listed", self._listing.files(self._connection)):
            self._connection.execute(_DAYS.format(days=self._days), given)

    def _keep_unknown(self) -> None:
        """Where a balancer's rows are wanted, leave out no day of which it is not known that Heroku alone wrote."""
        make_table(self._connection, f"{self._days}_told", self._listing.days(self._connection))
        self._connection.execute(_KEEP_BALANCED.format(days=self._days))

    def _views_of_sized_days(self) -> dict[str, str]:
        """Which of the router's days have kept sizes needs no other look, and of the others there are the files."""
        [(unsized,)] = self._connection.execute(_UNSIZED.format(days=self._days)).fetchall()
        return {
            ROUTER_DAYS: f"SELECT date, has_sizes FROM temp.{self._days}_told",  # noqa: S608 - our name
            UNSIZED: view(ROUTER, [reading(unsized)] if unsized else []),
        }

    def _files(self) -> dict[str, tuple[list[str], list[str]]]:
        """The files of the days of those tables that have many others, and in which gaps the others are."""
        rows = self._connection.execute(_FILES.format(days=self._days), {"least": self._least}).fetchall()
        return {name: (files, gaps) for name, files, gaps in rows}

    def _view(self, table: Table, files: list[str], gaps: list[str]) -> str:
        told = {column.name: f"told::{column.type}" for column in table.columns}
        left_out = [self._left_out(_by_heroku(told) if gap.endswith(BALANCED) else told, gap) for gap in gaps]
        return view(table, [*left_out, *([reading(files)] if files else [])])

    def _left_out(self, told: Mapping[str, str], gap: str) -> str:
        columns = ", ".join(f'{value} AS "{name}"' for name, value in told.items())
        return _LEFT_OUT.format(columns=columns, days=self._days, gap=gap)


def _by_heroku(told: Mapping[str, str]) -> Mapping[str, str]:
    """Told of days of Heroku alone: so DuckDB sees when it plans that a balancer logged nothing there."""
    return {**told, "source": "'heroku'"}
