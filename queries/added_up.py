"""Whether minutes are added up: an older version added up none, and where nobody may make them anew they stay so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ingest.schema import ADDED_UP_SINCE, APP_HOUR, MADE_KEY

if TYPE_CHECKING:
    from datetime import datetime

    import duckdb

# Of a local lake: the footers of a month take a tenth of the time of its rows.
_FILES: Final = """
SELECT file FROM drainlake_files WHERE table_name = 'minutes' AND has_part_of(date, $since, $until)
"""
_MADE: Final = rf"""
SELECT count(*) = len($files)
FROM parquet_kv_metadata($files)
WHERE decode(key) = '{MADE_KEY}'
  AND TRY_CAST(regexp_extract(decode(value), '^\{{"version":\[(\d+),', 1) AS INTEGER) >= {ADDED_UP_SINCE}
"""  # noqa: S608 - constants
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
    files = connection.execute(_FILES, {"since": since, "until": until}).fetchall()
    if files:
        [(are_so,)] = connection.execute(_MADE, {"files": [file for (file,) in files]}).fetchall()
        if are_so:
            return True
    asked = {"hour": APP_HOUR, "since": since, "until": until, "app": app_name}
    [(is_so,)] = connection.execute(_ALL, asked).fetchall()
    return bool(is_so)
