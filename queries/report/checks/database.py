"""Databases: connections that were refused or nearly so, and measures that are far from good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from queries.report import series
from queries.report.finding import made
from queries.report.formatting import number
from queries.report.model import Severity, Threshold
from queries.report.quoting import sql_text
from queries.report.words import at, counted, during, named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queries.report.asked import Asked, Record
    from queries.report.model import Chart, Finding

_POOL: Final = (
    "Put a pool in front of the database (PgBouncer: heroku buildpacks:add heroku/pgbouncer), run fewer workers, close"
    " what is not used, or take a larger plan."
)
# Thresholds of database_health name what is not ideal on any plan; from these values on it is felt.
# Measure: (what is bad enough, is lower worse).
FELT: Final = {
    "table_cache_hit_rate": (90.0, True),
    "index_cache_hit_rate": (95.0, True),
    "hit_rate": (50.0, True),
    "load_avg_5m": (2.0, False),
    "evicted_keys": (1.0, False),
    "deadlocks_an_hour": (10.0, False),
    "timeouts_an_hour": (60.0, False),
}


def connections(asked: Asked) -> Iterator[Finding]:
    """A finding for each database at its limit, and for an app that was refused by one that logs nothing."""
    for row in asked.question("database_connections"):
        if row["verdict"] not in {"refused", "limit reached", "near the limit"}:
            continue
        yield made(
            asked,
            "database_connections",
            row,
            kind="connections" if row["source"] is not None else "connections-refused",
            subject=row["source"],
            severity=Severity.WARNING if row["verdict"] == "near the limit" else Severity.CRITICAL,
            sentence=_sentence(asked, row),
            sql=f"FROM {asked.call('database_connections')} WHERE app = {sql_text(row['app'])}"
            f" AND source IS NOT DISTINCT FROM {sql_text(row['source'])}",
            times=(row["first_refused_at"] or row["peak_at"], row["last_refused_at"] or row["peak_at"]),
            advice=_POOL,
            chart=_chart(asked, row),
        )


def _sentence(asked: Asked, row: Record) -> str:
    refused = ""
    if row["refused"]:
        when = during(row["first_refused_at"], row["last_refused_at"], asked.window)
        refused = f"{counted(row['refused'], 'connection was', 'connections were')} refused {when}"
    if row["source"] is None:
        return f"By PHP's errors {refused}."
    of = f" of {row['max_connections']:,}" if row["max_connections"] is not None else ""
    peak = f"{named(row['source'])} had {number(row['peak_connections'] or 0)}{of} connections open"
    if row["peak_at"] is not None:
        peak += f" at {at(row['peak_at'], asked.window)}"
    busy = f"; busiest then were {named(row['busiest_routes'])}" if row["busiest_routes"] else ""
    return f"{peak}{'; ' + refused if refused else ''}{busy}."


def _chart(asked: Asked, row: Record) -> Chart:
    limit = row["max_connections"]
    return series.connections(asked, row["app"], (Threshold("limit", limit),) if limit else ())


def health(asked: Asked) -> Iterator[Finding]:
    """A finding for each measure that breaks its threshold: a warning if it is felt, else worth knowing."""
    for row in asked.question("database_health"):
        if row["verdict"] != "bad" and not _is_felt(row) and row["measure"] != "statement_ms":
            continue
        if row["verdict"] not in {"bad", "at times"}:
            continue
        yield made(
            asked,
            "database_health",
            row,
            kind=f"database-{row['measure']}",
            subject=row["source"],
            severity=Severity.WARNING if row["verdict"] == "bad" and _is_felt(row) else Severity.NOTICE,
            sentence=_measured(asked, row),
            sql=f"FROM {asked.call('database_health')} WHERE app = {sql_text(row['app'])}"
            f" AND source IS NOT DISTINCT FROM {sql_text(row['source'])} AND measure = {sql_text(row['measure'])}",
            times=(row["worst_at"], row["worst_at"]),
            advice=row["threshold"] or "",
        )


def _is_felt(row: Record) -> bool:
    level, lower = FELT.get(row["measure"], (None, False))
    if level is None or row["typical"] is None:
        return False
    return bool(row["typical"] <= level if lower else row["typical"] >= level)


def _measured(asked: Asked, row: Record) -> str:
    unit = {"percent": " %", "ms": " ms", "bytes": " bytes"}.get(row["unit"], "")
    name = row["measure"].removesuffix("_ms").replace("_", " ")
    if row["measure"] == "statement_ms":
        return (
            f"{counted(row['broken'], 'statement')} of {named(row['source'])} took over 2 s; the slowest"
            f" {number(row['worst'])} ms, at {at(row['worst_at'], asked.window)}."
        )
    return (
        f"{name[:1].upper()}{name[1:]} of {named(row['source'])} was typically {number(row['typical'])}{unit}, at worst"
        f" {number(row['worst'])}{unit} at {at(row['worst_at'], asked.window)}; {row['broken']:,} of"
        f" {counted(row['measurements'], 'measurement')} were past the threshold."
    )
