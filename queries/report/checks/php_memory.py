"""Requests that broke off at PHP's memory_limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from queries.report.finding import made, narrowed
from queries.report.formatting import number
from queries.report.model import Severity
from queries.report.quoting import between, sql_text
from queries.report.words import counted, during, named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queries.report.asked import Asked, Record
    from queries.report.model import Finding

# Each is a request that answered 500; a few may be someone's odd input.
WARNING_LEAST: Final = 10

# One row for each place in the code: its routes are told by what is known of some of the requests.
_PLACES: Final = """SELECT app, file, line, limit_bytes // 1048576 AS limit_mb, sum(times)::BIGINT AS times,
  max(least_limit_mb) AS least_limit_mb, arg_max(route, times) AS route, count(DISTINCT route) AS routes,
  arg_max(cause, times) AS cause, min(first_at) AS first_at, max(last_at) AS last_at
FROM {question} GROUP BY ALL ORDER BY app, times DESC, file, line, limit_mb"""

_EXAMPLES: Final = """SELECT request_id FROM {rows}
WHERE app = {app} AND route = {route} AND status = 500 AND code IS NULL AND request_id IS NOT NULL
ORDER BY timestamp LIMIT 3"""


def check(asked: Asked) -> Iterator[Finding]:
    """A finding for each route, or place in the code if none is known."""
    places = asked.records(sql := _PLACES.format(question=asked.call("php_memory")))
    for row in places:
        where = f"{named(row['file'], 'PHP')}:{row['line']}" if row["line"] is not None else named(row["file"], "PHP")
        when = during(row["first_at"], row["last_at"], asked.window)
        whose = f" of {named(row['route'])}" if row["route"] is not None else ""
        others = f" and {counted(row['routes'] - 1, 'other route')}" if row["routes"] > 1 else ""
        yield made(
            asked,
            "php_memory",
            row,
            kind="php-memory-limit",
            subject=row["route"] or row["file"],
            severity=Severity.WARNING if row["times"] >= WARNING_LEAST else Severity.NOTICE,
            sentence=f"{counted(row['times'], 'request')}{whose}{others} broke off at PHP's memory_limit of"
            f" {number(row['limit_mb'])} MB {when}, in {where}.",
            sql=f"{narrowed(sql, row, 'app', 'file')} AND line IS NOT DISTINCT FROM"
            f" {'NULL' if row['line'] is None else row['line']}"
            f" AND limit_mb = {row['limit_mb']}",
            times=(row["first_at"], row["last_at"]),
            advice=_advice(row),
            request_ids=_examples(asked, row),
        )


def _advice(row: Record) -> str:
    try_ = f"It would have needed {row['least_limit_mb']:,} MB at least" if row["least_limit_mb"] else "Raise the limit"
    if row["cause"] == "one large allocation":
        return (
            f"{try_}. One large piece was asked for: a big file, image or result. Read it in parts, or raise"
            " memory_limit for this route alone."
        )
    return (
        f"{try_}. It gathers many small pieces, such as rows in an array: handle them one by one (a generator, a"
        " cursor) rather than raise the limit."
    )


def _examples(asked: Asked, row: Record) -> tuple[str | None, ...]:
    if row["route"] is None:
        return ()
    rows = between("router", asked.near(row["first_at"]))
    sql = _EXAMPLES.format(rows=rows, app=sql_text(row["app"]), route=sql_text(row["route"]))
    return asked.request_ids(sql)
