"""What may ring: findings that are so just now, and that somebody should look at before the morning.

What costs money or speed every day (compression, a cold cache, PHP's limit on one page) is the report's to tell, and
rings nobody.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from queries.report.asked import Asked
from queries.report.causes import grouped
from queries.report.changes import changes
from queries.report.checks import CHECKS
from queries.report.model import Severity, Window

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import duckdb

    from queries.report.making import More
    from queries.report.model import Finding

# Questions need some context: a burst of timeouts is told whole.
LOOK_BACK: Final = timedelta(hours=1)
# Longer than the pause between two checks, and than it takes a line to land.
RECENT: Final = timedelta(minutes=15)
URGENT: Final = (
    "timeouts",
    "error codes",
    "answers with 5xx",
    "memory over quota",
    "memory leaks",
    "database connections",
    "restarts",
)


def alarms(connection: duckdb.DuckDBPyConnection, now: datetime, more: Sequence[More] = ()) -> list[Finding]:
    """All findings of WARNING and above that are so at ``now``, one for each cause, worst first.

    ``more`` are asked about the last minutes only. A check that fails raises: an alarm that cannot be looked for must
    not look like one that is not there.
    """
    now = now.replace(microsecond=0)  # the times stand in commands that somebody copies at night
    # `more` look back for weeks, on a cursor, since they would not see these days on the connection.
    with Asked(connection, Window(now - LOOK_BACK, now)) as asked, connection.cursor() as own:
        found = [finding for name in URGENT for finding in CHECKS[name](asked)]
        recent = Window(now - RECENT, now)
        found += [finding for ask in more for finding in ask(own, recent)]
        together = grouped(found, list(changes(asked)))
    return [finding for finding in together if finding.severity >= Severity.WARNING and finding.until > recent.since]
