"""From series to alarms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from queries.anomalies import baseline, budget, climbs, episodes, flatness, robust, shifts
from queries.anomalies.checks import Check, ratios
from queries.anomalies.grid import grid, trailing
from queries.anomalies.model import Alarm, Scale, Shape

DOWN_IS_NEWS = {"requests", "lines", "bytes"}

def _share(values, of, lead_days=7):
    k = np.nansum(np.where(np.isnan(of), np.nan, values), 1); n = np.nansum(of, 1)
    pk, pn = trailing(k, 7), trailing(n, 7)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = np.where(pn > 0, pk / pn, np.nan)
    known = np.nansum(pn, 1)
    p = robust.middle_mean(rate, 1, .5, 2)
    return np.maximum(p, 0.5 / np.maximum(known, 1))


def _dense(base, found):
    return found[0], found[1] & (base.density == 3)[:, None]


def analyse(series, g, per_week):
    rows = g.rows(series.values)
    known_days = np.concatenate([[0], np.cumsum((~np.isnan(rows)).mean(1) >= .25)[:-1]])
    checks = []
    if series.scale is Scale.SHARE:
        of = g.rows(series.of)
        share = _share(rows, of)
        wins = shifts.of_shares(rows, of, share, g)
        expected = np.repeat(share[:, None], g.per_day, 1)
        actual = rows / np.where(of > 0, of, np.nan)
        levels = None
    elif series.scale is Scale.COUNT:
        base = baseline.of_counts(rows, g)
        wins = shifts.of_counts(rows, base, g)
        expected = np.exp(base.expected); actual = rows
        if base.density.max() == 3: checks.append(Check(Shape.FLAT, 120, g.steps(120), *_dense(base, flatness.scores(rows, g))))
    else:
        logs = np.log1p(np.maximum(rows, 0))
        base = baseline.of_levels(logs, g)
        wins = shifts.of_levels(logs, base, g)
        expected = np.expm1(base.expected); actual = rows
        for span in climbs.SPANS_HOURS:
            checks.append(Check(Shape.CLIMB, span * 60, span * g.per_hour, *climbs.scores(base.levels, g, span)))
        checks.append(Check(Shape.FLAT, 120, g.steps(120), *flatness.scores(logs, g)))
    for w in wins:
        checks.append(Check(Shape.SPIKE if w.minutes <= 60 else Shape.SHIFT_UP, w.minutes, w.steps, w.up, w.is_up))
        if series.measure in DOWN_IS_NEWS and series.per != "code" and series.scale is not Scale.SHARE:
            checks.append(Check(Shape.DIP if w.minutes <= 60 else Shape.SHIFT_DOWN, w.minutes, w.steps, w.down, w.is_down))
    r = ratios(checks, per_week, known_days, g)
    return checks, r, expected, actual


def detect(series_set, budget_per_week, since_step=0):
    alarms = []
    shares = budget.shares(series_set.series, budget_per_week)
    for s, per_week in zip(series_set.series, shares, strict=True):
        g = grid(series_set.begins_at, series_set.step_minutes, len(s.values))
        checks, r, expected, actual = analyse(s, g, per_week)
        flat = r.reshape(len(checks), -1)[:, g.lead:g.lead + g.length]
        top = flat.max(0)
        for e in episodes.episodes(top, g.steps(episodes.PAUSE_MINUTES)):
            c = checks[int(flat[:, e.rings].argmax())]
            alarms.append(Alarm(s, c.shape, max(0, e.begins - c.steps + 1) if c.minutes > 60 else e.begins, e.ends, e.rings, e.rings, float(g.flat(actual)[e.rings]), float(g.flat(expected)[e.rings]), float(top[e.begins:e.ends+1].max())*5))
            object.__setattr__(alarms[-1], "check", (c.shape.value, c.minutes))
    return alarms
