"""What the demo planted beside what its questions find in the lake, figure by figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from duckdb import DuckDBPyConnection

    from ingest.simulator.shop import Truth


@dataclass(frozen=True)
class Incident:
    """One thing that happened in the simulated day: the figures planted and the figures found, by label."""

    title: str
    planted: Mapping[str, Any]
    found: Mapping[str, Any]

    @property
    def is_found(self) -> bool:
        """Whether every planted figure was found exactly."""
        return all(label in self.found and self.found[label] == value for label, value in self.planted.items())


def investigate(connection: DuckDBPyConnection, truth: Truth) -> Iterator[Incident]:
    """Ask the lake about everything that was planted, one incident after the other."""
    yield _timeouts(connection, truth)
    yield _memory(connection, truth)
    yield _assets(connection, truth)
    yield _memory_limit(connection, truth)
    yield _pile_up(connection, truth)
    yield _peak(connection, truth)
    yield _losses(connection, truth)
    yield _rows(connection, truth)


def _timeouts(connection: DuckDBPyConnection, truth: Truth) -> Incident:
    planted = truth.timeouts
    found = _row(
        connection,
        """SELECT arg_max(route, share) AS "hit hardest", arg_max(timeouts, share) AS "timeouts there",
             sum(timeouts)::BIGINT AS "timeouts in all",
             min(first_at) AS "first at", max(last_at) AS "last at"
           FROM h12_timeouts()""",
    )
    return Incident(
        "H12: requests cut off after 30 s, because one slow route held the workers",
        {
            "hit hardest": planted.culprit,
            "timeouts there": planted.by_route[planted.culprit],
            "timeouts in all": planted.count,
            "first at": planted.first_at,
            "last at": planted.last_at,
        },
        found,
    )


def _memory(connection: DuckDBPyConnection, truth: Truth) -> Incident:
    planted = truth.memory
    found = _row(
        connection,
        """SELECT dyno, errors, first_at AS "first at", last_at AS "last at",
             peak_memory_mb AS "peak MB", peak_percent AS "peak percent" FROM r14_memory()""",
    )
    return Incident(
        "R14: one dyno outgrew its memory",
        {
            "dyno": planted.dyno,
            "errors": planted.errors,
            "first at": planted.first_at,
            "last at": planted.last_at,
            "peak MB": planted.peak_memory_mb,
            "peak percent": planted.peak_percent,
        },
        found,
    )


def _assets(connection: DuckDBPyConnection, truth: Truth) -> Incident:
    # The size tells each file; how many replies count depends on the evidence there is for it.
    planted = {f"size of {asset.path}": asset.bytes_each for asset in truth.assets}
    found = connection.execute("SELECT 'size of ' || path, bytes_each FROM uncompressed_assets()").fetchall()
    return Incident("Scripts and styles that go out uncompressed", planted, dict(found))


def _memory_limit(connection: DuckDBPyConnection, truth: Truth) -> Incident:
    planted = truth.memory_limit
    found = _row(
        connection,
        """SELECT count(*) AS errors, any_value(memory_limit_bytes) AS "limit in bytes",
             (SELECT mode(route) FROM router WHERE status = 500) AS "route that answered 500"
           FROM php WHERE memory_limit_bytes IS NOT NULL""",
    )
    return Incident(
        "PHP ran into its memory limit on one route",
        {
            "errors": planted.errors,
            "limit in bytes": planted.limit_bytes,
            "route that answered 500": planted.route,
        },
        found,
    )


def _pile_up(connection: DuckDBPyConnection, truth: Truth) -> Incident:
    planted = truth.pile_up
    found = _row(
        connection,
        """WITH pool AS (FROM samples WHERE kind = 'postgres'),
             busiest AS (FROM pool WHERE metric = 'active_connections' ORDER BY value DESC, timestamp LIMIT 1)
           SELECT value::BIGINT AS "connections at most", timestamp AS "reached at",
             (SELECT max(value)::BIGINT FROM pool WHERE metric = 'waiting_connections') AS "waiting at most",
             (SELECT count(*) FROM lines WHERE message LIKE '%sql_error_code = 53300 FATAL%') AS refused
           FROM busiest""",
    )
    return Incident(
        "Postgres connections piled up to the plan's limit",
        {
            "connections at most": planted.max_connections,
            "reached at": planted.reached_at,
            "waiting at most": planted.waiting_peak,
            "refused": planted.refused,
        },
        found,
    )


def _peak(connection: DuckDBPyConnection, truth: Truth) -> Incident:
    found = _row(connection, 'SELECT peak AS requests, peak_at AS "at" FROM peak_concurrency()')
    return Incident("The most requests at once", {"requests": truth.peak.requests, "at": truth.peak.at}, found)


def _losses(connection: DuckDBPyConnection, truth: Truth) -> Incident:
    found = _row(
        connection,
        """SELECT sum(received - repeated)::BIGINT AS "lines received",
             sum(repeated)::BIGINT AS "lines repeated", sum(dropped)::BIGINT AS "lines Heroku lost"
           FROM coverage()""",
    )
    return Incident(
        "A delivery came twice, and a gap that Heroku owned up to (L10)",
        {
            "lines received": truth.lines,
            "lines repeated": truth.repeated_lines,
            "lines Heroku lost": truth.dropped_lines,
        },
        found,
    )


def _rows(connection: DuckDBPyConnection, truth: Truth) -> Incident:
    found = {
        f"rows in {table}": connection.execute(f'SELECT count(*) FROM "{table}"').fetchall()[0][0]  # noqa: S608
        for table in truth.rows_by_table
    }
    planted = {f"rows in {table}": count for table, count in truth.rows_by_table.items()}
    return Incident("Every line, once", planted, found)


def _row(connection: DuckDBPyConnection, query: str) -> dict[str, Any]:
    """The first row by column name; empty when there is none."""
    cursor = connection.execute(query)
    names = [column[0] for column in cursor.description or ()]
    rows = cursor.fetchall()
    return dict(zip(names, rows[0], strict=True)) if rows else {}
