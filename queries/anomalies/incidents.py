"""Incidents: alarms of one app that have one cause, led by the one that explains the others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from queries.anomalies.model import Shape

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from queries.anomalies.model import Alarm, SeriesSet

TOLERANCE_MINUTES: Final = 30
JOINED_HOURS: Final = 6  # a change of level lasts for days: what begins later has its own cause
CHANGES_BEFORE_MINUTES: Final = 60
CARRIES: Final = 0.7  # of the app's excess: then the route is the cause
ROUTES_PER: Final = frozenset({"route", "dyno", "code"})


@dataclass(frozen=True)
class Change:
    """A deploy, restart or change of scale of an app; ``label`` is for people: 'deploy v42'."""

    app: str
    at: datetime
    label: str


@dataclass(frozen=True)
class Incident:
    """Alarms that belong together, the leading one among them; steps ``first`` to ``last``, known from ``rings`` on."""

    lead: Alarm
    alarms: tuple[Alarm, ...]
    first: int
    last: int
    rings: int
    changes: tuple[Change, ...]


def incidents(series_set: SeriesSet, alarms: Sequence[Alarm], changes: Sequence[Change]) -> list[Incident]:
    """One per cause, in order of ringing, with the changes of the app from an hour before it to its end."""
    found = [_incident(series_set, group, changes) for group in _grouped(series_set, alarms)]
    return sorted(found, key=lambda incident: (incident.rings, incident.lead.series.app))


def _grouped(series_set: SeriesSet, alarms: Sequence[Alarm]) -> list[list[Alarm]]:
    tolerance = TOLERANCE_MINUTES // series_set.step_minutes
    groups: list[list[Alarm]] = []
    for alarm in sorted(alarms, key=lambda one: (one.series.app, one.first, one.rings)):
        group = groups[-1] if groups else []
        open_until = max((_open_until(series_set, one) for one in group), default=-1)
        if group and group[0].series.app == alarm.series.app and alarm.first <= open_until + tolerance:
            group.append(alarm)
        else:
            groups.append([alarm])
    return groups


def _open_until(series_set: SeriesSet, alarm: Alarm) -> int:
    """The last step at which the alarm may be the cause of another; a climb is until it ends."""
    if alarm.shape is Shape.CLIMB:
        return alarm.last
    return min(alarm.last, max(alarm.first, alarm.rings) + JOINED_HOURS * 60 // series_set.step_minutes)


def _incident(series_set: SeriesSet, group: list[Alarm], changes: Sequence[Change]) -> Incident:
    lead = _lead(series_set, group)
    first, last = min(alarm.first for alarm in group), max(alarm.last for alarm in group)
    since = series_set.at(first) - timedelta(minutes=CHANGES_BEFORE_MINUTES)
    until = series_set.at(last + 1)
    near = sorted((one for one in changes if one.app == lead.series.app and since <= one.at < until), key=_at)
    others = sorted((alarm for alarm in group if alarm is not lead), key=lambda one: (one.rings, -one.surprise))
    return Incident(lead, (lead, *others), first, last, min(alarm.rings for alarm in group), tuple(near))


def _at(change: Change) -> datetime:
    return change.at


def _lead(series_set: SeriesSet, group: list[Alarm]) -> Alarm:
    """The likeliest cause among those that began with the first: a cause does not come after what it does."""
    begun = min(alarm.first for alarm in group) + TOLERANCE_MINUTES // series_set.step_minutes
    early = [alarm for alarm in group if alarm.first <= begun]
    return min(early, key=lambda alarm: (cause_rank(alarm, group), alarm.rings, -alarm.surprise))


def cause_rank(alarm: Alarm, group: Sequence[Alarm]) -> float:
    """How far down the chain of cause and effect a measure stands; the lowest leads."""
    series = alarm.series
    if alarm.shape is Shape.SILENCE:
        return 0.0
    if series.measure in {"memory_mb", "memory_percent", "connections"}:
        return 1.0
    if alarm.shape is Shape.ZERO and series.per == "app":
        return 1.5
    is_up = alarm.shape in {Shape.SPIKE, Shape.SHIFT_UP, Shape.CLIMB}
    of_part = 0.0 if series.per in ROUTES_PER and _carries(alarm, group) else 0.4
    if series.measure == "requests" and series.per != "code" and is_up:
        return 1.8 + of_part  # a crowd comes before what it slows down
    if series.measure.endswith("_ms"):
        return 2.6 + (of_part if series.per != "app" else 0.3)
    if series.measure in {"failed", "requests"} and (series.per == "code" or series.measure == "failed"):
        return 4.0 + of_part
    return 5.0 if series.measure == "peak_in_flight" else 6.0 + of_part


def _carries(alarm: Alarm, group: Sequence[Alarm]) -> bool:
    """Whether a part of an app carries most of the excess that the app's own series shows."""
    whole = [one for one in group if one.series.per == "app" and one.series.measure == alarm.series.measure]
    if not whole:
        return True
    if alarm.series.measure.endswith("_ms"):
        return alarm.value - alarm.expected >= whole[0].value - whole[0].expected
    own, all_of_it = (_excess(one, alarm) for one in (alarm, whole[0]))
    return own >= CARRIES * all_of_it


def _excess(alarm: Alarm, during: Alarm) -> float:
    """Events above the expected, per step, while the part deviated."""
    values = alarm.series.values[during.first : during.last + 1]
    if alarm.series.of is not None:
        of = alarm.series.of[during.first : during.last + 1]
        return float(np.nansum(values) - alarm.expected * np.nansum(of)) / len(values)
    return float(np.nansum(values) / len(values) - alarm.expected)
