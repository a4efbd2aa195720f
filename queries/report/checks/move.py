"""What got worse with the move from a load balancer to Heroku; lost compression is one with `compression`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from queries.report.balancer import has_balancer
from queries.report.finding import made, narrowed
from queries.report.formatting import duration, share
from queries.report.model import Severity
from queries.report.words import counted, named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queries.report.asked import Asked, Record
    from queries.report.model import Finding

# A difference that many requests prove may still be a trifle: a quarter slower and 50 ms is felt.
SLOWER_TIMES: Final = 1.25
SLOWER_MS: Final = 50
# As with error codes: one request in a thousand.
ERRORS_SHARE: Final = 0.001
ERRORS_LEAST: Final = 10
ALL_ROUTES: Final = "all routes"  # how migration_diff names a row about the app as a whole

_WORSE: Final = """SELECT app, CASE
    WHEN verdict = 'slower' THEN 'slower'
    WHEN measure = 'error code' THEN split_part(evidence, ' ', 1)
    WHEN measure = 'error share' THEN 'errors'
    ELSE 'gone'
  END AS worse, count(*) AS routes, arg_max(route, weight) AS route, arg_max(measure, weight) AS measure,
  arg_max(value_before, weight) AS value_before, arg_max(value_after, weight) AS value_after,
  arg_max(evidence, weight) AS evidence, arg_max(advice, weight) AS advice
FROM (
  SELECT
    *,
    CASE WHEN unit = 'ms' THEN (value_after - value_before) * sqrt(requests_after) ELSE requests_before END AS weight
  FROM {question}
)
WHERE (verdict = 'slower' AND low >= {ms} AND value_after >= {times} * value_before)
  OR (
    verdict IN ('new error', 'more errors', 'more errors at times')
    AND (unit <> 'share' OR (value_after - value_before >= {share} AND value_after * requests_after >= {least}))
    AND (unit <> 'requests' OR (value_after >= {least} AND value_after >= {share} * requests_after))
  )
  OR verdict IN ('not found any more', 'refused now', 'gone: no requests any more')
GROUP BY ALL ORDER BY app, worse"""


def check(asked: Asked) -> Iterator[Finding]:
    """For each app what is slower, what fails more, what is gone, and one for each new code of error."""
    if not has_balancer(asked):
        return
    sql = _WORSE.format(
        question=asked.call("migration_diff"), ms=SLOWER_MS, times=SLOWER_TIMES, share=ERRORS_SHARE, least=ERRORS_LEAST
    )
    for row in asked.records(sql):
        yield made(
            asked,
            "migration_diff",
            row,
            kind=f"move-{row['worse']}",
            severity=Severity.NOTICE if row["worse"] == "gone" else Severity.WARNING,
            sentence=_sentence(row),
            sql=narrowed(sql, row, "app", "worse"),
            advice=row["advice"] or "",
        )


def _sentence(row: Record) -> str:
    if row["worse"] == "slower":
        return (
            f"Since the move routes are slower ({counted(row['routes'], 'measure')}); most, {named(row['route'])}: its"
            f" {row['measure']} rose from {duration(row['value_before'])} to {duration(row['value_after'])}."
        )
    if row["worse"] == "errors":
        most = "of all requests together" if row["route"] == ALL_ROUTES else f"most, {named(row['route'])}:"
        return (
            f"Since the move more requests fail ({counted(row['routes'], 'measure')}); {most} the"
            f" share rose from {share(row['value_before'] or 0.0)} to {share(row['value_after'] or 0.0)}."
        )
    if row["worse"] == "gone":
        return (
            f"Since the move {counted(row['routes'], 'route')} no longer work as before, such as {named(row['route'])}."
        )
    return f"New since the move: {row['evidence']}"
