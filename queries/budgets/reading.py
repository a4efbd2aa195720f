"""What budgets are computed from, read from DuckDB: the sums of the questions `burn_rates` and `burn_history`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Final

from ingest.schema import APP_HOUR
from queries.added_up import are_added_up
from queries.budgets.burn_rates import WINDOWS, Count
from queries.literals import literal
from queries.report.quoting import sql_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import duckdb

    from queries.budgets.objectives import Objective

_HOUR: Final = 60
_WHOLE_HOURS: Final = timedelta(hours=719)  # of 720, which end at any minute
_DEFAULT_MS: Final = 1000  # for availability, where the limit does not matter


@dataclass(frozen=True)
class Step:
    """One step of the history: when it begins, and what is counted in it."""

    begins_at: datetime
    count: Count


@dataclass(frozen=True)
class Month:
    """Of an app: the counts of all WINDOWS by their minutes, and the hours of the 30 days that the log covers."""

    windows: Mapping[int, Count]
    steps: Sequence[Step]


@dataclass(frozen=True)
class Asked:
    """What both questions are asked: until when, of which app, of which route and with which limit. None is all."""

    until: datetime
    app: str | None
    route: str | None = None
    latency_ms: int | None = None

    @property
    def limit_ms(self) -> int:
        """The limit, or any where none is asked for."""
        return self.latency_ms or _DEFAULT_MS

    def sql(self, question: str, **more: int) -> str:
        """The call as a statement that can be pasted: values are literals."""
        given = {"until": literal(self.until.isoformat())}
        if self.app is not None:
            given["app_name"] = sql_text(self.app)
        if self.route is not None:
            given["route_name"] = sql_text(self.route)
        if self.latency_ms is not None:
            given["latency_ms"] = str(self.latency_ms)
        given |= {name: str(value) for name, value in more.items()}
        return f"FROM {question}({', '.join(f'{name} := {value}' for name, value in given.items())})"


def asked_of(objective: Objective, app: str | None, until: datetime) -> Asked:
    """What is asked for an objective of an app."""
    return Asked(until, app, objective.route, objective.latency_ms)


def windows(
    connection: duckdb.DuckDBPyConnection, asked: Asked, since: datetime | None = None
) -> Mapping[str, Mapping[int, Count]]:
    """Counts by app and minutes of the window, of 30 days or from ``since``; an app without a known minute has none."""
    found: dict[str, dict[int, Count]] = {}
    for app, minutes, covered, *counts in connection.execute(
        "SELECT app, window_minutes, covered_minutes, requests, failed, timed, slow "
        "FROM burn_rates(since := ?, until := ?, app_name := ?, route_name := ?, latency_ms := ?)",
        [since, asked.until, asked.app, asked.route, asked.limit_ms],
    ).fetchall():
        found.setdefault(app, {})[minutes] = _count(asked, counts, covered)
    return found


def months(
    connection: duckdb.DuckDBPyConnection, until: datetime, app_name: str | None, limits_ms: Sequence[int]
) -> Mapping[str, tuple[Count, Mapping[int, Count]]]:
    """By app, what 30 days count for availability and for each limit, read once: as `burn_rates` has it for each."""
    found = {}
    slow = ", ".join(_SLOW.format(limit_ms=int(limit_ms)) for limit_ms in limits_ms)
    last_hour = until.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    is_added_up = are_added_up(connection, last_hour - _WHOLE_HOURS, last_hour, app_name)
    sql = _MONTHS.format(slow=slow, hour=APP_HOUR if is_added_up else "app")
    asked = {"until": until, "last_hour": last_hour, "first_hour": last_hour - _WHOLE_HOURS, "app": app_name}
    for app, covered, requests, failed, timed, *beyond in connection.execute(sql, asked).fetchall():
        within = {ms: Count(timed, many, covered) for ms, many in zip(limits_ms, beyond, strict=True)}
        found[app] = (Count(requests, failed, covered), within)
    return found


_SLOW: Final = "coalesce(sum(histograms.requests) FILTER (WHERE bucket > latency_edge({limit_ms})), 0)::BIGINT"
# The histograms of a month are added up first: to look into each for each limit takes twice as long. Whole hours are
# added up in the lake; of the hours at both ends the minutes are read.
_MONTHS: Final = """
WITH counted AS (
  SELECT app, count(*) AS covered, sum(requests)::BIGINT AS requests, sum(failed)::BIGINT AS failed
  FROM minutes_of('app', first_minute($until) - INTERVAL 720 HOUR, first_minute($until), $app)
  WHERE is_covered OR lines > 0
  GROUP BY app
),
kept AS (
  FROM minutes_of('{hour}', $first_hour, $last_hour, $app)
  UNION ALL
  FROM minutes_of('app', first_minute($until) - INTERVAL 720 HOUR, $first_hour, $app)
  UNION ALL
  FROM minutes_of('app', $last_hour, first_minute($until), $app)
),
histograms AS (
  SELECT app, bucket, sum(here)::BIGINT AS requests
  FROM (SELECT app, unnest(latency_buckets) AS bucket, unnest(latency_counts) AS here FROM kept)
  GROUP BY app, bucket
)
SELECT app, any_value(covered), any_value(counted.requests), any_value(failed),
  coalesce(sum(histograms.requests), 0)::BIGINT AS timed, {slow}
FROM counted LEFT JOIN histograms USING (app)
GROUP BY app ORDER BY app
"""


def history(
    connection: duckdb.DuckDBPyConnection, asked: Asked, since: datetime | None = None, step_minutes: int = 60
) -> Mapping[str, list[Step]]:
    """Steps by app, in order, of the 30 days before the end or from ``since``; what is not covered is left out."""
    found: dict[str, list[Step]] = {}
    for app, begins_at, covered, *counts in connection.execute(
        "SELECT app, begins_at, covered_minutes, requests, failed, timed, slow FROM burn_history("
        "since := ?, until := ?, app_name := ?, route_name := ?, latency_ms := ?, step_minutes := ?)",
        [since, asked.until, asked.app, asked.route, asked.limit_ms, step_minutes],
    ).fetchall():
        found.setdefault(app, []).append(Step(begins_at, _count(asked, counts, covered)))
    return found


def month(connection: duckdb.DuckDBPyConnection, asked: Asked) -> Mapping[str, Month]:
    """Windows and hours of the 30 days by app, in one pass over them: what is longer than an hour is made of hours."""
    # Windows and steps end at the full minute: one minute more holds all of the first.
    last_hour = windows(connection, asked, asked.until - timedelta(minutes=_HOUR + 1))
    nothing = dict.fromkeys(WINDOWS, Count(0, 0, 0))
    return {
        app: Month(_windows(last_hour.get(app, nothing), steps, asked.until), steps)
        for app, steps in history(connection, asked).items()
    }


def _windows(last_hour: Mapping[int, Count], steps: Sequence[Step], until: datetime) -> Mapping[int, Count]:
    return {
        minutes: last_hour[minutes] if minutes <= _HOUR else _sum(steps, until - timedelta(minutes=minutes + 1))
        for minutes in WINDOWS
    }


def _sum(steps: Sequence[Step], after: datetime) -> Count:
    counts = [step.count for step in steps if step.begins_at > after]
    return Count(
        sum(count.requests for count in counts),
        sum(count.bad for count in counts),
        sum(count.covered_minutes for count in counts),
    )


def apps(connection: duckdb.DuckDBPyConnection, until: datetime, app_name: str | None) -> list[str]:
    """The apps with minutes in the 30 days, covered or not."""
    rows = connection.execute(
        "SELECT DISTINCT app FROM minutes_between(first_minute(?) - INTERVAL 720 HOUR, ?, ?) WHERE per = 'app'"
        " ORDER BY app",
        [until, until, app_name],
    ).fetchall()
    return [app for (app,) in rows]


def _count(asked: Asked, counts: list[int], covered: int) -> Count:
    requests, failed, timed, slow = counts
    return Count(requests, failed, covered) if asked.latency_ms is None else Count(timed, slow, covered)
