"""An incident in plain sentences, with values as a person would say them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from queries.anomalies.model import Scale, Shape
from queries.report.words import listed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from queries.anomalies.incidents import Change, Incident
    from queries.anomalies.model import Alarm, Series, SeriesSet

NAMED_MAX: Final = 4
_NAMES: Final = {
    "requests": "requests",
    "failed": "failures",
    "bytes": "bytes sent",
    "lines": "log lines",
    "lines_lost": "lost log lines",
    "peak_in_flight": "requests in flight",
    "memory_mb": "memory",
    "memory_percent": "memory",
    "connections": "database connections",
}
_QUANTILES: Final = {"p50_ms": "median", "p95_ms": "p95", "p99_ms": "p99"}


def sentence(series_set: SeriesSet, incident: Incident) -> str:
    """What happened, from when to when, what else deviated, and which change came before or within it."""
    parts = [f"{claim(series_set, incident.lead)} {_when(series_set, incident)}"]
    if also := _also(incident):
        parts.append(also)
    if incident.changes:
        parts.append(_change(series_set, incident, _nearest(series_set, incident)))
    text = "; ".join(parts)
    return text[0].upper() + text[1:] + "."


def claim(series_set: SeriesSet, alarm: Alarm) -> str:
    """What one series did, without the time."""
    series, step = alarm.series, f"in {series_set.step_minutes} minutes"
    subject = _subject(series)
    if alarm.shape is Shape.SILENCE:
        return f"the log of {series.app} fell silent"
    if alarm.shape is Shape.FLAT:
        return f"{subject} stopped varying at {amount(series, alarm.value)}"
    now, usual = amount(series, alarm.value), amount(series, alarm.expected)
    if alarm.shape is Shape.ZERO:
        return f"{_counted(series)} stopped: none instead of {usual} {step}"
    if series.scale is Scale.SHARE:
        return f"{now} of requests{_of(series)} failed instead of {usual}"
    if series.measure in _QUANTILES:
        verb = "climbed to" if alarm.shape is Shape.CLIMB else "took"
        name = _QUANTILES[series.measure]
        if alarm.shape is Shape.CLIMB:
            return f"the time requests{_of(series)} take ({name}) {verb} {now} from {usual}"
        return f"requests{_of(series)} {verb} {now} ({name}) instead of {usual}"
    if alarm.shape is Shape.CLIMB:
        return f"{subject} climbed to {now} from {usual}"
    verb = "fell to" if alarm.value < alarm.expected else "rose to"
    rate = f" {step}" if series.scale is Scale.COUNT or series.measure == "bytes" else ""
    return f"{_counted(series) if series.scale is Scale.COUNT else subject} {verb} {now}{rate} instead of {usual}"


def amount(series: Series, value: float) -> str:
    """A value in the unit of its series, to two or three digits."""
    if series.scale is Scale.SHARE or series.measure == "memory_percent":
        percent = value * 100 if series.scale is Scale.SHARE else value
        return f"{percent:.0f} %" if percent >= 10 else f"{rounded(percent)} %"
    if series.measure.endswith("_ms"):
        return f"{rounded(value / 1000)} s" if value >= 1000 else f"{rounded(value)} ms"
    if series.measure == "memory_mb":
        return f"{rounded(value)} MB"
    if series.measure == "bytes":
        for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
            if value >= size:
                return f"{rounded(value / size)} {unit}"
        return f"{rounded(value)} bytes"
    return rounded(value)


def rounded(value: float) -> str:
    """Two digits, three from 100 on where the third says something: 0.12, 4.1, 38, 380, 12,000."""
    if abs(value) >= 99.5:
        digits = 2 if abs(value) < 1000 else 3
        return f"{round(value, digits - len(str(round(abs(value))))):,.0f}"
    text = f"{value:.2g}"
    return text if "e" not in text else f"{value:.4f}".rstrip("0").rstrip(".")


def label(series: Series) -> str:
    """A series' name, for a chart."""
    if series.measure in _QUANTILES:
        return f"response time{_of(series)}, {_QUANTILES[series.measure]}"
    return _counted(series) if series.scale is Scale.COUNT else _subject(series)


def moment(at: datetime, beside: datetime | None = None) -> str:
    """A time of day; with its date where that is another than the one beside it."""
    if beside is not None and at.date() == beside.date():
        return f"{at:%H:%M}"
    return f"{at:%Y-%m-%d %H:%M}"


def _when(series_set: SeriesSet, incident: Incident) -> str:
    lead = incident.lead
    since, until = series_set.at(lead.first), series_set.at(lead.last + 1)
    if lead.last >= len(lead.series.values) - 1:
        return f"from {moment(since)} UTC on"
    return f"from {moment(since)} to {moment(until, since)} UTC"


def _subject(series: Series) -> str:
    name = _NAMES.get(series.measure, series.measure)
    of = series.key if series.per != "app" else series.app
    return f"{name} of {of or 'requests without a path'}"


def _of(series: Series) -> str:
    """Whose requests."""
    if series.per == "app":
        return f" of {series.app}"
    if series.per == "dyno":
        return f" to {series.key}"
    return f" to {series.key or 'no path'}"


def _counted(series: Series) -> str:
    if series.per == "code":
        return f"requests that ended in {series.key}"
    if series.measure == "requests":
        return f"requests{_of(series)}" if series.per != "app" else f"requests to {series.app}"
    return _subject(series)


def _also(incident: Incident) -> str:
    """The other measures, each once, by what they did."""
    sides: dict[str, list[str]] = {}
    lead = incident.lead
    for alarm in incident.alarms:
        name = _short(alarm.series)
        if alarm is lead or name == _short(lead.series) or any(name in names for names in sides.values()):
            continue
        sides.setdefault(_verb(alarm.shape), []).append(name)
    phrases = [f"{_listed(names)} {verb}" for verb, names in sides.items()]
    return f"{listed(phrases)} with it" if phrases else ""


def _verb(shape: Shape) -> str:
    if shape in {Shape.SPIKE, Shape.SHIFT_UP, Shape.CLIMB}:
        return "rose"
    if shape is Shape.FLAT:
        return "stopped varying"
    return "stopped" if shape in {Shape.ZERO, Shape.SILENCE} else "fell"


def _short(series: Series) -> str:
    if series.per == "code":
        return f"{series.key} errors"
    if series.measure in _QUANTILES:
        return "response times"
    return _NAMES.get(series.measure, series.measure)


def _listed(names: Sequence[str]) -> str:
    return listed(names[:NAMED_MAX], len(names[NAMED_MAX:]))


def _nearest(series_set: SeriesSet, incident: Incident) -> Change:
    """The last change before the beginning, else the first within."""
    begun = series_set.at(incident.lead.first)
    before = [change for change in incident.changes if change.at <= begun]
    return before[-1] if before else incident.changes[0]


def _change(series_set: SeriesSet, incident: Incident, change: Change) -> str:
    minutes = round((series_set.at(incident.lead.first) - change.at) / timedelta(minutes=1))
    unit = "minute" if abs(minutes) == 1 else "minutes"
    if minutes > 0:
        return f"{change.label} came {minutes} {unit} before"
    if minutes == 0:
        return f"{change.label} came at that moment"
    return f"{change.label} came {-minutes} {unit} after it began"
