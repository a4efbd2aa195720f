"""A log that falls silent: from when it is told to be so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from queries.anomalies.backtest import backtest
from queries.anomalies.findings import findings
from queries.anomalies.model import Scale, Series, SeriesSet

BEGIN = datetime(2026, 11, 23, tzinfo=UTC)
STEPS = 288


def test_silence_begins_with_the_first_step_without_a_line() -> None:
    """And not where it had lasted long enough to be sure of."""
    lines = np.random.default_rng(1).poisson(1400.0, STEPS + STEPS // 2).astype(np.float64)
    lines[STEPS:] = 0.0
    series_set = SeriesSet(BEGIN, 5, (Series("shop", "app", None, "lines", Scale.COUNT, lines),))
    [finding] = findings(series_set, backtest(series_set, 1.0).incidents)
    assert finding.since == BEGIN + timedelta(days=1)
    assert finding.sentence == "The log of shop fell silent from 2026-11-24 00:00 UTC on."


def test_a_quiet_past_is_told_without_an_alarm() -> None:
    """Nothing that rang is 'not', and one alarm a week is one."""
    lines = np.random.default_rng(1).poisson(1400.0, STEPS).astype(np.float64)
    series_set = SeriesSet(BEGIN, 5, (Series("shop", "app", None, "lines", Scale.COUNT, lines),))
    assert "and it would not have rung." in backtest(series_set, 1.0).sentence
