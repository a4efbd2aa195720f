"""What the demo planted beside what its questions find in the lake, figure by figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from duckdb import DuckDBPyConnection

    from ingest.simulator.shop import Truth
    from ingest.simulator.shop.before import BeforeTruth


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


def investigate(connection: DuckDBPyConnection, day: date, truth: Truth, before: BeforeTruth) -> Iterator[Incident]:
    """Ask the lake about everything that was planted, one incident after the other.

    ``day`` is the day of ``truth``; ``before`` is what stands in the load balancer's log of an earlier one.
    """
    since = day.isoformat()
    yield _timeouts(connection, truth)
    yield _culprit(connection, truth)
    yield _memory(connection, truth)
    yield _memory_limit(connection, truth)
    yield _assets(connection, truth)
    yield _move(connection, before)
    yield _cold_cache(connection, truth)
    yield _pile_up(connection, truth)
    yield _changes(connection, truth)
    yield _peak(connection, truth, since)
    yield _losses(connection, truth, since)
    yield _rows(connection, truth, before)


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
        "H12: requests cut off after 30 s",
        {
            "hit hardest": planted.culprit,
            "timeouts there": planted.by_route[planted.culprit],
            "timeouts in all": planted.count,
            "first at": planted.first_at,
            "last at": planted.last_at,
        },
        found,
    )


def _culprit(connection: DuckDBPyConnection, truth: Truth) -> Incident:
    planted = truth.timeouts
    own = planted.by_route[planted.culprit]
    found = _row(
        connection,
        """SELECT culprit AS "held the workers", culprits[1].timeouts AS "its own timeouts",
             victim_timeouts AS "requests that only waited"
           FROM h12_autopsy()""",
    )
    return Incident(
        "One slow route held the workers; the others only waited",
        {
            "held the workers": planted.culprit,
            "its own timeouts": own,
            "requests that only waited": planted.count - own,
        },
        found,
    )


def _memory(connection: DuckDBPyConnection, truth: Truth) -> Incident:
    planted = truth.memory
    found = _row(
        connection,
        """SELECT dyno, errors, first_at AS "first at", last_at AS "last at", peak_memory_mb AS "peak MB",
             peak_percent AS "peak percent",
             (SELECT string_agg(dyno, ', ' ORDER BY dyno) FROM memory_leaks() WHERE verdict = 'leak') AS "leaking"
           FROM r14_memory()""",
    )
    return Incident(
        "R14: one dyno leaked until it outgrew its memory",
        {
            "dyno": planted.dyno,
            "leaking": planted.dyno,
            "errors": planted.errors,
            "first at": planted.first_at,
            "last at": planted.last_at,
            "peak MB": planted.peak_memory_mb,
            "peak percent": planted.peak_percent,
        },
        found,
    )


def _memory_limit(connection: DuckDBPyConnection, truth: Truth) -> Incident:
    planted = truth.memory_limit
    found = _row(
        connection,
        """SELECT sum(times)::BIGINT AS errors, max(limit_bytes) AS "limit in bytes",
             arg_max(route, times) AS "route that answered 500"
           FROM php_memory()""",
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


def _assets(connection: DuckDBPyConnection, truth: Truth) -> Incident:
    # The size tells each file; how many replies count depends on the evidence there is for it.
    planted = {f"size of {asset.path}": asset.bytes_each for asset in truth.assets}
    found = connection.execute("SELECT 'size of ' || path, bytes_each FROM uncompressed_assets()").fetchall()
    return Incident("Scripts and styles go out uncompressed", planted, dict(found))


def _move(connection: DuckDBPyConnection, before: BeforeTruth) -> Incident:
    """Sizes at the load balancer, by path: a route joins the versions of a file that one question tells apart."""
    planted = {f"bytes of {path} before": size for path, size in before.compressed_bytes.items()}
    found = connection.execute(
        """SELECT 'bytes of ' || bare_path(path) || ' before', quantile_disc(bytes, 0.5) FROM router
           WHERE source = 'elb' AND status = 200 AND method = 'GET'
             AND route IN (SELECT route FROM migration_diff() WHERE verdict = 'gzip lost')
           GROUP BY 1"""
    ).fetchall()
    return Incident("With the move from the load balancer gzip was lost", planted, dict(found))


def _cold_cache(connection: DuckDBPyConnection, truth: Truth) -> Incident:
    planted = truth.cold_cache
    found = _row(
        connection,
        """SELECT string_agg(route, ', ') AS route, max(lives) AS "dyno lives"
           FROM cold_dynos() WHERE evidence = 'strong'""",
    )
    return Incident(
        "A file cache that each dyno had to fill for itself",
        {"route": planted.route, "dyno lives": planted.lives},
        found,
    )


def _pile_up(connection: DuckDBPyConnection, truth: Truth) -> Incident:
    planted = truth.pile_up
    found = _row(
        connection,
        """SELECT peak_connections AS "connections at most", peak_at AS "reached at",
             max_connections AS "the plan's limit", peak_waiting AS "waiting at most", refused
           FROM database_connections() WHERE kind = 'postgres'""",
    )
    return Incident(
        "Postgres connections piled up to the plan's limit",
        {
            "connections at most": planted.max_connections,
            "the plan's limit": planted.max_connections,
            "reached at": planted.reached_at,
            "waiting at most": planted.waiting_peak,
            "refused": planted.refused,
        },
        found,
    )


def _changes(connection: DuckDBPyConnection, truth: Truth) -> Incident:
    found = _row(
        connection,
        """SELECT max(changed_at) FILTER (WHERE change = 'deploy') AS "deployed at",
             max(changed_at) FILTER (WHERE change = 'scale') AS "scaled at",
             (SELECT string_agg(DISTINCT verdict, ', ') FROM deploy_impact()
              WHERE change = 'scale' AND measure = 'h12_share') AS "timeouts after that"
           FROM releases()""",
    )
    return Incident(
        "What changed: more dynos, and a deploy",
        {"deployed at": truth.deployed_at[-1], "scaled at": truth.scaled_at, "timeouts after that": "better"},
        found,
    )


def _peak(connection: DuckDBPyConnection, truth: Truth, since: str) -> Incident:
    query = 'SELECT peak AS requests, peak_at AS "at" FROM peak_concurrency(since := ?)'
    found = _row(connection, query, since)
    return Incident("The most requests at once", {"requests": truth.peak.requests, "at": truth.peak.at}, found)


def _losses(connection: DuckDBPyConnection, truth: Truth, since: str) -> Incident:
    found = _row(
        connection,
        """SELECT sum(received - repeated)::BIGINT AS "lines received",
             sum(repeated)::BIGINT AS "lines repeated", sum(dropped)::BIGINT AS "lines Heroku lost"
           FROM coverage(since := ?)""",
        since,
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


def _rows(connection: DuckDBPyConnection, truth: Truth, before: BeforeTruth) -> Incident:
    planted = {f"rows in {table}": count for table, count in truth.rows_by_table.items()}
    planted["rows of the load balancer"] = before.requests
    found = {
        f"rows in {table}": connection.execute(f'SELECT count(*) FROM "{table}"').fetchall()[0][0]  # noqa: S608
        for table in truth.rows_by_table
    }
    [balanced] = connection.execute("SELECT count(*) FROM router WHERE source = 'elb'").fetchall()
    found["rows of the load balancer"] = balanced[0]
    found["rows in router"] -= balanced[0]
    return Incident("Every line, once", planted, found)


def _row(connection: DuckDBPyConnection, query: str, *given: str) -> dict[str, Any]:
    """The first row by column name; empty when there is none."""
    cursor = connection.execute(query, given)
    names = [column[0] for column in cursor.description or ()]
    rows = cursor.fetchall()
    return dict(zip(names, rows[0], strict=True)) if rows else {}
