"""Counts the hours of a window once, for all questions that begin with that.

``hours_between`` looks whether the one-minute series fit the router's rows. In one connection a macro of its name hides
it, which reads what was counted where the same is asked, and counts anything else. Connections of several threads share
what they counted; two that count the same at one time do no harm.
"""

from __future__ import annotations

import itertools
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import duckdb

from queries.report.quoting import sql_text, sql_time
from queries.temporary import make_table

if TYPE_CHECKING:
    import pyarrow as pa

    from queries.report.model import Window

    Counted = dict[Window, pa.Table]

# That read `hours_between` for their own window, itself or through another of these.
QUESTIONS: Final = frozenset(
    {"concurrency_levels", "load_test_plan", "migration_diff", "peak_concurrency", "php_capacity"}
)
_COUNTED: Final = "FROM {lake}.hours_between({since}, {until}, {app_name})"
_HIDING: Final = """
CREATE OR REPLACE TEMP MACRO hours_between(since, until, app_name) AS TABLE
FROM temp.{table}
WHERE coalesce(since = {since} AND until = {until} AND app_name IS NOT DISTINCT FROM {app_name}, false)
UNION ALL
FROM {lake}.hours_between(since, until, app_name)
WHERE NOT coalesce(since = {since} AND until = {until} AND app_name IS NOT DISTINCT FROM {app_name}, false)
"""
_numbers: Final = itertools.count(1)


class Hours:
    """The hours that were counted last in a connection; of several of these the last one hides the macro.

    ``counted`` are shared with other connections.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, counted: Counted) -> None:
        self._connection = connection
        self._counted = counted
        self._table = f"drainlake_hours_{next(_numbers)}"
        self._window: Window | None = None

    def count(self, window: Window) -> None:
        """Have the hours of a window counted, unless they are."""
        if window == self._window:
            return
        self.forget()
        [(database,)] = self._connection.execute("SELECT current_database()").fetchall()
        names = {
            "table": self._table,
            "lake": '"{}".main'.format(database.replace('"', '""')),
            "since": sql_time(window.since),
            "until": sql_time(window.until),
            "app_name": sql_text(window.app_name),
        }
        if window not in self._counted:
            self._counted[window] = self._connection.sql(_COUNTED.format(**names)).to_arrow_table()
        make_table(self._connection, self._table, self._counted[window])
        self._connection.execute(_HIDING.format(**names))
        self._window = window

    def forget(self) -> None:
        """Leave nothing in the connection."""
        self._window = None
        with suppress(duckdb.Error):  # a connection that was closed has none any more
            self._connection.execute("DROP MACRO TABLE IF EXISTS temp.hours_between")
            self._connection.execute(f"DROP TABLE IF EXISTS temp.{self._table}")
