"""What a report draws: one function for each chart. Only this module knows where the values come from.

That is the table `minutes`, which costs a thousandth of the lines themselves. It keeps one figure of all databases of
an app, so the connections of each are read from the samples.

Steps are chosen so that a window has 300 moments at most: a day has 288 of five minutes. A step without a value is
None, which is drawn as a gap.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, Final, ParamSpec

import duckdb

from queries.report.model import Chart, Key, Line, Marker, Threshold
from queries.report.quoting import between, sql_text, sql_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from queries.report.asked import Asked, Record
    from queries.report.model import Window

P = ParamSpec("P")
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
    first = int(window.since.timestamp() // step)
    end = -int(-window.until.timestamp() // step)
    return [datetime.fromtimestamp(number * step, UTC) for number in range(first, end)]


def _once(draw: Callable[Concatenate[Asked, str, P], Chart]) -> Callable[Concatenate[Asked, str, P], Chart]:
    """Draw a chart of an app once, however many findings show it: a dyno's memory is that of all dynos of its app."""

    @wraps(draw)
    def drawn(asked: Asked, app: str, /, *args: P.args, **more: P.kwargs) -> Chart:
        wanted = (draw.__name__, app, args, *more.items())
        if wanted not in asked.charts:
            asked.charts[wanted] = draw(asked, app, *args, **more)
        return asked.charts[wanted]

    return drawn


@_once
def in_flight(asked: Asked, app: str, thresholds: tuple[Threshold, ...] = ()) -> Chart:
    """The most requests at once in each step, and the instant of the highest peak."""
    line = _line("requests in flight, at most", times := moments(asked.window), _steps(asked, app), "peak_in_flight")
    peaks = _of(asked, app, asked.call("peak_concurrency"))
    keys = (Key("peak", peaks[0]["peak"], peaks[0]["peak_at"]),) if peaks and peaks[0]["peak"] else ()
    return Chart("Requests in flight", "requests", times, (line,), keys, thresholds, markers(asked, app))


@_once
def requests(asked: Asked, app: str) -> Chart:
    """Requests and failures in each step."""
    rows = _steps(asked, app)
    times = moments(asked.window)
    lines = (_line("requests", times, rows, "requests"), _line("failed", times, rows, "failed"))
    keys = (*_highest("most requests", rows, "requests"), *_highest("most failures", rows, "failed"))
    return Chart("Requests", "requests", times, lines, keys, (), markers(asked, app))


@_once
def sent(asked: Asked, app: str) -> Chart:
    """Bytes sent in each step."""
    rows = _steps(asked, app)
    line = _line("bytes sent", times := moments(asked.window), rows, "bytes")
    return Chart("Bytes sent", "bytes", times, (line,), _highest("most", rows, "bytes"), (), markers(asked, app))


@_once
def memory(asked: Asked, app: str) -> Chart:
    """The highest memory of each dyno in each step, of those that used most, and the quota if it is one."""
    source = asked.shared(_MEMORY.format(minutes=_minutes(asked, "dyno"), step=_step("timestamp", asked.window)))
    rows = asked.records(_MOST.format(source=source, app=sql_text(app), most=LINES_MAX))
    drawn = sorted({row["dyno"] for row in rows})
    times = moments(asked.window)
    lines = tuple(_line(dyno, times, [row for row in rows if row["dyno"] == dyno], "peak_mb") for dyno in drawn)
    quotas = {row["quota_mb"] for row in rows if row["quota_mb"]}
    thresholds = (Threshold("quota", quotas.pop()),) if len(quotas) == 1 else ()
    top = max(rows, key=lambda row: row["peak_mb"], default=None)
    keys = (Key(top["dyno"], top["peak_mb"], top["peak_at"]),) if top else ()
    return Chart("Memory of the dynos", "MB", times, lines, keys, thresholds, markers(asked, app))


@_once
def latency(asked: Asked, app: str) -> Chart:
    """The time that half and 95 % of the requests took at most in each step."""
    rows = [row for row in _steps(asked, app) if row["p95_ms"] is not None]
    times = moments(asked.window)
    lines = (_line("p50", times, rows, "p50_ms"), _line("p95", times, rows, "p95_ms"))
    return Chart("Service time", "ms", times, lines, _highest("highest p95", rows, "p95_ms"), (), markers(asked, app))


@_once
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


@_once
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


def _steps(asked: Asked, app: str) -> list[Record]:
    """The steps of the app's one-minute series. A step that no log covers is a gap, no quiet time."""
    source = asked.call("series", step_minutes=min(step_minutes(asked.window), 86_400))
    return [row for row in _of(asked, app, source) if row["covered_share"] or row["requests"]]


def _minutes(asked: Asked, per: str) -> str:
    window = asked.window
    return f"minutes_of('{per}', {sql_time(window.since)}, {sql_time(window.until)}, {sql_text(window.app_name)})"


def _highest(label: str, rows: Sequence[Record], column: str) -> tuple[Key, ...]:
    """The highest value of a column, if there is one above 0."""
    top = max(rows, key=lambda row: row[column] or 0, default=None)
    return (Key(label, top[column], top["begins_at"]),) if top and top[column] else ()


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
    return f"make_timestamptz(steps_since_1970(epoch_us({column}), {width}) * {width})"


_CONNECTIONS: Final = """SELECT app, source, {step} AS begins_at,
  max(value) AS connections, arg_max(timestamp, value) AS peak_at
FROM {rows}
WHERE kind = 'postgres' AND metric = 'active_connections'
GROUP BY ALL ORDER BY ALL"""

# Not through `series`, which would add up the histograms of all dynos, too. A dyno can have another quota after it was
# resized: the one of the highest share counts.
_MEMORY: Final = """SELECT app, key AS dyno, {step} AS begins_at,
  max(memory_mb) AS peak_mb, arg_max(timestamp, memory_mb) AS peak_at,
  round(100 * arg_max(memory_mb / nullif(memory_percent, 0), memory_percent)) AS quota_mb
FROM {minutes}
WHERE key IS NOT NULL AND memory_mb IS NOT NULL
GROUP BY ALL"""

# Of the dynos that used most.
_MOST: Final = """FROM {source} WHERE app = {app} AND dyno IN (
  SELECT dyno FROM {source} WHERE app = {app} GROUP BY dyno ORDER BY max(peak_mb) DESC, dyno LIMIT {most}
) ORDER BY ALL"""
