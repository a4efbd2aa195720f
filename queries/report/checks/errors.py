"""Requests that failed: Heroku's H codes but for H12, and what the app itself answered with 5xx."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from queries.report import series
from queries.report.finding import made, narrowed
from queries.report.formatting import share
from queries.report.model import Severity
from queries.report.quoting import between, sql_text
from queries.report.words import counted, during, named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from queries.report.asked import Asked, Record
    from queries.report.model import Finding

# One request in a thousand is what a busy shop loses without noticing; one in a hundred are complaints.
WARNING_SHARE: Final = 0.001
CRITICAL_SHARE: Final = 0.01
# Fewer say nothing, whatever their share: a scanner or a single odd client makes as many.
WARNING_LEAST: Final = 10
CRITICAL_LEAST: Final = 50
NOTICE_LEAST: Final = 3
# What the client does (it went away) is no failure of the app; H12 has a check of its own; its owner asks for H80.
_NOT_HERE: Final = "('H12', 'H27', 'H28', 'H80')"

_EXAMPLES: Final = """SELECT request_id FROM {rows}
WHERE app = {app} AND source = 'heroku' AND {what} AND request_id IS NOT NULL ORDER BY timestamp LIMIT 3"""

# PHP tells of a fatal error on the same dyno within a second of the router's line, or it is not from PHP.
_UNTOLD: Final = """WITH failed AS (
  SELECT app, dyno, status, route, timestamp FROM {router} WHERE source = 'heroku' AND status >= 500 AND code IS NULL
),
told AS (
  SELECT app, dyno, timestamp AS told_at FROM {php}
  WHERE lower(level) IN ('fatal error', 'parse error', 'recoverable fatal error')
),
untold AS (
  SELECT failed.*
  FROM failed
  WHERE NOT EXISTS (
    SELECT 1 FROM told
    WHERE told.app = failed.app AND told.dyno = failed.dyno
      AND told_at BETWEEN failed.timestamp - INTERVAL 1 SECOND AND failed.timestamp + INTERVAL 1 SECOND
  )
),
counted AS (SELECT app, count(*) AS all_requests FROM {router} WHERE source = 'heroku' GROUP BY app)
SELECT app, count(*) AS requests, any_value(all_requests) AS all_requests,
  count(*) / any_value(all_requests) AS share, mode(status) AS status, mode(route) AS route,
  count(DISTINCT route) AS routes, min(timestamp) AS first_at, max(timestamp) AS last_at
FROM untold JOIN counted USING (app) GROUP BY app ORDER BY app"""


def codes(asked: Asked) -> Iterator[Finding]:
    """A finding for each H code."""
    sql = f"FROM {asked.call('error_codes')} WHERE code NOT IN {_NOT_HERE}"
    for row in _worst_first(asked.records(sql)):
        meaning = f" ({row['meaning'][:1].lower() + row['meaning'][1:]})" if row["meaning"] else ""
        yield made(
            asked,
            "error_codes",
            row,
            kind="error-code",
            subject=row["code"],
            severity=severity(row["requests"], row["share"]),
            sentence=f"{counted(row['requests'], 'request')} ended in {named(row['code'])}{meaning}"
            f" {during(row['first_at'], row['last_at'], asked.window)}, {share(row['share'])} of all.",
            sql=narrowed(sql, row, "app", "code"),
            times=(row["first_at"], row["last_at"]),
            advice="https://devcenter.heroku.com/articles/error-codes tells what to do about each code.",
            request_ids=_examples(asked, row, f"code = {sql_text(row['code'])}"),
            chart=series.requests(asked, row["app"]),
        )


def answers(asked: Asked) -> Iterator[Finding]:
    """A finding for each app that answered 5xx where no PHP error tells why."""
    window = asked.window_at("status_codes")
    sql = _UNTOLD.format(router=between("router", window), php=between("php", window))
    for row in _worst_first(asked.records(sql)):
        most = f", most often {named(row['route'])}" if row["route"] is not None else ""
        yield made(
            asked,
            "status_codes",
            row,
            kind="server-errors",
            severity=severity(row["requests"], row["share"]),
            sentence=f"The app answered {counted(row['requests'], 'request')} with a status such as {row['status']}"
            f" without a PHP error that tells why, {during(row['first_at'], row['last_at'], asked.window)}{most};"
            f" {share(row['share'])} of all.",
            sql=narrowed(sql, row, "app"),
            times=(row["first_at"], row["last_at"]),
            advice="Look for these requests by their id in the app's own log.",
            request_ids=_examples(asked, row, "status >= 500 AND code IS NULL"),
            chart=series.requests(asked, row["app"]),
        )


def severity(requests: int, share: float | None) -> Severity:
    """By number and share of the app's requests; both must be high."""
    of_all = share or 0.0
    if requests >= CRITICAL_LEAST and of_all >= CRITICAL_SHARE:
        return Severity.CRITICAL
    is_much = requests >= WARNING_LEAST and of_all >= WARNING_SHARE
    return Severity.WARNING if is_much else Severity.NOTICE


def _worst_first(rows: Iterable[Record]) -> list[Record]:
    """Those that say something; the first get request ids."""
    return sorted((row for row in rows if row["requests"] >= NOTICE_LEAST), key=lambda row: -row["requests"])


def _examples(asked: Asked, row: Record, what: str) -> tuple[str | None, ...]:
    rows = between("router", asked.near(row["first_at"]))
    sql = _EXAMPLES.format(rows=rows, app=sql_text(row["app"]), what=what)
    return asked.request_ids(sql)
