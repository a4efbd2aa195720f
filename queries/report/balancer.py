"""Whether there is a load balancer's log to compare with, and how much of it a report looks at.

There may be years of it, and a report is made every morning: its newest days are compared with.
"""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Final

from queries.report.quoting import sql_text, sql_time

if TYPE_CHECKING:
    from queries.report.asked import Asked, Record

# Of an app the days with its newest so many requests. For what differs by enough to be told these are plenty.
REQUESTS: Final = 250_000
# The parameter by which a question is told from when on it looks at the log.
_SINCE: Final = {"migration_diff": "before_since", "uncompressed_assets": "balancer_since"}

_IS_THERE: Final = "SELECT EXISTS(FROM router_between(NULL, {until}, NULL) WHERE source <> 'heroku') AS balanced"

# The sizes of assets count requests by who logged them and by day. `since` is NULL where that is all of the log.
_NEWEST: Final = """SELECT count(*) > 0 AS is_there, CASE WHEN min(since) > min(first) THEN min(since) END AS since
FROM (
  SELECT app, min(date) AS first, min(date) FILTER (WHERE later < {most}) AS since
  FROM (
    SELECT app, date, sum(sum(responses)) OVER (PARTITION BY app ORDER BY date DESC) - sum(responses) AS later
    FROM asset_sizes_between(NULL, {until}, {app})
    WHERE path IS NULL AND source <> 'heroku'
    GROUP BY app, date
  )
  GROUP BY app
)"""


def has_balancer(asked: Asked) -> bool:
    """Whether a load balancer's log from before the window's end was imported; without one a move need not be asked
    about, which reads the window four times."""
    if _newest(asked)["is_there"]:
        return True
    is_there = _IS_THERE.format(until=sql_time(asked.window.until))
    return bool(asked.records(f"FROM {asked.shared(is_there, like='uncompressed_assets')}")[0]["balanced"])


def newest(asked: Asked) -> datetime | None:
    """When the day begins from which on the log is compared with; None is its beginning."""
    since = _newest(asked)["since"]
    return datetime.combine(since, time(), UTC) if since else None


def _newest(asked: Asked) -> Record:
    window = asked.window
    [row] = asked.records(_NEWEST.format(most=REQUESTS, until=sql_time(window.until), app=sql_text(window.app_name)))
    return row


def limits(asked: Asked, question: str) -> dict[str, datetime]:
    """The parameters that keep a question to the newest of the log."""
    if question not in _SINCE or not has_balancer(asked):
        return {}
    since = newest(asked)
    return {} if since is None else {_SINCE[question]: since}
