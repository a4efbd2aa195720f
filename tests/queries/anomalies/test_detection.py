"""What is found, how soon, and what is not taken for an incident."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from queries.anomalies.detection import detect
from queries.anomalies.model import Alarm, Scale, Series, SeriesSet, Shape
from tests.queries.anomalies import worlds
from tests.queries.anomalies.worlds import DAY, HOUR, WEEK

SHARE_OF_BUDGET = 0.1
PLANTED = {planted.name: planted for planted in worlds.PLANTED}
UP = {Shape.SPIKE, Shape.SHIFT_UP, Shape.CLIMB}
DOWN = {Shape.DIP, Shape.SHIFT_DOWN, Shape.ZERO}

# Name, kind of series, least share found, and minutes until half of them are known.
FOUND = [
    ("spike, 4 times, 15 min", "Poisson", 1.0, 5, UP),
    ("spike, 10 times, 5 min", "over-dispersed", 0.9, 5, UP),
    ("spike, 10 times, 5 min", "persistent count", 0.9, 5, UP),
    ("spike, 10 times, 1 h, few events", "low", 0.7, 30, UP),
    ("dip to a half, 1 h", "Poisson", 0.9, 20, DOWN),
    ("drop to zero, 30 min", "Poisson", 1.0, 10, DOWN),
    ("drop to zero, 30 min", "over-dispersed", 0.9, 15, DOWN),
    ("drop to zero, 1 day, few events", "low", 0.9, 420, DOWN),
    ("shift up 30 %, 12 h", "Poisson", 0.9, 120, UP),
    ("shift up 100 %, 12 h", "over-dispersed", 0.9, 120, UP),
    ("shift down 50 %, 12 h", "trending", 0.9, 30, DOWN),
    ("flicker, 2.5 times, 2 of 3 steps, 1 h", "trending", 0.9, 15, UP),
    ("latency 3 times, 1 h", "persistent level", 0.8, 10, UP),
    ("latency 3 times, 1 h", "heavy-tailed level", 0.9, 30, UP),
    ("slow climb to twice, 1 day", "heavy-tailed level", 0.9, 700, UP),
    ("slow climb to twice, 4 days", "memory", 0.9, 2000, UP),
    ("memory leak, half again in 12 h", "memory", 0.9, 480, UP),
    ("flat line, 4 h", "persistent level", 0.9, 150, {Shape.FLAT}),
    ("failures 0.1 to 5 %, 1 h", "failures", 0.9, 30, UP),
]


def alone(series: Series) -> SeriesSet:
    """A set of one series."""
    return SeriesSet(worlds.MONDAY, worlds.STEP_MINUTES, (series,))


@pytest.mark.parametrize(("name", "kind", "least", "minutes", "shapes"), FOUND)
def test_a_large_incident_is_found_soon(name: str, kind: str, least: float, minutes: float, shapes: set[Shape]) -> None:
    """By night and by day, on weekdays and weekends, at the share of the budget that an app has among thirty series."""
    planted, places = PLANTED[name], worlds.places(10)
    delays = []
    for seed, at in enumerate(places):
        series = planted.into(kind, at, 9 if planted.steps <= DAY else 10, 500 + seed)
        alarms = detect(alone(series), SHARE_OF_BUDGET, at)
        rings = [one.rings for one in alarms if one.rings < at + planted.steps + 3 and one.shape in shapes]
        delays += [(rings[0] - at + 1) * worlds.STEP_MINUTES] if rings else []
    assert len(delays) >= least * len(places)
    assert np.median(delays) <= minutes


def test_an_alarm_tells_when_it_began_and_ended_and_what_was_usual() -> None:
    """The beginning is that of the deviation, not of the ringing; the end is not that of a wide window."""
    at = 42 * DAY + 12 * HOUR
    series = PLANTED["shift up 100 %, 12 h"].into("Poisson", at, 8, 1)
    (alarm,) = detect(alone(series), 1.0, at)
    assert alarm.shape is Shape.SHIFT_UP
    assert abs(alarm.first - at) <= 2
    assert abs(alarm.last - (at + 12 * HOUR - 1)) <= 3
    assert alarm.first <= alarm.rings <= alarm.worst <= alarm.last
    assert alarm.value == series.values[alarm.worst]
    assert 1.3 < alarm.value / alarm.expected < 6
    assert alarm.surprise > 5


@pytest.mark.parametrize("kind", ["Poisson", "persistent level", "failures", "low", "memory"])
def test_what_is_said_of_a_step_uses_only_steps_up_to_it(kind: str) -> None:
    """With the future cut off, the alarms that had rung by then are the same, wherever the cut is."""
    series = worlds.KINDS[kind](np.random.default_rng(3), 8 * WEEK)
    values = series.values.copy()
    for week, day in ((3, 2), (5, 1), (6, 4)):
        values[week * WEEK + day * DAY + 100 :][:20] = values[week * WEEK + day * DAY + 100 :][:20] * 6 + 9
    of = None if series.of is None else np.maximum(series.of, values)
    whole = detect(alone(replace(series, values=values, of=of)), 1.0)
    assert len(whole) >= 2
    for cut in (5 * WEEK + DAY + 107, 5 * WEEK + 7, 6 * WEEK + 4 * DAY + 131, 7 * WEEK):
        part = replace(series, values=values[:cut], of=None if of is None else of[:cut])
        assert known(detect(alone(part), 1.0)) == known([one for one in whole if one.rings < cut])


def known(alarms: list[Alarm]) -> list[tuple[int, int]]:
    """What does not change any more once an alarm rang."""
    return [(alarm.first, alarm.rings) for alarm in alarms]


def test_earlier_alarms_are_history_only() -> None:
    """From a step on, the same alarms ring as without it."""
    series = PLANTED["spike, 10 times, 5 min"].into("Poisson", 42 * DAY, 8, 2)
    everything = detect(alone(series), 1.0)
    since = 42 * DAY
    assert [known([one]) for one in detect(alone(series), 1.0, since)] == [
        known([one]) for one in everything if one.rings >= since
    ]


@pytest.mark.parametrize("name", ["spike, 4 times, 15 min", "drop to zero, 30 min", "shift up 50 %, 12 h"])
def test_an_incident_has_no_echo(name: str) -> None:
    """On the days and weeks after, at the same hour, nothing rings: not up, not down."""
    for seed, at in enumerate(worlds.places(5)):
        series = PLANTED[name].into("Poisson", at, 10, 700 + seed)
        alarms = detect(alone(series), SHARE_OF_BUDGET, at + PLANTED[name].steps + DAY // 2)
        assert alarms == []


def test_an_incident_is_not_hidden_by_the_ones_before_it() -> None:
    """Four times as many, at the same hour on three days of the weeks before."""
    at = 44 * DAY + 12 * HOUR
    series = PLANTED["spike, 4 times, 15 min"].into("Poisson", at, 8, 4)
    for days in (3, 7, 14):
        series.values[at - days * DAY :][:3] *= 5
    assert [alarm.first for alarm in detect(alone(series), SHARE_OF_BUDGET, at)] == [at]


@pytest.mark.parametrize("kind", ["Poisson", "persistent level", "failures", "memory", "low"])
def test_gaps_ring_nothing(kind: str) -> None:
    """Neither in hours without knowledge nor in the two days after, in which levels are known less well."""
    series = worlds.KINDS[kind](np.random.default_rng(6), 8 * WEEK)
    gaps = ((30 * DAY + 2 * HOUR, 5), (36 * DAY + 12 * HOUR, 3), (44 * DAY + 8 * HOUR, 36))
    for at, hours in gaps:
        series.values[at : at + hours * HOUR] = np.nan
    rings = [alarm.rings for alarm in detect(alone(series), SHARE_OF_BUDGET, 29 * DAY)]
    assert not any(at <= ring < at + hours * HOUR + 2 * DAY for ring in rings for at, hours in gaps)


def test_a_new_level_is_accepted() -> None:
    """A deploy that changes the traffic for good rings once, not for ever."""
    at = 35 * DAY + 10 * HOUR
    rng = np.random.default_rng(8)
    series = worlds.KINDS["Poisson"](rng, 9 * WEEK)
    series.values[at:] += rng.poisson(60 * worlds.rhythm(9 * WEEK)[at:])
    alarms = detect(alone(series), SHARE_OF_BUDGET, at)
    assert [alarm.shape for alarm in alarms] == [Shape.SHIFT_UP]
    assert alarms[0].last < at + 3 * DAY


def test_nothing_known_and_nothing_there_are_quiet() -> None:
    """All unknown, all zero, one step, no step."""
    for values in (np.full(3 * WEEK, np.nan), np.zeros(3 * WEEK), np.ones(1), np.zeros(0)):
        for scale in Scale:
            of = np.where(np.isnan(values), np.nan, 10.0) if scale is Scale.SHARE else None
            assert detect(alone(Series("shop", "app", None, "requests", scale, values, of)), 1.0) == []


@pytest.mark.parametrize("step_minutes", [1, 15, 60])
def test_other_steps_find_the_same(step_minutes: int) -> None:
    """Three hours without requests, in steps of a minute, a quarter of an hour and an hour."""
    per_day = 1440 // step_minutes
    rng = np.random.default_rng(9)
    minutes = np.arange(30 * per_day) * step_minutes
    values = rng.poisson(step_minutes * 12 * (1.2 + np.sin(2 * np.pi * minutes / 1440))).astype(float)
    at = 25 * per_day + per_day // 2
    values[at : at + 180 // step_minutes] = 0
    series = Series("shop", "app", None, "requests", Scale.COUNT, values)
    begins_at = worlds.MONDAY + timedelta(hours=5)
    alarms = detect(SeriesSet(begins_at, step_minutes, (series,)), 0.5, 15 * per_day)
    assert [(alarm.shape, alarm.first) for alarm in alarms] == [(Shape.ZERO, at)]


def test_a_step_that_does_not_divide_an_hour_is_refused() -> None:
    """Hours would begin within a step."""
    series = Series("shop", "app", None, "requests", Scale.COUNT, np.ones(10))
    with pytest.raises(ValueError, match="7 minutes"):
        detect(SeriesSet(worlds.MONDAY, 7, (series,)), 1.0)


# What an app of a few hours shows: measure, scale, its values, of what, and what rings.
YOUNG = {
    "requests stop": ("requests", Scale.COUNT, [50.0] * 40 + [0.0] * 8, None, Shape.ZERO),
    "the log falls silent": ("lines", Scale.COUNT, [50.0] * 40 + [0.0] * 8, None, Shape.SILENCE),
    "a fifth of the requests fail": ("failed", Scale.SHARE, [0.0] * 40 + [10.0] * 8, [50.0] * 48, Shape.SPIKE),
    "memory is at its quota": ("memory_percent", Scale.LEVEL, [60.0] * 40 + [104.0] * 8, None, Shape.SPIKE),
}
YOUNG_AND_WELL = {
    "few requests pause": ("requests", Scale.COUNT, [1.0, 0.0, 0.0, 2.0] * 10 + [0.0] * 8, None),
    "it goes quiet in its first hour": ("requests", Scale.COUNT, [50.0] * 15 + [0.0] * 20, None),
    "one of ten requests fails": ("failed", Scale.SHARE, [0.0] * 47 + [1.0], [10.0] * 48),
    "the log is not there": ("requests", Scale.COUNT, [50.0] * 40 + [np.nan] * 8, None),
    "traffic doubles": ("requests", Scale.COUNT, [50.0] * 40 + [100.0] * 8, None),
}


@pytest.mark.parametrize("case", YOUNG)
def test_an_app_of_hours_has_the_checks_that_need_no_history(case: str) -> None:
    """Silence, failures and the quota are wrong without any baseline."""
    measure, scale, values, of, shape = YOUNG[case]
    series = Series("new", "app", None, measure, scale, np.array(values), None if of is None else np.array(of))
    (alarm,) = detect(alone(series), 1.0)
    assert alarm.shape is shape
    assert 38 <= alarm.first <= 41
    assert alarm.rings <= 44


@pytest.mark.parametrize("case", YOUNG_AND_WELL)
def test_an_app_of_hours_rings_no_statistics(case: str) -> None:
    """What a few hours cannot know is not claimed."""
    measure, scale, values, of = YOUNG_AND_WELL[case]
    series = Series("new", "app", None, measure, scale, np.array(values), None if of is None else np.array(of))
    assert detect(alone(series), 1.0) == []
