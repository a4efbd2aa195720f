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


def trust_line(seen: Trust) -> str:
    """One sentence: what share of the lines an answer was computed from, and what is missing."""
    if seen["share_seen"] is None:
        return "No lines were received in this window."
    parts = [
        f"{seen['received'] - seen['repeated']:,} received",
        f"{seen['dropped']:,} lost before drainlake",
    ]
    parts += [f"{seen['defective']:,} defective"] if seen["defective"] else []
    parts += [f"{seen['repeated']:,} repeated"] if seen["repeated"] else []
    return f"Computed from {_percent(seen['share_seen'])} of the lines: {', '.join(parts)}."


def _percent(share: float) -> str:
    """Rounded down, so that a loss never reads as 100 %."""
    return f"{int(share * 10_000) / 100:g} %"
