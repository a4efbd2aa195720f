"""Crawlers that take much of the dynos' time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from queries.report.apps import routes
from queries.report.finding import made, narrowed
from queries.report.formatting import share
from queries.report.model import Severity
from queries.report.words import counted, named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queries.report.asked import Asked
    from queries.report.model import Finding

# What a dyno in ten works for is worth a line in robots.txt.
WORK_SHARE: Final = 0.1
REQUESTS_SHARE: Final = 0.2

_COSTLY: Final = """SELECT found.*, worker_seconds / nullif(all_seconds, 0) AS work_share FROM {crawlers} AS found
LEFT JOIN (
  SELECT app, sum(worked_ms) / 1000 AS all_seconds FROM {routes} WHERE source = 'heroku' GROUP BY app
) AS worked ON worked.app = found.app
WHERE found.source = 'access' AND kind <> 'monitor' AND (work_share >= {work} OR share >= {requests})"""


def check(asked: Asked) -> Iterator[Finding]:
    """A finding for each crawler that costs much."""
    sql = _COSTLY.format(
        crawlers=asked.call("crawlers"), routes=routes(asked), work=WORK_SHARE, requests=REQUESTS_SHARE
    )
    for row in asked.records(sql):
        work = f" and {share(row['work_share'])} of the dynos' work" if row["work_share"] is not None else ""
        yield made(
            asked,
            "crawlers",
            row,
            kind="crawler",
            subject=row["crawler"],
            severity=Severity.NOTICE,
            sentence=f"The crawler {named(row['crawler'])} made {counted(row['requests'], 'request')},"
            f" {share(row['share'])} of all{work}.",
            sql=narrowed(sql, row, "app", "crawler"),
            times=(row["first_at"], row["last_at"]),
            advice="Slow it down in robots.txt (Crawl-delay, Disallow); block one that does not obey in nginx.",
        )
