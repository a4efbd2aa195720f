"""From series to alarms.

What is said of a step comes from steps up to that one: shapes, dispersions and thresholds from the days before, levels
from the hours before. An alarm, once rung, stays; only its end and its worst step move while it lasts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from queries.anomalies import budget
from queries.anomalies.analysis import analyses
from queries.anomalies.blocks import kind
from queries.anomalies.episodes import PAUSE_MINUTES, Episode, episodes
from queries.anomalies.grid import Grid, grid
from queries.anomalies.model import Alarm, Series, SeriesSet, Shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from queries.anomalies.analysis import Analysis
    from queries.anomalies.checks import Check

    Values = NDArray[np.float64]

BLOCK_STEPS: Final = 1 << 16  # more do not stay near the processor, with fewer the calls take most of the time
LASTS: Final = 0.4  # of the deviation at the ringing: below it is over
LASTS_MINUTES: Final = 15
SHIFT_MINUTES: Final = 120  # what lasts longer is no spike
MOSTLY: Final = 0.9  # of the steps of a series with STEADY events a step: it stopped
STEADY: Final = 3.0
RAMP: Final = 0.5  # the first third's deviation by the last third's: below it is a climb
_DOWN: Final = frozenset({Shape.DIP, Shape.SHIFT_DOWN, Shape.ZERO})


def detect(series_set: SeriesSet, budget_per_week: float, since_step: int = 0) -> list[Alarm]:
    """Alarms that rang at or after ``since_step``, in order of ringing; the steps before it are history.

    Expected false alarms over all series together are at most ``budget_per_week``.
    """
    series = series_set.series
    per_week = np.array(budget.shares(series, budget_per_week))
    found: dict[int, list[Alarm]] = {}
    for places in _blocks(series):
        steps = grid(series_set.begins_at, series_set.step_minutes, len(series[places[0]].values))
        for at, analysis in analyses([series[place] for place in places], steps, per_week[places], since_step):
            found[places[at]] = _alarms(series[places[at]], steps, analysis)
    alarms = [alarm for _, of_series in sorted(found.items()) for alarm in of_series if alarm.rings >= since_step]
    return sorted(alarms, key=lambda alarm: (alarm.rings, -alarm.surprise))


def _blocks(series: Sequence[Series]) -> Iterator[list[int]]:
    """Places of series of one kind and length, not too many at a time."""
    alike: dict[object, list[int]] = {}
    for place, one in enumerate(series):
        alike.setdefault((len(one.values), kind(one)), []).append(place)
    for places in alike.values():
        if length := len(series[places[0]].values):
            count = max(1, BLOCK_STEPS // length)
            yield from (places[begin : begin + count] for begin in range(0, len(places), count))


def _alarms(series: Series, steps: Grid, analysis: Analysis) -> list[Alarm]:
    highest = analysis.ratio.max(0)
    alarms: list[Alarm] = []
    before: tuple[Episode, Check] | None = None
    for episode in episodes(highest, steps.steps(PAUSE_MINUTES)):
        check = analysis.checks[int(analysis.ratio[:, episode.rings].argmax())]
        surprise = float(highest[episode.begins : episode.ends + 1].max() * analysis.decades)
        alarm = _alarm(series, steps, analysis, episode, check, surprise)
        if before and alarm.first <= alarms[-1].last:
            if _is_down(check) == _is_down(before[1]):
                # A wide window rings again for what rang before: that goes on, or is over and stays as it was.
                whole = replace(before[0], ends=episode.ends)
                alarms[-1] = _alarm(series, steps, analysis, whole, before[1], max(alarms[-1].surprise, surprise))
                continue
            alarm = _alarm(series, steps, analysis, episode, check, surprise, alarms[-1].last + 1)
        before = episode, check
        alarms.append(alarm)
    return alarms


def _is_down(check: Check) -> bool:
    return check.shape in _DOWN


def _alarm(
    series: Series, steps: Grid, analysis: Analysis, episode: Episode, check: Check, surprise: float, after: int = 0
) -> Alarm:
    deviation = -analysis.deviation if _is_down(check) else analysis.deviation
    first = max(after, _first(series, deviation, episode.rings, check))
    last = _last(deviation, first, episode, check, max(3, steps.steps(LASTS_MINUTES)))
    known = np.flatnonzero(~np.isnan(series.values[first : last + 1])) + first
    worst = int(known[deviation[known].argmax()]) if len(known) else episode.rings
    value, expected = float(analysis.actual[worst]), float(analysis.expected[worst])
    if np.isnan(expected):
        expected = _before(analysis, first)
    shape = _shape(steps, deviation[first : last + 1], series.values[known], expected, check)
    if shape is Shape.ZERO and series.measure == "lines":
        shape = Shape.SILENCE
        first = _silent_from(series.values, first, after)
    return Alarm(series, shape, first, last, episode.rings, worst, value, expected, surprise)


def _first(series: Series, deviation: Values, rings: int, check: Check) -> int:
    """Where the deviation that rang most likely began, as far back as the check looks."""
    begin = max(0, rings - check.steps + 1)
    if check.shape is Shape.ZERO:
        return int(np.flatnonzero(np.append(0.0, series.values[:rings]) != 0)[-1:].sum())
    if check.shape in {Shape.FLAT, Shape.CLIMB} or not check.needs_history:
        return begin
    back = np.cumsum(deviation[begin : rings + 1][::-1]) / np.sqrt(np.arange(1, rings - begin + 2))
    return rings - int(back.argmax())


def _silent_from(values: Values, first: int, after: int) -> int:
    """The step after the last line: a check that adds up evidence rings on a stretch that began before it."""
    heard = np.flatnonzero(values[after:first] != 0)  # what is unknown is not known to be silent
    return after + int(heard[-1]) + 1 if len(heard) else after


def _last(deviation: Values, first: int, episode: Episode, check: Check, width: int) -> int:
    """The last step that deviated as the ringing did; a wide window still rings when it is over."""
    if check.shape is Shape.FLAT:
        return episode.ends
    enough = LASTS * float(deviation[first : episode.rings + 1].mean())
    tail = deviation[first : episode.ends + 1]
    near = np.convolve(tail, np.ones(width) / width, "full")[: len(tail)]  # of each step and those before it
    over = np.flatnonzero((near >= enough) & (tail >= enough))
    return first + int(over[-1]) if len(over) else episode.rings


def _before(analysis: Analysis, first: int) -> float:
    """What was usual before an alarm of a series without a baseline yet; 0 where nothing was."""
    known = analysis.actual[:first][~np.isnan(analysis.actual[:first])]
    return float(np.median(known)) if len(known) else 0.0


def _shape(steps: Grid, deviation: Values, values: Values, expected: float, check: Check) -> Shape:
    is_long = len(deviation) >= steps.steps(SHIFT_MINUTES)
    if _is_down(check):
        if len(values) and (not values.any() or ((values == 0).mean() >= MOSTLY and expected >= STEADY)):
            return Shape.ZERO
        return Shape.SHIFT_DOWN if is_long else Shape.DIP
    if check.shape in {Shape.FLAT, Shape.CLIMB}:
        return check.shape
    if not is_long:
        return Shape.SPIKE
    third = len(deviation) // 3
    return Shape.CLIMB if deviation[:third].mean() < RAMP * deviation[-third:].mean() else Shape.SHIFT_UP
