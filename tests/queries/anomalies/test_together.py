"""Series are computed many at a time: what is said of one must not depend on the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from queries.anomalies import detection, robust
from queries.anomalies.detection import detect
from queries.anomalies.grid import trailing
from queries.anomalies.model import SeriesSet
from tests.queries.anomalies import worlds
from tests.queries.anomalies.worlds import DAY, HOUR


def with_incidents(weeks: int) -> SeriesSet:
    """Three series of each kind, unlike long known, with a gap; on the last day a crowd and a stop."""
    series = []
    for place, one in enumerate(worlds.clean(list(worlds.KINDS), 3 * len(worlds.KINDS), weeks, 9).series):
        values = one.values.copy()
        values[: place % 5 * DAY] = np.nan
        values[-2 * DAY :][:place] = np.nan
        values[-DAY:][: 6 + place] = values[-DAY:][: 6 + place] * 7 + 20
        values[-DAY // 2 :][: 3 * HOUR] = 0.0
        series.append(replace(one, values=values, of=None if one.of is None else np.fmax(one.of, values)))
    return SeriesSet(worlds.MONDAY, worlds.STEP_MINUTES, tuple(series))


@pytest.mark.parametrize(("weeks", "rang"), [(1, 10), (4, 30)])
def test_a_series_says_alone_what_it_says_among_others(weeks: int, rang: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks of many, of one, and with young ones beside old ones: the same alarms, to the last digits."""
    series_set = with_incidents(weeks)
    together = detect(series_set, 5.0)
    assert len({alarm.series.app for alarm in together}) >= rang
    monkeypatch.setattr(detection, "BLOCK_STEPS", 1)
    for one, other in zip(together, detect(series_set, 5.0), strict=True):
        numbers = [(alarm.value, alarm.expected, alarm.surprise) for alarm in (one, other)]
        assert np.allclose(*numbers, rtol=1e-9)
        assert replace(one, value=0.0, expected=0.0, surprise=0.0) == replace(
            other, value=0.0, expected=0.0, surprise=0.0
        )


@pytest.mark.parametrize("day", [0, 6, 13, 20, 27])
def test_what_rang_before_changes_nothing_of_what_rings_since(day: int) -> None:
    """Series that rang only before are left out: of the others the alarms are those of the whole time."""
    series_set = with_incidents(4)
    since = day * worlds.DAY + worlds.HOUR
    assert detect(series_set, 5.0, since) == [alarm for alarm in detect(series_set, 5.0) if alarm.rings >= since]


@given(
    arrays(
        np.float64, st.tuples(st.integers(1, 16), st.just(5)), elements=st.one_of(st.just(np.nan), st.floats(-9, 9))
    ),
    st.integers(1, 7),
    st.sampled_from([1, 2, 7]),
)
def test_the_mean_of_a_week_is_the_middle_mean_of_a_half(values: worlds.Array, days: int, stride: int) -> None:
    """It is the same without sorting, for up to seven days before each and however many of their values are unknown."""
    rows = values[None]
    for at_least in (1, 2, 5):
        expected = robust.middle_mean(trailing(rows, days, stride), 0.5, at_least)
        found = robust.mean_of_a_week(rows, days, stride, at_least)
        assert np.allclose(found, expected, equal_nan=True, rtol=0, atol=1e-12)
