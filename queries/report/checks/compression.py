"""Files and pages that go out uncompressed: one finding for an app, since one change to nginx mends them all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from queries.catalog import question
from queries.report import series
from queries.report.apps import routes
from queries.report.balancer import has_balancer
from queries.report.finding import made, narrowed, with_also
from queries.report.formatting import number, size
from queries.report.model import Severity
from queries.report.quoting import sql_text
from queries.report.words import counted, times

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queries.report.asked import Asked, Record
    from queries.report.model import Finding

# Below this part of all bytes sent, nobody waits noticeably less.
WARNING_SHARE: Final = 0.05
# And below these bytes in the window the share is one of next to nothing.
WARNING_BYTES: Final = 10_000_000
NOTICE_BYTES: Final = 1_000_000

_TOTALS: Final = """SELECT app, count(*) AS paths, sum(requests)::BIGINT AS responses,
  sum(bytes_sent)::BIGINT AS bytes_sent,
  sum(saving_low_bytes)::BIGINT AS saving_low_bytes, sum(saving_high_bytes)::BIGINT AS saving_high_bytes,
  sum(month_low_bytes)::BIGINT AS month_low_bytes, sum(month_high_bytes)::BIGINT AS month_high_bytes,
  arg_max(path, bytes_sent) AS largest, count(*) FILTER (WHERE evidence = 'proved') AS proved,
  min(first_at) AS first_at, max(last_at) AS last_at
FROM {question} WHERE evidence <> 'refuted' GROUP BY app ORDER BY app"""

_LOST: Final = """SELECT app, count(*) AS routes, sum(value_after) / sum(value_before) AS times
FROM {question} WHERE verdict = 'gzip lost' GROUP BY app ORDER BY app"""

_SENT: Final = "SELECT sum(bytes_sent) AS bytes_sent FROM {routes} WHERE app = {app}"


def check(asked: Asked) -> Iterator[Finding]:
    """At most one finding for each app."""
    totals = _TOTALS.format(question=asked.call("uncompressed_assets"))
    for row in asked.records(totals):
        if row["saving_low_bytes"] < NOTICE_BYTES:
            continue
        finding = made(
            asked,
            "uncompressed_assets",
            row,
            kind="compression",
            severity=_severity(asked, row),
            sentence=_sentence(row),
            sql=narrowed(totals, row, "app"),
            times=(row["first_at"], row["last_at"]),
            advice=_advice(question("uncompressed_assets").fix),
            chart=series.sent(asked, row["app"]),
        )
        yield with_also(finding, *_lost(asked, row["app"]))


def _advice(fix: str) -> str:
    """The fix with each paragraph in one line; what follows a paragraph that ends in a colon is copied by line."""
    blocks = fix.removeprefix("Fix: ").strip().split("\n\n")
    is_copied = [False, *(block.endswith(":") for block in blocks)]
    lines = (block if copied else " ".join(block.split("\n")) for block, copied in zip(blocks, is_copied, strict=False))
    return "\n".join(lines)


def _severity(asked: Asked, row: Record) -> Severity:
    [total] = asked.records(_SENT.format(routes=routes(asked), app=sql_text(row["app"])))
    sent = total["bytes_sent"] or 0
    is_much = row["saving_low_bytes"] >= max(WARNING_BYTES, WARNING_SHARE * sent)
    return Severity.WARNING if is_much else Severity.NOTICE


def _sentence(row: Record) -> str:
    files = counted(row["paths"], "file or page", "files and pages")
    said = f"{files} went out uncompressed {times(row['responses'])}, {size(row['bytes_sent'])} in all"
    low, high = row["month_low_bytes"], row["month_high_bytes"]
    if low is not None:
        return f"{said}; gzip would save {size(low)} to {size(high)} a month."
    return f"{said}; gzip would have saved {size(row['saving_low_bytes'])} to {size(row['saving_high_bytes'])}."


def _lost(asked: Asked, app: str) -> Iterator[str]:
    """What the load balancer's log adds: it was not always so."""
    if not has_balancer(asked):
        return
    for row in asked.records(_LOST.format(question=asked.call("migration_diff"))):
        if row["app"] == app:
            lost = counted(row["routes"], "route")
            yield f"At the load balancer {lost} of these were compressed, and {number(row['times'])} times smaller."
