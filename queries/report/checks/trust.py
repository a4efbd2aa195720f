"""Whether the log can be trusted: lines that were lost, lines that are damaged, lines that no parser knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from queries.report import series
from queries.report.finding import made, narrowed
from queries.report.formatting import share
from queries.report.model import Severity
from queries.report.words import at, counted, named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queries.report.asked import Asked
    from queries.report.model import Finding

# From one line in a hundred on figures are visibly too low.
LOST_SHARE: Final = 0.01
DEFECT_SHARE: Final = 0.01
# An app that writes as many lines of one shape that no parser knows pays for them and learns nothing from them here.
PLAIN_SHARE: Final = 0.5
PLAIN_LINES_MAX: Final = 2_000_000  # masking takes about 5 s a million lines

_LOST: Final = """SELECT app, sum(dropped)::BIGINT AS dropped, sum(received - repeated)::BIGINT AS received,
  sum(dropped) / sum(received - repeated + dropped) AS share, arg_max(hour, dropped) AS worst_hour,
  max(dropped) AS worst_dropped, min(hour) FILTER (WHERE dropped > 0) AS first_hour,
  max(hour) FILTER (WHERE dropped > 0) + INTERVAL 1 HOUR AS last_hour,
  sum(defective)::BIGINT AS defective, sum(plain)::BIGINT AS plain,
  sum(defective) / greatest(sum(received), 1) AS defect_share
FROM {question} GROUP BY app ORDER BY app"""


def lost(asked: Asked) -> Iterator[Finding]:
    """A finding for each app of which Heroku lost lines."""
    sql = _LOST.format(question=asked.call("coverage"))
    for row in asked.records(sql):
        if not row["dropped"]:
            continue
        yield made(
            asked,
            "coverage",
            row,
            kind="lines-lost",
            severity=Severity.WARNING if row["share"] >= LOST_SHARE else Severity.NOTICE,
            sentence=f"{counted(row['dropped'], 'line')} were lost before drainlake (L10 and kin),"
            f" {share(row['share'])} of all; most, {row['worst_dropped']:,}, in the hour from"
            f" {at(row['worst_hour'], asked.window)}: figures of that time are too low.",
            sql=narrowed(sql, row, "app"),
            times=(row["first_hour"], row["last_hour"]),
            advice="Heroku drops lines when a drain answers too slowly or the app logs in bursts:"
            " see `drainlake status`, and log less.",
            chart=series.log_lines(asked, row["app"]),
        )


def damaged(asked: Asked) -> Iterator[Finding]:
    """A finding for each app with lines that were no log lines."""
    sql = _LOST.format(question=asked.call("coverage"))
    for row in asked.records(sql):
        if row["defect_share"] < DEFECT_SHARE:
            continue
        yield made(
            asked,
            "unparsed_shapes",
            row,
            kind="lines-damaged",
            severity=Severity.WARNING,
            sentence=f"{counted(row['defective'], 'line')}, {share(row['defect_share'])} of all, were no log lines.",
            sql=narrowed(sql, row, "app"),
            advice="Something else than Heroku posts to this drain, or a proxy changes bodies: see the defects.",
        )


def unparsed(asked: Asked) -> Iterator[Finding]:
    """A finding for each app most of whose lines are of one shape that no parser knows."""
    sums = asked.records(_LOST.format(question=asked.call("coverage")))
    much = {row["app"] for row in sums if row["plain"] >= PLAIN_SHARE * max(row["received"], 1)}
    if not much or sum(row["plain"] for row in sums) > PLAIN_LINES_MAX:
        return
    sql = f"FROM {asked.call('unparsed_shapes')} WHERE defect IS NULL AND share >= {PLAIN_SHARE}"
    for row in asked.records(sql):
        if row["app"] in much:
            yield made(
                asked,
                "unparsed_shapes",
                row,
                kind="lines-unparsed",
                subject=row["shape"],
                severity=Severity.NOTICE,
                sentence=f"{counted(row['line_count'], 'line')} of {named(row['process'], 'no process')},"
                f" {share(row['share'])} of those that no parser knows, have one shape: {named(row['shape'])}.",
                sql=narrowed(sql, row, "app", "shape"),
                times=(row["first_at"], row["last_at"]),
                advice="Ask them with SQL (the table lines), or let the app write fewer.",
            )
