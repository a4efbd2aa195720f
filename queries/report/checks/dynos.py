"""Dynos: caches that each must fill for itself, restarts for bad reasons, changes that made things worse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from queries.report.finding import made, narrowed
from queries.report.formatting import duration, share
from queries.report.model import Severity
from queries.report.quoting import sql_text, sql_time
from queries.report.series import change_name
from queries.report.words import at, counted, during, listed, megabytes, named, times

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queries.report.asked import Asked, Record
    from queries.report.model import Finding

# A second is what a visitor notices as waiting.
COLD_LOSS_MS: Final = 1000
# Dynos crash now and then; from the third time on it is a pattern.
CRASHES_LEAST: Final = 3
# What a difference must come to before it is worth a word. Many requests prove trifles, and of a dozen comparisons
# at 95 % one is wrong every other day: so the lower end of the interval must come to as much.
WORSE_SHARE: Final = 0.005
WORSE_TIMES: Final = 1.2
WORSE_MS: Final = 20
WORSE_MEMORY_TIMES: Final = 1.1

_RESTARTS: Final = """SELECT app, regexp_replace(dyno, '\\.\\d+$', '') AS process, reason,
  sum(restarts)::BIGINT AS restarts,
  sum(failed_boots)::BIGINT AS failed_boots, sum(failed_requests)::BIGINT AS failed_requests,
  count(DISTINCT dyno) AS dynos, min(first_at) AS first_at, max(last_at) AS last_at
FROM {question} WHERE reason = 'crash' OR failed_boots > 0 OR failed_requests > 0
GROUP BY ALL ORDER BY app, process, reason"""


def cold(asked: Asked) -> Iterator[Finding]:
    """A finding for each route that is slow first on each dyno."""
    sql = f"FROM {asked.call('cold_dynos')} WHERE evidence IN ('strong', 'likely')"
    for row in asked.records(sql):
        is_felt = row["evidence"] == "strong" and (row["wasted_per_life_ms"] or 0) >= COLD_LOSS_MS
        yield made(
            asked,
            "cold_dynos",
            row,
            kind="cold-cache",
            subject=row["route"],
            severity=Severity.WARNING if is_felt else Severity.NOTICE,
            sentence=f"{named(row['route'])} takes {duration(row['first_ms'])} the first time on a started dyno and"
            f" {duration(row['later_ms'])} later, in {row['slow_lives']:,} of"
            f" {counted(row['lives'], 'dyno life', 'dyno lives')}:"
            " as with a cache in the dyno's own files.",
            sql=narrowed(sql, row, "app", "route"),
            advice="Keep that cache in Redis (heroku addons:create heroku-redis), which all dynos share and restarts"
            " leave alone; or fill it at the dyno's start, before it takes requests.",
        )


def restarts(asked: Asked) -> Iterator[Finding]:
    """A finding for each kind of dyno that crashed, or lost requests when it restarted."""
    sql = _RESTARTS.format(question=asked.call("dyno_restarts"))
    for row in asked.records(sql):
        is_much = max(row["failed_boots"], row["restarts"] if row["reason"] == "crash" else 0) >= CRASHES_LEAST
        how = {"crash": "crashed", "memory": "were killed for their memory (R15)"}.get(
            row["reason"], f"restarted ({'for no known reason' if row['reason'] == 'unknown' else row['reason']})"
        )
        boots = f"; {counted(row['failed_boots'], 'start')} failed" if row["failed_boots"] else ""
        failed = f"; {counted(row['failed_requests'], 'request')} failed meanwhile" if row["failed_requests"] else ""
        yield made(
            asked,
            "dyno_restarts",
            row,
            kind="crashes" if row["reason"] == "crash" or row["failed_boots"] else "restarts",
            subject=f"{row['process']} {row['reason']}",
            severity=_restart_severity(row, is_much=is_much),
            sentence=f"{named(row['process'])} dynos {how} {times(row['restarts'])}"
            f" {during(row['first_at'], row['last_at'], asked.window)}{boots}{failed}.",
            sql=narrowed(sql, row, "app", "process", "reason"),
            times=(row["first_at"], row["last_at"]),
            advice="The last lines of the dyno before it went (heroku logs --dyno) tell why.",
        )


def _restart_severity(row: Record, *, is_much: bool) -> Severity:
    if is_much and row["failed_requests"]:
        return Severity.CRITICAL
    return Severity.WARNING if is_much else Severity.NOTICE


def changes(asked: Asked) -> Iterator[Finding]:
    """A finding for each deploy or other change after which something was clearly worse."""
    rows = [row for row in asked.question("deploy_impact") if row["verdict"] == "worse" and _is_material(row)]
    for key in sorted({(row["app"], row["changed_at"]) for row in rows}):
        mine = [row for row in rows if (row["app"], row["changed_at"]) == key]
        first = mine[0]
        yield made(
            asked,
            "deploy_impact",
            first,
            kind="worse-after-change",
            subject=f"{change_name(first)} {first['changed_at'].isoformat()}",
            severity=Severity.WARNING,
            sentence=f"After the {change_name(first)} at {at(first['changed_at'], asked.window)}"
            f" {listed([_difference(row) for row in mine])}.",
            sql=f"FROM {asked.call('deploy_impact')} WHERE app = {sql_text(first['app'])}"
            f" AND changed_at = {sql_time(first['changed_at'])} AND verdict = 'worse'",
            times=(first["changed_at"], first["changed_at"]),
            advice="If visitors notice, roll back (heroku rollback) and look at what that change did.",
        )


def _is_material(row: Record) -> bool:
    before, after, least = row["before"] or 0.0, row["after"] or 0.0, row["difference_low"] or 0.0
    if row["measure"].endswith("_share"):
        return bool(least >= WORSE_SHARE)
    if row["measure"] == "memory_mb":
        return bool(after >= WORSE_MEMORY_TIMES * before)
    return bool(after >= WORSE_TIMES * before and least >= WORSE_MS)


def _difference(row: Record) -> str:
    say = {"error_share": share, "h12_share": share, "memory_mb": megabytes}.get(row["measure"], duration)
    name = {
        "error_share": "failed requests rose",
        "h12_share": "timeouts rose",
        "memory_mb": "the dynos' memory rose",
        "p50_ms": "the median time rose",
        "p95_ms": "the p95 rose",
    }.get(row["measure"], f"{row['measure']} rose")
    return f"{name} from {say(row['before'] or 0.0)} to {say(row['after'] or 0.0)}"
