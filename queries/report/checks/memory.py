"""Dynos that used more memory than their quota (R14, R15), and leaks that will."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from queries.report import series
from queries.report.finding import made
from queries.report.formatting import number
from queries.report.model import Severity
from queries.report.quoting import sql_text
from queries.report.words import at, during, megabytes, named, times

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queries.report.asked import Asked, Record
    from queries.report.model import Finding

# Heroku restarts each dyno about once in 24 hours: a leak that needs longer never gets there.
CYCLE_HOURS: Final = 24
# A leak shows over hours; a shorter window is looked at with what came before it.
CONTEXT: Final = timedelta(hours=24)
# At least so long over quota, since R14 lines come every 20 s: a peak of a minute is worth knowing, no more.
R14_LEAST: Final = 5

# A leak often speeds up: the pace of its end tells when the quota is reached, unless that is slower by chance.
_LEAKING: Final = """SELECT *, greatest(slope_mb_per_hour, last_third_mb_per_hour) AS pace_mb_per_hour,
  greatest(quota_mb - last_mb, 0) / pace_mb_per_hour AS hours_left
FROM {question} WHERE verdict = 'leak'"""

_R14_ADVICE: Final = (
    "Over its quota a dyno swaps and all on it is slow. Restart it now (heroku ps:restart {dyno}); then use fewer"
    " PHP workers (WEB_CONCURRENCY), a lower memory_limit, or a larger dyno."
)
_LEAK_ADVICE: Final = (
    "Restart the dyno before it gets there (heroku ps:restart {dyno}), and let php-fpm renew its workers"
    " (pm.max_requests = 500). {whose}"
)


def quota(asked: Asked) -> Iterator[Finding]:
    """A finding for each dyno with R14s."""
    for row in asked.question("r14_memory"):
        when = during(row["first_at"], row["last_at"], asked.window)
        peak = (
            f", at most {megabytes(row['peak_memory_mb'])} ({number(row['peak_percent'])} % of its quota)"
            if row["peak_memory_mb"] is not None and row["peak_percent"] is not None
            else ""
        )
        killed = f"; it was killed {times(row['kills'])} for it (R15)" if row["kills"] else ""
        yield made(
            asked,
            "r14_memory",
            row,
            kind="memory-quota",
            subject=row["dyno"],
            severity=_severity(row),
            sentence=f"{named(row['dyno'], 'A dyno')} was over its memory quota {when}:"
            f" {row['errors']:,} R14{peak}{killed}.",
            sql=f"FROM {asked.call('r14_memory')} WHERE app = {sql_text(row['app'])}"
            f" AND dyno IS NOT DISTINCT FROM {sql_text(row['dyno'])}",
            times=(row["first_at"], row["last_at"]),
            advice=_R14_ADVICE.format(dyno=_dyno(row)),
            chart=series.memory(asked, row["app"]),
        )


def _severity(row: Record) -> Severity:
    if row["kills"]:
        return Severity.CRITICAL
    return Severity.WARNING if row["errors"] >= R14_LEAST else Severity.NOTICE


def _dyno(row: Record) -> str:
    """The dyno in a command to copy; a name that is no plain word is left to be filled in."""
    name = row["dyno"] or ""
    return name if name.isascii() and name.replace(".", "").replace("-", "").replace("_", "").isalnum() else "DYNO"


def leaks(asked: Asked) -> Iterator[Finding]:
    """A finding for each dyno whose memory grew without end, and that got to its quota or will before it is cycled."""
    window = asked.window_at("memory_leaks")
    window = replace(window, since=min(window.since, window.until - CONTEXT))
    question = asked.call_in(window, "memory_leaks")
    for row in asked.records(leaking := _LEAKING.format(question=question)):
        over = row["r14_at"] is not None and row["r14_at"] < asked.window.until and row["hours_to_r14"] == 0
        if not _matters(asked, row, over=over):
            continue
        yield made(
            asked,
            "memory_leaks",
            row,
            kind="memory-leak",
            subject=row["dyno"],
            severity=Severity.WARNING,
            sentence=_sentence(asked, row, over=over),
            sql=f"FROM ({leaking}) WHERE app = {sql_text(row['app'])} AND dyno = {sql_text(row['dyno'])}"
            f" AND life = {row['life']}",
            times=(row["started_at"] or window.since, row["ended_at"]),
            advice=_LEAK_ADVICE.format(dyno=_dyno(row), whose=_whose(row)),
            window=window,
            chart=series.memory(asked, row["app"]),
        )


def _matters(asked: Asked, row: Record, *, over: bool) -> bool:
    if row["ended_at"] is not None and row["ended_at"] < asked.window_at("memory_leaks").since:
        return False
    if over:
        return True
    return row["ended_at"] is None and row["hours_left"] is not None and row["hours_left"] <= CYCLE_HOURS


def _sentence(asked: Asked, row: Record, *, over: bool) -> str:
    grows = (
        f"{named(row['dyno'])} leaks memory, {number(row['slope_mb_per_hour'])} MB an hour over its life and"
        f" {number(row['pace_mb_per_hour'])} at its end"
    )
    if over:
        return (
            f"{grows}: at {at(row['r14_at'], asked.window)} it had outgrown its quota of {megabytes(row['quota_mb'])}."
        )
    return (
        f"{grows}: from {megabytes(row['last_mb'])} now it reaches its quota of {megabytes(row['quota_mb'])}"
        f" in {number(row['hours_left'])} hours at that pace."
    )


def _whose(row: Record) -> str:
    if 2 * row["leaks_alike"] > row["lives_alike"]:
        return "Most dynos of its kind leak: it is the code."
    return "Few dynos of its kind leak: look at what this one did."
