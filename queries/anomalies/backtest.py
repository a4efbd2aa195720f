"""What an alarm budget would have rung on the past, shown before it is armed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from queries.anomalies.checks import SHORT_DAYS, WIDE_DAYS
from queries.anomalies.detection import detect
from queries.anomalies.incidents import Incident, incidents

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queries.anomalies.incidents import Change
    from queries.anomalies.model import SeriesSet

_TIMES: Final = {1: "once", 2: "twice"}


@dataclass(frozen=True)
class BackTest:
    """Incidents that would have rung in the last ``days`` days, and that in a sentence."""

    incidents: tuple[Incident, ...]
    days: int
    sentence: str


def backtest(series_set: SeriesSet, budget_per_week: float, days: int = 30, changes: Sequence[Change] = ()) -> BackTest:
    """Run the detector over the series as if each step had just come, and tell what rang in the last days."""
    per_day = 1440 // series_set.step_minutes
    length = max((len(series.values) for series in series_set.series), default=0)
    since = max(0, length - days * per_day)
    alarms = detect(series_set, budget_per_week, since) if length else []
    found = tuple(incidents(series_set, alarms, changes))
    known = max((_known_days(series.values, per_day) for series in series_set.series), default=0)
    return BackTest(found, min(days, length // per_day), _sentence(len(found), known, days))


def _known_days(values: np.ndarray, per_day: int) -> int:
    places = np.flatnonzero(~np.isnan(values))
    return int((len(values) - places[0]) // per_day) if len(places) else 0


def _sentence(rang: int, known: int, days: int) -> str:
    would = f"would have rung {_TIMES.get(rang, f'{rang} times')}" if rang else "would not have rung"
    if known >= days + WIDE_DAYS:
        return f"In the last {days} days this {would}."
    if known < SHORT_DAYS:
        had = f"are {known} days" if known > 1 else "is one day" if known else "is less than a day"
        return (
            f"There {had} of history: only what needs none was checked (silence, failures, memory), and it"
            f" {would}. The rest is checked after {SHORT_DAYS} to {WIDE_DAYS} days."
        )
    return (
        f"In the last {min(known, days)} days this {would}; the first {WIDE_DAYS} days of the"
        f" {known} in the lake were for learning and not checked in full."
    )
