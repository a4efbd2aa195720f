"""Reads moments by a plain cast in one connection.

The lake's macro ``instant`` reads them alike in every session's time zone, and names its argument three times for that;
calls of it stand within each other, so that a tenth of planning a report would be moments. The time zone of the
connections of ``queries.database`` is UTC, in which a cast reads the same.
"""

from __future__ import annotations

from contextlib import suppress

import duckdb


def cast(connection: duckdb.DuckDBPyConnection) -> None:
    """Have a macro of the connection hide the lake's; the same is read where that cannot be."""
    try:
        connection.execute("CREATE OR REPLACE TEMP MACRO instant(moment) AS moment::TIMESTAMPTZ")
    except duckdb.InterruptException:
        raise
    except duckdb.Error:
        pass  # what is wrong is told by whatever is asked of the connection


def forget(connection: duckdb.DuckDBPyConnection) -> None:
    """Leave nothing in the connection."""
    with suppress(duckdb.Error):  # a connection that was closed has none any more
        connection.execute("DROP MACRO IF EXISTS temp.instant")
