"""What a long window is told from: its one-minute series, added up. A month of a busy site is read in a second.

Counts are exact. Times are those of minutes, percentiles are within 1 %.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from queries.report.parts import Hour
from queries.report.quoting import sql_text, sql_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from queries.report.model import Window

HOURS: Final = """SELECT hour, requests, peak, connections, coalesce(timeouts, 0)::BIGINT AS timeouts FROM (
  SELECT steps_since_1970(epoch_us(timestamp), 3600000000) AS hour, sum(requests)::BIGINT AS requests,
    coalesce(max(peak_in_flight), 0) AS peak, coalesce(max(connections), 0) AS connections
  FROM {app} GROUP BY ALL
) LEFT JOIN (
  SELECT steps_since_1970(epoch_us(timestamp), 3600000000) AS hour, sum(requests) AS timeouts
  FROM {code} WHERE key = 'H12' GROUP BY ALL
) USING (hour) ORDER BY hour"""

TRAFFIC: Final = """SELECT coalesce(sum(requests), 0)::BIGINT AS requests, coalesce(sum(failed), 0)::BIGINT AS failed,
  (
    SELECT bucket_ms(min(bucket) FILTER (WHERE up_to >= ceil(0.95 * timed)))
    FROM (
      SELECT bucket, sum(sum(times)) OVER (ORDER BY bucket) AS up_to, sum(sum(times)) OVER () AS timed
      FROM (SELECT unnest(latency_buckets) AS bucket, unnest(latency_counts) AS times FROM {app}) GROUP BY bucket
    )
  ) AS p95_ms
FROM {app}"""

# Of apps, routes and requests alone, as `routes` counts them.
REQUESTS: Final = """SELECT app, key AS route, 'heroku' AS source, sum(requests)::BIGINT AS requests
FROM {route} GROUP BY ALL"""

# Questions whose columns, or those that a report reads, can be had from minutes.
QUESTIONS: Final[Mapping[str, str]] = {
    "error_codes": """SELECT app, key AS code, NULL::VARCHAR AS meaning, sum(requests)::BIGINT AS requests,
  min(timestamp) AS first_at, max(timestamp) AS last_at, sum(requests) / any_value(all_requests) AS share
FROM {code} JOIN (SELECT app, sum(requests) AS all_requests FROM {app} GROUP BY app) USING (app)
WHERE starts_with(key, 'H') GROUP BY app, key ORDER BY app, requests DESC, code""",
    "dyno_memory": """SELECT app, key AS dyno, timestamp AS begins_at, memory_mb AS peak_mb, timestamp AS peak_at,
  100 * memory_mb / nullif(memory_percent, 0) AS quota_mb
FROM {dyno} WHERE memory_mb IS NOT NULL QUALIFY row_number() OVER (PARTITION BY app, key ORDER BY peak_mb DESC) = 1""",
}


def of_window(sql: str, window: Window, **more: str) -> str:
    """The statement over the minutes of a window, ``more`` put in, too."""
    times = f"{sql_time(window.since)}, {sql_time(window.until)}, {sql_text(window.app_name)}"
    return sql.format(**more, **{per: f"minutes_of('{per}', {times})" for per in ("app", "route", "dyno", "code")})


def all_hours(window: Window, rows: Iterable[Mapping[str, float]]) -> list[Hour]:
    """All hours that the window touches, in order; ``rows`` are what :data:`HOURS` gives."""
    known = {int(row["hour"]): row for row in rows}
    first, end = int(window.since.timestamp() // 3600), -int(-window.until.timestamp() // 3600)
    return [_hour(number, known.get(number)) for number in range(first, end)]


def even_hours(window: Window, requests: int) -> list[Hour]:
    """All hours that the window touches, as if each had as many of the requests."""
    hours = all_hours(window, ())
    return [Hour(hour.begins_at, requests // max(len(hours), 1)) for hour in hours]


def _hour(number: int, row: Mapping[str, float] | None) -> Hour:
    begins_at = datetime.fromtimestamp(0, UTC) + timedelta(hours=number)
    if row is None:
        return Hour(begins_at)
    counts = int(row["requests"]), int(row["peak"]), float(row["connections"]), int(row["timeouts"])
    return Hour(begins_at, *counts)
