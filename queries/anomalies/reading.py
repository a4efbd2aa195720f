"""From the table ``minutes`` to the series that the detector looks at. Only whole steps are read.

Of a step of which not all minutes are covered counts, bytes and the peak are NaN, since a part of a step is less than
a step, and a count that was scaled up is no count any more: its tail would be wrong. Shares and percentiles of the
requests that were seen stay what they are, also where lines were lost: an outage that floods the log is seen by them.
So does what was measured. ``lines`` is 0 where the log went silent, because that is how silence is seen; it is NaN
where lines are known to be missing, or may still come.

Rows of routes are many: they come out of DuckDB as steps in Arrow, and no Python object is made of a row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ingest.schema import STEP_MINUTES, STEPS
from queries.added_up import are_added_up
from queries.anomalies.model import Scale, Series, SeriesSet

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    import pyarrow as pa
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

KEYS_MAX: Final = 40  # of routes, dynos or codes of an app: the busiest
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STEP: Final = timedelta(minutes=STEP_MINUTES)


@dataclass(frozen=True)
class _Steps:
    """Whole steps: the number of the first one from 1970 on, how many, and whether they are added up in the lake."""

    first: int
    count: int
    app_name: str | None
    are_added_up: bool = True

    def window(self) -> list[Any]:
        """Since, until and app for the macros."""
        since, until = (_EPOCH + step * _STEP for step in (self.first, self.first + self.count))
        return [since, until, self.app_name]

    def of(self, per: str) -> tuple[str, list[Any]]:
        """A source of what each key has in each step, for $1 to $4, and these: what is added up, else the minutes."""
        return (_SUMS, [STEPS[per], *self.window()]) if self.are_added_up else (_MINUTES, [per, *self.window()])

    def empty(self, rows: int) -> Values:
        """NaN for each step of some series."""
        return np.full((rows, self.count), np.nan)


def read(
    connection: duckdb.DuckDBPyConnection,
    since: datetime,
    until: datetime,
    app_name: str | None = None,
) -> SeriesSet:
    """All series of the whole steps in [since, until), of one app or of all; the times have a zone.

    Steps are of STEP_MINUTES, counted from midnight. Raises duckdb.Error.
    """
    first, end = -((_EPOCH - since) // _STEP), (until - _EPOCH) // _STEP
    steps = _Steps(first, max(end - first, 0), app_name)
    begins_at = _EPOCH + first * _STEP
    if not steps.count:
        return SeriesSet(begins_at, STEP_MINUTES, ())
    # A cursor of its own: the caller's may have rows that are not fetched yet.
    with connection.cursor() as own:
        steps = replace(steps, are_added_up=are_added_up(own, *steps.window()))
        apps = _Apps(own, steps)
        series = [*apps.series(), *_routes(own, steps, apps), *_codes(own, steps, apps), *_dynos(own, steps)]
    return SeriesSet(begins_at, STEP_MINUTES, tuple(series))


class _Apps:
    """The apps and what is known of each step of theirs."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, steps: _Steps) -> None:
        self.names = [name for (name,) in connection.execute(_NAMES, steps.window()).fetchall()]
        self._steps = steps
        self._table = _fetch(connection, _APPS, [STEP_MINUTES, steps.first, *steps.window(), self.names])
        covered, minutes = self._grid("covered"), self._grid("minutes")
        self.is_whole = covered == STEP_MINUTES
        self.is_seen = covered + self._grid("unsure") > 0
        self.steps_with_rows = (minutes > 0).sum(axis=1)
        # An uncovered minute with lines has lost some, or is still filling.
        self._lines_are_whole = (minutes == STEP_MINUTES) & (self._grid("unsure") == 0)

    def series(self) -> Iterator[Series]:
        """The series of the apps themselves."""
        requests, failed = self._grid("requests"), self._grid("failed")
        grids = [
            ("requests", Scale.COUNT, _where(self.is_whole, requests), None),
            ("failed", Scale.SHARE, _where(self.is_seen, failed), _where(self.is_seen, requests)),
            ("p95_ms", Scale.LEVEL, _where(self.is_seen, self._grid("p95_ms")), None),
            ("bytes", Scale.LEVEL, _where(self.is_whole, self._grid("bytes")), None),
            ("peak_in_flight", Scale.LEVEL, _where(self.is_whole, self._grid("peak_in_flight")), None),
            ("connections", Scale.LEVEL, self._grid("connections"), None),
            ("lines", Scale.COUNT, _where(self._lines_are_whole, self._grid("lines")), None),
            ("lines_lost", Scale.COUNT, self._grid("lines_lost"), None),
        ]
        for row, app in enumerate(self.names):
            for measure, scale, values, of in grids:
                if measure != "connections" or not np.isnan(values[row]).all():
                    yield Series(app, "app", None, measure, scale, values[row], None if of is None else of[row])

    def _grid(self, column: str) -> Values:
        return _grid(self._steps, self._table, column, len(self.names))


_NAMES: Final = "SELECT DISTINCT app FROM minutes_of('app', $1, $2, $3) ORDER BY app"
_APPS: Final = """
SELECT
  id,
  (steps_since_1970(epoch_us(timestamp), 60000000::BIGINT * $1) - $2)::INTEGER AS step,
  count(*) AS minutes,
  count(*) FILTER (WHERE is_covered) AS covered,
  count(*) FILTER (WHERE NOT is_covered AND lines > 0) AS unsure,
  sum(requests)::DOUBLE AS requests,
  sum(failed)::DOUBLE AS failed,
  sum(bytes)::DOUBLE AS bytes,
  max(step_p95_ms) AS p95_ms,
  max(peak_in_flight) AS peak_in_flight,
  max(connections) AS connections,
  sum(lines)::DOUBLE AS lines,
  sum(lines_lost)::DOUBLE AS lines_lost
FROM minutes_of('app', $3, $4, $5)
JOIN (SELECT unnest($6::VARCHAR[]) AS app, unnest(range(len($6))) AS id) USING (app)
GROUP BY ALL
"""
_SUMS: Final = "minutes_of($1, $2, $3, $4)"
_MINUTES: Final = f"""(
  SELECT
    app,
    key,
    time_bucket(INTERVAL {STEP_MINUTES} MINUTE, timestamp) AS timestamp,
    sum(requests) AS requests,
    sum(failed) AS failed,
    max(step_p95_ms) AS step_p95_ms,
    max(memory_mb) AS memory_mb,
    max(memory_percent) AS memory_percent
  FROM {_SUMS}
  GROUP BY ALL
)"""  # noqa: S608 - a constant
_BUSIEST: Final = """
SELECT app, key, weight
FROM (SELECT app, key, {weight} AS weight FROM {source} WHERE key IS NOT NULL GROUP BY ALL)
QUALIFY row_number() OVER (PARTITION BY app ORDER BY weight DESC, key) <= $5
ORDER BY weight DESC, app, key
"""
# Only what is read of a kind: also a column without any value takes its time.
_MEASURES: Final = {
    "route": "requests::DOUBLE AS requests, failed::DOUBLE AS failed, step_p95_ms AS p95_ms",
    "code": "requests::DOUBLE AS requests",
    "dyno": "memory_mb, memory_percent",
}
_KEYED: Final = """
SELECT
  id,
  (steps_since_1970(epoch_us(timestamp), 60000000::BIGINT * $5) - $6)::INTEGER AS step,
  {measures}
FROM {source}
JOIN (SELECT unnest($7::VARCHAR[]) AS app, unnest($8::VARCHAR[]) AS key, unnest(range(len($7))) AS id) USING (app, key)
"""


def _routes(connection: duckdb.DuckDBPyConnection, steps: _Steps, apps: _Apps) -> Iterator[Series]:
    """Requests, failures and latency of the busiest routes: those with a request a step or more on average."""
    found = _busiest(connection, steps, "route", "sum(requests)::DOUBLE")
    of_app = dict(zip(apps.names, apps.steps_with_rows.tolist(), strict=True))
    keys = [(app, key) for app, key, requests in found if requests >= of_app.get(app, np.inf)]
    table = _keyed(connection, steps, "route", keys)
    app = np.array([apps.names.index(app) for app, _ in keys], np.int64)
    requests, failed = (_counts(_grid(steps, table, name, len(keys))) for name in ("requests", "failed"))
    p95 = _grid(steps, table, "p95_ms", len(keys))
    is_whole, is_seen = apps.is_whole[app], apps.is_seen[app]
    counts, of, shares = _where(is_whole, requests), _where(is_seen, requests), _where(is_seen, failed)
    for at, (name, key) in enumerate(keys):
        yield Series(name, "route", key, "requests", Scale.COUNT, counts[at])
        yield Series(name, "route", key, "failed", Scale.SHARE, shares[at], of[at])
        yield Series(name, "route", key, "p95_ms", Scale.LEVEL, np.where(is_seen[at], p95[at], np.nan))


def _codes(connection: duckdb.DuckDBPyConnection, steps: _Steps, apps: _Apps) -> Iterator[Series]:
    """How often each error code came; 0 where the log was there and it did not."""
    keys = [(app, key) for app, key, _ in _busiest(connection, steps, "code", "sum(requests)")]
    table = _keyed(connection, steps, "code", keys)
    counts = _counts(_grid(steps, table, "requests", len(keys)))
    for at, (name, key) in enumerate(keys):
        values = np.where(apps.is_whole[apps.names.index(name)], counts[at], np.nan)
        yield Series(name, "code", key, "requests", Scale.COUNT, values)


def _dynos(connection: duckdb.DuckDBPyConnection, steps: _Steps) -> Iterator[Series]:
    """Memory of the dynos, in percent of the quota where that is known."""
    found = _busiest(connection, steps, "dyno", "count(memory_mb)")
    keys = [(app, key) for app, key, measured in found if measured]
    table = _keyed(connection, steps, "dyno", keys)
    percent, mb = (_grid(steps, table, name, len(keys)) for name in ("memory_percent", "memory_mb"))
    for at, (name, key) in enumerate(keys):
        is_known = not np.isnan(percent[at]).all()
        measure, values = ("memory_percent", percent[at]) if is_known else ("memory_mb", mb[at])
        yield Series(name, "dyno", key, measure, Scale.LEVEL, values)


def _busiest(connection: duckdb.DuckDBPyConnection, steps: _Steps, per: str, weight: str) -> list[tuple[Any, ...]]:
    source, asked = steps.of(per)
    return connection.execute(_BUSIEST.format(weight=weight, source=source), [*asked, KEYS_MAX]).fetchall()


def _keyed(connection: duckdb.DuckDBPyConnection, steps: _Steps, per: str, keys: list[tuple[str, str]]) -> pa.Table:
    names = [[app for app, _ in keys], [key for _, key in keys]]
    source, asked = steps.of(per)
    sql = _KEYED.format(measures=_MEASURES[per], source=source)
    return _fetch(connection, sql, [*asked, STEP_MINUTES, steps.first, *names])


def _fetch(connection: duckdb.DuckDBPyConnection, sql: str, parameters: list[Any]) -> pa.Table:
    return connection.sql(sql, params=parameters).to_arrow_table()


def _grid(steps: _Steps, table: pa.Table, column: str, rows: int) -> Values:
    """A column as one row of steps for each id; NaN where there is nothing."""
    grid = steps.empty(rows)
    grid[table["id"].to_numpy(), table["step"].to_numpy()] = table[column].to_numpy().astype(np.float64)
    return grid


def _where(is_known: NDArray[np.bool_], values: Values) -> Values:
    return np.where(is_known, values, np.nan)


def _counts(values: Values) -> Values:
    """What did not appear was counted as 0."""
    return np.nan_to_num(values)
