"""Incidents as findings of the report: sentence, evidence, chart, what to run next."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from queries.anomalies import wording
from queries.anomalies.analysis import course
from queries.anomalies.grid import grid
from queries.anomalies.model import Scale, Shape
from queries.report import quoting
from queries.report.model import Chart, Finding, Key, Line, Marker, Severity, Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from queries.anomalies.grid import Grid
    from queries.anomalies.incidents import Incident
    from queries.anomalies.model import Alarm, Series, SeriesSet

    Values = NDArray[np.float64]

CHART_MAX: Final = 1500
AROUND: Final = timedelta(hours=6)
FAILED_SHARE_CRITICAL: Final = 0.01
_UP: Final = frozenset({Shape.SPIKE, Shape.SHIFT_UP, Shape.CLIMB})
_COLUMNS: Final = {"failed": "requests, failed, round(failed / requests, 4) AS failed_share"}
_UNITS: Final = {
    "memory_mb": "MB",
    "memory_percent": "%",
    "lines_lost": "lines",
    "peak_in_flight": "requests",
    "failed": "%",
}
_NEXT: Final = {
    "requests": "routes",
    "bytes": "routes",
    "failed": "error_codes",
    "lines": "coverage",
    "lines_lost": "coverage",
    "peak_in_flight": "concurrency_over_time",
    "memory_mb": "memory_leaks",
    "memory_percent": "memory_leaks",
    "connections": "database_connections",
}


def findings(series_set: SeriesSet, found: Iterable[Incident]) -> Iterator[Finding]:
    """One finding for each incident, in their order."""
    courses: dict[int, tuple[Values, Values]] = {}  # the incidents of a month are often of few series
    for incident in found:
        lead = incident.lead
        series = lead.series
        if id(series) not in courses:
            courses[id(series)] = course(series, _grid(series_set, series))
        since, until = series_set.at(incident.first), series_set.at(incident.last + 1)
        yield Finding(
            kind=f"anomaly_{series.measure}_{_side(lead.shape)}",
            app=series.app,
            subject=series.key or "",
            severity=severity(lead, incident.alarms),
            sentence=wording.sentence(series_set, incident),
            since=since,
            until=until,
            sql=rows_sql(series_set, incident),
            command=command(series_set, incident),
            advice=_advice(lead),
            chart=chart(series_set, incident, *courses[id(series)]),
            also=tuple(_also(series_set, incident)),
        )


def _advice(lead: Alarm) -> str:
    """Where to look first; nothing where the figures themselves are all there is to say."""
    if lead.shape is Shape.SILENCE:
        return (
            "See whether the app runs (heroku ps), whether its drain is still attached (heroku drains), and whether"
            " drainlake takes lines in (drainlake status)."
        )
    if lead.shape is Shape.ZERO and lead.series.per == "app":
        return (
            "See whether the site answers at its public address: DNS, a proxy or a CDN before Heroku, maintenance mode."
        )
    return ""


def _side(shape: Shape) -> str:
    """What stays the same while a spike becomes a shift."""
    return "up" if shape in _UP else "flat" if shape is Shape.FLAT else "down"


def severity(lead: Alarm, alarms: Iterable[Alarm]) -> Severity:
    """By what visitors feel, of any alarm of the incident: errors and no answers, then slowness, then other traffic."""
    return max(_severity(alarm) for alarm in (lead, *alarms))


def _severity(alarm: Alarm) -> Severity:
    series = alarm.series
    if alarm.shape in {Shape.ZERO, Shape.SILENCE}:
        # One route without visitors is no outage.
        return Severity.CRITICAL if series.per == "app" else Severity.WARNING
    if series.scale is Scale.SHARE:
        return Severity.CRITICAL if alarm.value >= FAILED_SHARE_CRITICAL else Severity.WARNING
    if series.per == "code" or series.measure in {"memory_mb", "memory_percent", "connections", "lines_lost"}:
        return Severity.WARNING if alarm.shape in _UP else Severity.NOTICE
    if series.measure.endswith("_ms"):
        return Severity.WARNING
    halved = alarm.shape in {Shape.DIP, Shape.SHIFT_DOWN} and alarm.value < alarm.expected / 2
    return Severity.WARNING if halved and series.per == "app" else Severity.NOTICE


def rows_sql(series_set: SeriesSet, incident: Incident) -> str:
    """The rows of the leading series, as the detector saw them, from an hour before the incident to its end."""
    series = incident.lead.series
    since, until = series_set.at(incident.first) - timedelta(hours=1), series_set.at(incident.last + 1)
    columns = _COLUMNS.get(
        series.measure, f"requests, {series.measure}" if series.measure != "requests" else "requests"
    )
    of_key = "" if series.per == "app" else f"\nWHERE key IS NOT DISTINCT FROM {quoting.sql_text(series.key)}"
    window = Window(since, until, series.app)
    question = quoting.call("series", window, per=series.per, step_minutes=series_set.step_minutes)
    return f"SELECT app, key, begins_at, covered_share, {columns}\nFROM {question}{of_key}\nORDER BY begins_at"


def command(series_set: SeriesSet, incident: Incident) -> str:
    """A line for the shell that asks the question behind the measure, of the time of the incident."""
    series = incident.lead.series
    since, until = series_set.at(incident.first), series_set.at(incident.last + 1)
    question = _NEXT.get(series.measure, "latency" if series.measure.endswith("_ms") else "routes")
    if series.per == "code":
        question = "h12_autopsy" if series.key == "H12" else "error_codes"
    return quoting.command(question, Window(since, until), series.app)


def chart(series_set: SeriesSet, incident: Incident, actual: Values, expected: Values) -> Chart:
    """The leading series around the incident, what was expected of it, and the changes."""
    series = incident.lead.series
    margin = int(AROUND / timedelta(minutes=series_set.step_minutes))
    begin = max(0, incident.first - margin)
    end = min(len(series.values), incident.last + 1 + margin)
    stride = -(-(end - begin) // CHART_MAX)
    factor = 100.0 if series.scale is Scale.SHARE else 1.0
    lead = incident.lead
    actual, expected = (_thinned(values, begin, end, stride) for values in (actual, expected))
    return Chart(
        title=f"{wording.label(series)} ({series.app})",
        unit=unit(series),
        times=[series_set.at(step) for step in range(begin, end, stride)],
        lines=(Line("measured", _values(actual * factor)), Line("expected", _values(expected * factor))),
        keys=(Key(wording.amount(series, lead.value), lead.value * factor, series_set.at(lead.worst)),),
        markers=tuple(Marker(change.label, change.at) for change in incident.changes),
    )


def _grid(series_set: SeriesSet, series: Series) -> Grid:
    return grid(series_set.begins_at, series_set.step_minutes, len(series.values))


def unit(series: Series) -> str:
    """The unit on a chart's axis."""
    if series.measure.endswith("_ms"):
        return "ms"
    return _UNITS.get(series.measure, series.measure)


def _thinned(values: Values, begin: int, end: int, stride: int) -> Values:
    """Every so many steps as one, the worst of them: a spike must not fall between."""
    part = np.append(values[begin:end], np.full(-(end - begin) % stride, np.nan)).reshape(-1, stride)
    worst: Values = np.fmax.reduce(part, 1)
    return worst


def _values(values: Values) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), 3) for value in values]


def _also(series_set: SeriesSet, incident: Incident) -> Iterator[str]:
    for alarm in incident.alarms[1:]:
        text = wording.claim(series_set, alarm)
        yield f"{text[0].upper()}{text[1:]} from {wording.moment(series_set.at(alarm.first))} UTC."
    for change in incident.changes:
        yield f"{change.label[:1].upper()}{change.label[1:]} at {wording.moment(change.at)} UTC."
