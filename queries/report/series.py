"""What a report draws: one function for each chart. Only this module knows where the values come from.

Steps are chosen so that a window has 300 moments at most: a day has 288 of five minutes. A step without a value is
None, which is drawn as a gap.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import duckdb

from queries.report.model import Chart, Key, Line, Marker, Threshold
from queries.report.quoting import between, sql_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from queries.report.asked import Asked, Record
    from queries.report.model import Window

MOMENTS_MAX: Final = 300
LINES_MAX: Final = 12  # more cannot be told apart
MARKERS_MAX: Final = 30
# Divisors of a day, so that steps begin at full hours and days.
STEPS_MINUTES: Final = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440)


def step_minutes(window: Window) -> int:
    """The length of a step for this window; past ten months, whole days as many as it takes."""
    minutes = (window.until - window.since) / timedelta(minutes=1)
    fits = (step for step in STEPS_MINUTES if minutes / step <= MOMENTS_MAX)
    return next(fits, 1440 * -(-int(minutes) // (1440 * MOMENTS_MAX)))


def moments(window: Window) -> list[datetime]:
    """The begins of all steps that the window touches."""
    step = step_minutes(window) * 60
    first = int(window.since.timestamp()) // step
    end = -int(-window.until.timestamp() // step)
    return [datetime.fromtimestamp(number * step, UTC) for number in range(first, end)]


def in_flight(asked: Asked, app: str, thresholds: tuple[Threshold, ...] = ()) -> Chart:
    """The most requests at once in each step."""
    seconds = min(step_minutes(asked.window) * 60, 86_400)
    rows = _of(asked, app, asked.call("concurrency_over_time", step_seconds=seconds))
    times = moments(asked.window)
    line = _line("requests in flight, at most", times, rows, "peak")
    top = max(rows, key=lambda row: row["peak"], default=None)
    keys = (Key("peak", top["peak"], top["peak_at"]),) if top and top["peak"] else ()
    return Chart("Requests in flight", "requests", times, (line,), keys, thresholds, markers(asked, app))


def requests(asked: Asked, app: str) -> Chart:
    """Requests and failures in each step."""
    rows = _traffic(asked, app)
    times = moments(asked.window)
    lines = (_line("requests", times, rows, "requests"), _line("failed", times, rows, "errors"))
    keys = tuple(
        Key(label, top[column], top["begins_at"])
        for label, column in (("most requests", "requests"), ("most failures", "errors"))
        if (top := max(rows, key=lambda row: row[column], default=None)) and top[column]
    )
    return Chart("Requests", "requests", times, lines, keys, (), markers(asked, app))


def sent(asked: Asked, app: str) -> Chart:
    """Bytes sent in each step."""
    rows = _traffic(asked, app)
    times = moments(asked.window)
    top = max(rows, key=lambda row: row["bytes_sent"], default=None)
    keys = (Key("most", top["bytes_sent"], top["begins_at"]),) if top and top["bytes_sent"] else ()
    line = _line("bytes sent", times, rows, "bytes_sent")
    return Chart("Bytes sent", "bytes", times, (line,), keys, (), markers(asked, app))


def memory(asked: Asked, app: str) -> Chart:
    """The highest memory of each dyno in each step, of those that used most, and the quota if it is one."""
    minutes = min(step_minutes(asked.window), 86_400)
    sql = _MEMORY.format(question=asked.call("dyno_memory", step_minutes=minutes), app=sql_text(app), most=LINES_MAX)
    rows = asked.records(sql)
    drawn = sorted({row["dyno"] for row in rows})
    times = moments(asked.window)
    lines = tuple(_line(dyno, times, [row for row in rows if row["dyno"] == dyno], "peak_mb") for dyno in drawn)
    quotas = {row["quota_mb"] for row in rows if row["quota_mb"]}
    thresholds = (Threshold("quota", quotas.pop()),) if len(quotas) == 1 else ()
    top = max(rows, key=lambda row: row["peak_mb"], default=None)
    keys = (Key(top["dyno"], top["peak_mb"], top["peak_at"]),) if top else ()
    return Chart("Memory of the dynos", "MB", times, lines, keys, thresholds, markers(asked, app))


def latency(asked: Asked, app: str) -> Chart:
    """The time that half and 95 % of the requests took at most in each step."""
    sql = _LATENCY.format(rows=between("router", asked.window), step=_step("timestamp", asked.window))
    rows = _of(asked, app, f"({sql})")
    times = moments(asked.window)
    lines = (_line("p50", times, rows, "p50_ms"), _line("p95", times, rows, "p95_ms"))
    top = max(rows, key=lambda row: row["p95_ms"], default=None)
    keys = (Key("highest p95", top["p95_ms"], top["begins_at"]),) if top else ()
    return Chart("Service time", "ms", times, lines, keys, (), markers(asked, app))


def connections(asked: Asked, app: str, thresholds: tuple[Threshold, ...] = ()) -> Chart:
    """Open connections of each Postgres database in each step."""
    sql = _CONNECTIONS.format(rows=between("samples", asked.window), step=_step("timestamp", asked.window))
    rows = _of(asked, app, f"({sql})")
    times = moments(asked.window)
    sources = sorted({row["source"] or "" for row in rows})[:LINES_MAX]
    lines = tuple(
        _line(name, times, [row for row in rows if (row["source"] or "") == name], "connections") for name in sources
    )
    top = max(rows, key=lambda row: row["connections"], default=None)
    keys = (Key("peak", top["connections"], top["peak_at"]),) if top else ()
    return Chart("Database connections", "connections", times, lines, keys, thresholds, markers(asked, app))


def log_lines(asked: Asked, app: str) -> Chart:
    """Lines received and lost, hour by hour."""
    rows = _of(asked, app, asked.call("coverage"))
    times = [row["hour"] for row in rows][-MOMENTS_MAX:]
    lines = tuple(
        Line(label, [row[column] for row in rows][-MOMENTS_MAX:])
        for label, column in (("received", "received"), ("lost", "dropped"))
    )
    return Chart("Log lines an hour", "lines", times, lines, (), (), markers(asked, app))


def markers(asked: Asked, app: str) -> tuple[Marker, ...]:
    """The latest deploys and other changes of the app, in order of time; none where they cannot be read, since a chart
    without them is better than none. The section on deploys tells of that."""
    try:
        rows = _of(asked, app, asked.call("releases"))[:MARKERS_MAX]
    except duckdb.InterruptException:
        raise
    except duckdb.Error:
        return ()
    return tuple(Marker(change_name(row), row["changed_at"]) for row in reversed(rows))


def change_name(row: Record) -> str:
    """'deploy v118' of a row of `releases` or `deploy_impact`."""
    return f"{row['change']} v{row['version']}" if row["version"] is not None else str(row["change"])


def _traffic(asked: Asked, app: str) -> list[Record]:
    seconds = min(step_minutes(asked.window) * 60, 86_400)
    rows = _of(asked, app, asked.call("throughput", step_seconds=seconds))
    return [row for row in rows if row["source"] == "heroku"]


def _of(asked: Asked, app: str, source: str) -> tuple[Record, ...]:
    """The rows of one app."""
    return asked.records(f"FROM {source} WHERE app = {sql_text(app)}")


def _line(label: str, times: Sequence[datetime], rows: Iterable[Record], column: str) -> Line:
    """The values of a column at the moments; several rows of one moment give their highest."""
    values: dict[datetime, float] = {}
    step = times[1] - times[0] if len(times) > 1 else timedelta(days=1)
    for row in rows:
        if times and row[column] is not None:
            moment = times[0] + (row["begins_at"] - times[0]) // step * step
            values[moment] = max(values.get(moment, row[column]), row[column])
    return Line(label, [values.get(moment) for moment in times])


def _step(column: str, window: Window) -> str:
    """The begin of the step, as SQL."""
    width = step_minutes(window) * 60_000_000
    return f"make_timestamptz(epoch_us({column}) // {width} * {width})"


_LATENCY: Final = """SELECT app, {step} AS begins_at,
  quantile_disc(service_ms, 0.5) AS p50_ms, quantile_disc(service_ms, 0.95) AS p95_ms
FROM {rows}
WHERE source = 'heroku' AND service_ms IS NOT NULL AND dyno IS NOT NULL AND status IS DISTINCT FROM 101
GROUP BY ALL ORDER BY ALL"""

_CONNECTIONS: Final = """SELECT app, source, {step} AS begins_at,
  max(value) AS connections, arg_max(timestamp, value) AS peak_at
FROM {rows}
WHERE kind = 'postgres' AND metric = 'active_connections'
GROUP BY ALL ORDER BY ALL"""

# Of the dynos that used most.
_MEMORY: Final = """FROM {question} WHERE app = {app} AND peak_mb IS NOT NULL AND dyno IN (
  SELECT dyno FROM {question} WHERE app = {app} GROUP BY dyno ORDER BY max(peak_mb) DESC NULLS LAST, dyno LIMIT {most}
)"""
