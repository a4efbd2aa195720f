"""The detector over a lake: what rang lately, for the report, for the alarm checks, and for the back-test."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from queries.anomalies.backtest import backtest
from queries.anomalies.checks import EVERY_DAYS
from queries.anomalies.findings import findings as told
from queries.anomalies.findings import severity
from queries.anomalies.incidents import Change
from queries.anomalies.reading import read
from queries.anomalies.wording import sentence as sentence_of
from queries.report.model import Answer, Section, Window
from queries.report.quoting import call

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

    from queries.anomalies.backtest import BackTest
    from queries.anomalies.incidents import Incident
    from queries.anomalies.model import SeriesSet
    from queries.report.model import Finding

BACKTEST_DAYS: Final = 30
LEARNING_DAYS: Final = 35
# Restarts of single dynos are told by the incident's own dyno series; each of them as a mark would hide the deploys.
_CHANGES: Final = """
SELECT app, changed_at, CASE WHEN version IS NULL THEN change ELSE change || ' v' || version END AS label
FROM releases(since := ?, until := ?, app_name := ?) ORDER BY changed_at DESC LIMIT 1000
"""
_FIRST: Final = "SELECT min(date) FROM minutes_between(?, ?, ?)"
_COLUMNS: Final = ("app", "began_at", "ended_at", "rang_at", "severity", "what")


@dataclass(frozen=True)
class _Seen:
    """What the detector made of all that there is up to the end of a window."""

    series_set: SeriesSet
    tested: BackTest


@dataclass
class Watch:
    """Asks the detector once for each end of a window and app, whoever wants what it said."""

    budget_per_week: float
    _seen: dict[tuple[datetime, str | None], _Seen] = field(default_factory=dict)

    def findings(self, connection: duckdb.DuckDBPyConnection, window: Window) -> Iterator[Finding]:
        """The incidents that lie in the window, at least in part."""
        seen = self._look(connection, window)
        yield from told(seen.series_set, [each for each in seen.tested.incidents if _ends(seen, each) > window.since])

    def ringing(self, connection: duckdb.DuckDBPyConnection, window: Window) -> Iterator[Finding]:
        """The incidents that go on in the window, or became known in it: a short one is over before it is sure."""
        seen = self._look(connection, window)
        for incident in seen.tested.incidents:
            known_at = max(_ends(seen, incident), seen.series_set.at(incident.rings + 1))
            if known_at > window.since:
                yield from (replace(finding, until=known_at) for finding in told(seen.series_set, [incident]))

    def section(self, connection: duckdb.DuckDBPyConnection, window: Window) -> Section:
        """The back-test: when this alarm budget would have rung."""
        seen = self._look(connection, window)
        rows = tuple(
            (
                incident.lead.series.app,
                seen.series_set.at(incident.first),
                _ends(seen, incident),
                seen.series_set.at(incident.rings + 1),
                severity(incident.lead, incident.alarms).name.lower(),
                sentence_of(seen.series_set, incident),
            )
            for incident in seen.tested.incidents
        )
        tested = Window(window.until - timedelta(days=BACKTEST_DAYS), window.until, window.app_name)
        answer = Answer("series", _COLUMNS, rows, len(rows), f"FROM {call('series', tested)}")
        sentence = f"{seen.tested.sentence} The budget is {_alarms(self.budget_per_week)} a week over everything."
        return Section("alarms", "Alarms", sentence, (), (answer,) if rows else ())

    def _look(self, connection: duckdb.DuckDBPyConnection, window: Window) -> _Seen:
        key = (window.until, window.app_name)
        if key not in self._seen:
            since = _first_day(connection, window.until - timedelta(days=BACKTEST_DAYS + LEARNING_DAYS), *key)
            series_set = read(connection, since, window.until, window.app_name)
            rows = connection.execute(_CHANGES, [since, window.until, window.app_name]).fetchall()
            changes = [Change(app, at, label) for app, at, label in rows]
            tested = backtest(series_set, self.budget_per_week, BACKTEST_DAYS, changes)
            self._seen[key] = _Seen(series_set, tested)
        return self._seen[key]


def _first_day(
    connection: duckdb.DuckDBPyConnection, since: datetime, until: datetime, app_name: str | None
) -> datetime:
    """When the first day with minutes begins, or ``since``: a day of which nothing is known costs as much as any.

    Thresholds are set anew every other day, counted from the first: so whole pairs of days are left out, and what
    rings is the same as with all of them.
    """
    [(first,)] = connection.execute(_FIRST, [since, until, app_name]).fetchall()
    if first is None:
        return since
    empty = (first - since.astimezone(UTC).date()).days
    begin = datetime.combine(since.astimezone(UTC), datetime.min.time(), UTC)
    return max(since, begin + timedelta(days=empty - empty % EVERY_DAYS))


def _alarms(count: float) -> str:
    return f"{count:g} false alarm{'' if count == 1 else 's'}"


def _ends(seen: _Seen, incident: Incident) -> datetime:
    return seen.series_set.at(incident.last + 1)
