"""The line of trust under every answer: what share of the app's log lines it was computed from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypedDict

if TYPE_CHECKING:
    from datetime import datetime

    import duckdb

# The sums of `coverage`, so that the trust line and that question can never disagree.
_SUMS: Final = """
SELECT
  coalesce(sum(received), 0)::BIGINT AS received,
  coalesce(sum(parsed), 0)::BIGINT AS parsed,
  coalesce(sum(defective), 0)::BIGINT AS defective,
  coalesce(sum(repeated), 0)::BIGINT AS repeated,
  coalesce(sum(dropped), 0)::BIGINT AS dropped,
  sum(received - repeated) / nullif(sum(received - repeated + dropped), 0) AS share_seen
FROM coverage(since := ?, until := ?, app_name := ?)
"""


class Trust(TypedDict):
    """Counts of lines, and the share of all new lines that arrived (0 to 1; None when there were none)."""

    received: int
    parsed: int
    defective: int
    repeated: int
    dropped: int
    share_seen: float | None


def trust(
    connection: duckdb.DuckDBPyConnection,
    since: datetime | str | None = None,
    until: datetime | str | None = None,
    app_name: str | None = None,
) -> Trust:
    """The trust line of [since, until) for one app, or for all; the arguments are those of every question.

    Raises duckdb.Error when a time cannot be read, or the connection has no questions installed.
    """
    [row] = connection.execute(_SUMS, [since, until, app_name]).fetchall()
    received, parsed, defective, repeated, dropped, share_seen = row
    return Trust(
        received=received,
        parsed=parsed,
        defective=defective,
        repeated=repeated,
        dropped=dropped,
        share_seen=share_seen,
    )
