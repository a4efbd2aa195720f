"""PHP: too few workers, requests that php-fpm had to kill, fatal errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from queries.report import series
from queries.report.apps import requests_by_route
from queries.report.checks.errors import severity
from queries.report.finding import made, narrowed
from queries.report.formatting import number, share
from queries.report.model import Severity, Threshold
from queries.report.words import at, counted, during, named, times

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queries.report.asked import Asked, Record
    from queries.report.model import Finding

# Requests that wait for a worker for a moment are usual; a minute of them in a window is not.
WAITING_SECONDS: Final = 60.0
# php-fpm kills what runs for 30 s; its client has had an H12 by then.
KILLED_LEAST: Final = 5
# What php-fpm reports as slow takes over 3 s. One request in a hundred of a route is worth a look.
SLOW_LEAST: Final = 10
SLOW_SHARE: Final = 0.01
FATAL_LEAST: Final = 3

# How long which dyno had more requests at once than workers. Files that nginx serves take no worker, but are so short
# that they change these seconds little.
_CAPACITY: Final = """SELECT capacity.*, waiting.waiting_seconds FROM {capacity} AS capacity JOIN (
  SELECT app, key, level, at_least_seconds AS waiting_seconds FROM {levels}
) AS waiting
  ON waiting.app = capacity.app AND waiting.key = capacity.busiest_dyno AND waiting.level = capacity.workers + 1
WHERE is_now AND verdict <> 'enough'"""

_FATAL: Final = """SELECT fatal.*, requests, errors / requests AS share FROM {errors} AS fatal
JOIN (SELECT app, sum(requests)::BIGINT AS requests FROM {routes} WHERE source = 'heroku' GROUP BY app) AS counted
  ON counted.app = fatal.app
WHERE lower(level) IN ('fatal error', 'parse error', 'recoverable fatal error')
  AND NOT starts_with(shape, 'Allowed memory size') AND errors >= {least}
ORDER BY fatal.app, errors DESC, file, line, shape LIMIT 20"""

_FULL: Final = """SELECT app, sum(errors)::BIGINT AS errors, min(first_at) AS first_at, max(last_at) AS last_at
FROM {errors} WHERE component = 'php-fpm' AND contains(shape, 'max_children') GROUP BY app ORDER BY app"""

_SLOW: Final = """SELECT slow.*, requests, slow / requests AS share FROM {slow} AS slow
LEFT JOIN (
  SELECT app, route, sum(requests)::BIGINT AS requests FROM {routes} WHERE source = 'heroku' GROUP BY ALL
) AS counted
  ON counted.app = slow.app AND counted.route = slow.route"""


def capacity(asked: Asked) -> Iterator[Finding]:
    """A finding for each app whose workers did not suffice."""
    sql = _CAPACITY.format(capacity=asked.call("php_capacity"), levels=asked.call("concurrency_levels", per="dyno"))
    for row in asked.records(sql):
        is_much = row["verdict"] == "too few" and row["waiting_seconds"] >= WAITING_SECONDS
        yield made(
            asked,
            "php_capacity",
            row,
            kind="php-capacity",
            severity=Severity.WARNING if is_much else Severity.NOTICE,
            sentence=f"{named(row['busiest_dyno'])} had up to {counted(row['busiest_peak'], 'PHP request')} at once, at"
            f" {at(row['busiest_at'], asked.window)}, for its {counted(row['workers'], 'worker')}; for"
            f" {number(row['waiting_seconds'])} s requests had to wait there.",
            sql=narrowed(sql, row, "app"),
            times=(row["busiest_at"], row["busiest_at"]),
            advice=f"At this peak {counted(row['dynos_needed'], 'dyno')} of this type would leave one request in twenty"
            " waiting; php_capacity gives it for the other types. Make the slow routes fast first.",
            chart=series.in_flight(asked, row["app"], (Threshold("workers of a dyno", row["workers"]),)),
        )


def full(asked: Asked) -> Iterator[Finding]:
    """A finding for each app whose php-fpm says that all its workers are busy."""
    sql = _FULL.format(errors=asked.call("php_errors"))
    for row in asked.records(sql):
        yield made(
            asked,
            "php_errors",
            row,
            kind="php-workers-busy",
            severity=Severity.WARNING if row["errors"] >= KILLED_LEAST else Severity.NOTICE,
            sentence=f"php-fpm reported {times(row['errors'])} that all its workers were busy (max_children)"
            f" {during(row['first_at'], row['last_at'], asked.window)}.",
            sql=narrowed(sql, row, "app"),
            times=(row["first_at"], row["last_at"]),
            advice="php_capacity tells how many workers and dynos the traffic needs, h12_autopsy what holds them.",
        )


def slow(asked: Asked) -> Iterator[Finding]:
    """A finding for each route whose requests php-fpm killed, or reported as slow often."""
    sql = _SLOW.format(slow=asked.call("php_slow"), routes=requests_by_route(asked))
    for row in asked.records(sql):
        is_slow = row["slow"] >= SLOW_LEAST and (row["share"] or 0) >= SLOW_SHARE
        if not row["killed"] and not is_slow:
            continue
        when = during(row["first_at"], row["last_at"], asked.window)
        where = f", most of them in {named(row['own_frame'] or row['top_frame'])}" if row["traces"] else ""
        killed = (
            f"php-fpm killed {counted(row['killed'], 'request')} of {named(row['route'])} after 30 s {when}{where}."
        )
        slowly = f"{counted(row['slow'], 'request')} of {named(row['route'])} took over 3 s {when}{where}."
        yield made(
            asked,
            "php_slow",
            row,
            kind="php-killed" if row["killed"] else "php-slow",
            subject=row["route"] or row["script"],
            severity=Severity.WARNING if row["killed"] >= KILLED_LEAST else Severity.NOTICE,
            sentence=killed if row["killed"] else slowly,
            sql=narrowed(sql, row, "app", "route", "script"),
            times=(row["first_at"], row["last_at"]),
            advice="The place named is where they spent their time: a slow statement, or a service that is waited for.",
        )


def fatal(asked: Asked) -> Iterator[Finding]:
    """A finding for each fatal error, by its place in the code."""
    sql = _FATAL.format(errors=asked.call("php_errors"), routes=requests_by_route(asked), least=FATAL_LEAST)
    for row in asked.records(sql):
        where = f"{named(row['file'])}:{row['line']}" if row["file"] is not None else named(row["shape"])
        most = f", most often on {named(row['top_route'])}" if row["top_route"] is not None else ""
        yield made(
            asked,
            "php_errors",
            row,
            kind="php-fatal",
            subject=f"{where} {row['shape'] or ''}",
            severity=severity(row["errors"], row["share"]),
            sentence=f"{counted(row['errors'], 'fatal PHP error')} in {where}"
            f" {during(row['first_at'], row['last_at'], asked.window)}{most}, {share(row['share'])} of all requests:"
            f" {named(row['shape'])}.",
            sql=_of_place(sql, row),
            times=(row["first_at"], row["last_at"]),
            advice=f"Its first message: {row['example']}" if row["example"] else "",
        )


def _of_place(sql: str, row: Record) -> str:
    line = "NULL" if row["line"] is None else str(row["line"])
    return f"{narrowed(sql, row, 'app', 'file', 'shape')} AND line IS NOT DISTINCT FROM {line}"
