"""The promise of the budget: false alarms on series in which nothing is wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from queries.anomalies import budget
from queries.anomalies.detection import detect
from queries.anomalies.incidents import incidents
from queries.anomalies.model import Series, SeriesSet
from tests.queries.anomalies import worlds

WEEKS = 52
LEARNING_WEEKS = 2
ALLOWED = 1.2


def upper_end_a_week(series: SeriesSet, budget_per_week: float) -> float:
    """The upper end of the exact 95 % interval (one-sided) of the rate at which incidents rang after the learning."""
    alarms = detect(series, budget_per_week, LEARNING_WEEKS * worlds.WEEK)
    rang = len(incidents(series, alarms, ()))
    return float(stats.chi2.ppf(0.95, 2 * rang + 2) / 2 / WEEKS)


@pytest.mark.parametrize(
    "kind",
    [
        "Poisson", "over-dispersed", "persistent level", "persistent count", "heavy-tailed level", "trending", "sparse",
        "bursty",
    ],
)  # fmt: skip
def test_a_kind_of_series_stays_within_the_budget(kind: str) -> None:
    """Five series of one kind share a budget of 1 a week for a year."""
    series = worlds.clean([kind], 5, WEEKS + LEARNING_WEEKS, 21)
    assert upper_end_a_week(series, 1.0) <= ALLOWED


def test_mixed_series_stay_within_every_budget() -> None:
    """Eleven series of all kinds share one budget, over all of them together."""
    series = worlds.clean(list(worlds.KINDS), 11, WEEKS + LEARNING_WEEKS, 22)
    for per_week in (0.5, 1.0, 2.0):
        assert upper_end_a_week(series, per_week) <= ALLOWED * per_week


def test_the_shares_of_the_budget_add_up_to_it() -> None:
    """Whatever the series are, and an app's own series have more than those of its routes."""
    app = Series("shop", "app", None, "requests", worlds.Scale.COUNT, np.zeros(1))
    shares = budget.shares([app, replace(app, per="route", key="/a"), replace(app, per="dyno", key="web.1")], 2.0)
    assert sum(shares) == pytest.approx(2.0)
    assert shares[0] > shares[1] == shares[2]


@pytest.mark.parametrize("per_week", [0.0, -1.0, float("nan")])
def test_no_budget_is_refused(per_week: float) -> None:
    """A detector that may never be wrong can say nothing."""
    with pytest.raises(ValueError, match="above 0"):
        budget.shares([], per_week)


@pytest.mark.parametrize("kind", ["Poisson", "bursty", "persistent count", "failures", "low", "memory"])
def test_a_young_series_does_not_ring_by_itself(kind: str) -> None:
    """In its first week only what needs no history is checked, and that stays quiet."""
    series = worlds.clean([kind], 6, 1, 23)
    assert detect(series, 1.0) == []
