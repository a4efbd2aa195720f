"""Whether minutes are added up: an older version added up none, and where nobody may make them anew they stay so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ingest.schema import APP_HOUR

if TYPE_CHECKING:
    from datetime import datetime

    import duckdb

_ALL: Final = """
SELECT NOT EXISTS (
  SELECT date FROM minutes_of('app', $since, $until, $app) WHERE requests > 0
  EXCEPT
  SELECT date FROM minutes_of($hour, $since, $until, $app)
)
"""


def are_added_up(
    connection: duckdb.DuckDBPyConnection, since: datetime, until: datetime, app_name: str | None = None
) -> bool:
    """Whether the minutes of each date with requests are. Raises duckdb.Error.

    Of a date without a sum in the window it is not known: then they are not, which costs time and is as right.
    """
    asked = {"hour": APP_HOUR, "since": since, "until": until, "app": app_name}
    [(is_so,)] = connection.execute(_ALL, asked).fetchall()
    return bool(is_so)
