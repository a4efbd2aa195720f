"""One incident for one cause, led by what explains it, in a sentence with its evidence."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from queries.anomalies.backtest import backtest
from queries.anomalies.detection import detect
from queries.anomalies.findings import findings, severity
from queries.anomalies.incidents import Change, Incident, incidents
from queries.anomalies.model import Alarm, Scale, Series, SeriesSet, Shape
from queries.anomalies.wording import rounded, sentence
from queries.report.model import Severity
from tests.queries.anomalies import worlds
from tests.queries.anomalies.worlds import DAY, HOUR, WEEK

STEPS = 3 * DAY
NOON = 2 * DAY + 12 * HOUR


def alarm(  # noqa: PLR0917 - one line per alarm in the tables below
    measure: str,
    shape: Shape,
    first: int = NOON,
    last: int = NOON + 5,
    value: float = 9.0,
    expected: float = 1.0,
    per: str = "app",
    key: str | None = None,
    app: str = "shop",
) -> Alarm:
    """An alarm without a detector."""
    levels = ("p95_ms", "memory_mb", "memory_percent", "connections", "peak_in_flight", "bytes")
    scale = Scale.SHARE if measure == "failed" else Scale.LEVEL if measure in levels else Scale.COUNT
    values = np.full(STEPS, expected)
    values[first : last + 1] = value
    of = np.full(STEPS, 100.0) if scale is Scale.SHARE else None
    series = Series(app, per, key, measure, scale, values * 100 if of is not None else values, of)
    return Alarm(series, shape, first, last, first + 1, first, value, expected, 10.0)


def of(alarms: list[Alarm]) -> SeriesSet:
    """The set of the alarms' series."""
    return SeriesSet(worlds.MONDAY, worlds.STEP_MINUTES, tuple(one.series for one in alarms))


UP, DIP, ZERO = Shape.SPIKE, Shape.DIP, Shape.ZERO

SLOW_SEARCH = alarm("p95_ms", UP, value=9000, expected=380, per="route", key="/search")
SLOW = alarm("p95_ms", UP, value=4000, expected=300)
H12 = alarm("requests", UP, per="code", key="H12")
LEAK = alarm("memory_percent", Shape.CLIMB, NOON - 90, per="dyno", key="web.1")

# Alarms that ring together; the first of each is the one that explains the others.
LEADS = {
    "the log falls silent": [alarm("lines", Shape.SILENCE, NOON + 1), alarm("requests", ZERO), SLOW],
    "memory runs out": [LEAK, SLOW, alarm("failed", UP)],
    "the database is full": [alarm("connections", UP), alarm("p95_ms", UP, NOON - 1), alarm("failed", UP, NOON - 1)],
    "one route is slow": [SLOW_SEARCH, SLOW, alarm("peak_in_flight", UP), H12],
    "the whole app is slow": [SLOW, alarm("p95_ms", UP, value=3000, expected=200, per="route", key="/a")],
    "a crowd comes": [alarm("requests", UP), SLOW, alarm("peak_in_flight", UP)],
    "one route is crawled": [
        alarm("requests", UP, value=90, per="route", key="/feed"),
        alarm("requests", UP, value=100, expected=10),
    ],
    "one route fails": [
        alarm("failed", UP, value=0.5, expected=0.0, per="route", key="/pay"),
        alarm("failed", UP, value=0.4, expected=0.0),
    ],
    "visitors stop": [alarm("requests", ZERO), alarm("peak_in_flight", DIP), alarm("bytes", DIP)],
    "an effect does not lead for its rank": [
        SLOW,
        alarm("memory_mb", UP, NOON + 30, NOON + 40),
        alarm("failed", UP, last=NOON + 40),
    ],
}


@pytest.mark.parametrize("case", LEADS)
def test_series_that_ring_together_are_one_incident_led_by_its_cause(case: str) -> None:
    """In whatever order they come."""
    alarms = LEADS[case]
    for order in (alarms, alarms[::-1]):
        (incident,) = incidents(of(alarms), order, ())
        assert incident.lead is alarms[0]
        assert set(map(id, incident.alarms)) == set(map(id, alarms))
        assert (incident.first, incident.last) == (min(a.first for a in alarms), max(a.last for a in alarms))
        assert incident.rings == min(a.rings for a in alarms)


def test_other_apps_and_other_times_are_other_incidents() -> None:
    """Half an hour apart is together, more is not; what begins on the second day of a shift has its own cause."""
    shift = alarm("requests", Shape.SHIFT_UP, DAY, STEPS - 1)
    alarms = [alarm("p95_ms", UP, 0, 5), alarm("failed", UP, 11, 12), alarm("p95_ms", UP, 20, 22), shift,
              alarm("p95_ms", UP, app="blog"), alarm("p95_ms", UP, NOON)]  # fmt: skip
    found = incidents(of(alarms), alarms, ())
    assert [(one.lead.series.app, one.first, len(one.alarms)) for one in found] == [
        ("shop", 0, 2), ("shop", 20, 1), ("shop", DAY, 1), ("blog", NOON, 1), ("shop", NOON, 1),
    ]  # fmt: skip


def test_changes_of_the_app_in_the_window_are_named() -> None:
    """From an hour before it to its end; not another app's, not yesterday's."""
    at = worlds.MONDAY + timedelta(minutes=NOON * worlds.STEP_MINUTES)
    minute = timedelta(minutes=1)
    near = [Change("shop", at - 3 * minute, "deploy v42"), Change("shop", at + 9 * minute, "restart of web.1")]
    others = [
        Change("blog", at, "deploy v7"),
        Change("shop", at - 120 * minute, "deploy v41"),
        Change("shop", at + 1440 * minute, "scale to 3 web dynos"),
    ]
    alarms = [alarm("p95_ms", UP)]
    (incident,) = incidents(of(alarms), alarms, [*near[::-1], *others])
    assert incident.changes == tuple(near)


def told(alarms: list[Alarm], *changes: Change) -> str:
    """The sentence of the one incident of some alarms."""
    (incident,) = incidents(of(alarms), alarms, changes)
    return sentence(of(alarms), incident)


AT_NOON = worlds.MONDAY + timedelta(days=2, hours=12)
SENTENCES = [
    (
        [alarm("p95_ms", UP, value=4130, expected=381.2, per="route", key="/search"), alarm("failed", UP),
         alarm("peak_in_flight", UP), alarm("requests", UP, per="code", key="H12")],
        [Change("shop", AT_NOON - timedelta(minutes=3), "deploy v42")],
        (
            "Requests to /search took 4.1 s (p95) instead of 380 ms from 2026-01-07 12:00 to 12:30 UTC; failures,"
            " requests in flight and H12 errors rose with it; deploy v42 came 3 minutes before."
        ),
    ),
    ([alarm("failed", UP, value=0.0512, expected=0.00101)], [],
     "5.1 % of requests of shop failed instead of 0.1 % from 2026-01-07 12:00 to 12:30 UTC."),
    ([alarm("requests", ZERO, last=STEPS - 1, value=0, expected=118.4)], [],
     "Requests to shop stopped: none instead of 120 in 5 minutes from 2026-01-07 12:00 UTC on."),
    ([alarm("lines", Shape.SILENCE, value=0, expected=300), alarm("requests", ZERO, value=0)], [],
     "The log of shop fell silent from 2026-01-07 12:00 to 12:30 UTC; requests stopped with it."),
    ([alarm("requests", DIP, value=30, expected=61)], [Change("shop", AT_NOON + timedelta(minutes=1), "restart")],
     ("Requests to shop fell to 30 in 5 minutes instead of 61 from 2026-01-07 12:00 to 12:30 UTC;"
     " restart came 1 minute after it began.")),
    ([alarm("memory_percent", Shape.CLIMB, value=104.4, expected=61.2, per="dyno", key="web.1")], [],
     "Memory of web.1 climbed to 104 % from 61 % from 2026-01-07 12:00 to 12:30 UTC."),
    ([alarm("connections", Shape.FLAT, value=12, expected=11)], [],
     "Database connections of shop stopped varying at 12 from 2026-01-07 12:00 to 12:30 UTC."),
    ([alarm("bytes", UP, value=48_210_000, expected=2_100_000)], [],
     "Bytes sent of shop rose to 48 MB in 5 minutes instead of 2.1 MB from 2026-01-07 12:00 to 12:30 UTC."),
    ([alarm("requests", UP, value=17, expected=0.02, per="code", key="H12")], [],
     "Requests that ended in H12 rose to 17 in 5 minutes instead of 0.02 from 2026-01-07 12:00 to 12:30 UTC."),
]  # fmt: skip


@pytest.mark.parametrize(("alarms", "changes", "expected"), SENTENCES)
def test_an_incident_is_told_in_a_sentence(alarms: list[Alarm], changes: list[Change], expected: str) -> None:
    """Values in the units of their measures, rounded to what a person reads."""
    assert told(alarms, *changes) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.001, "0.001"), (0.00001, "0"), (0.123, "0.12"), (4.13, "4.1"), (38.4, "38"), (99.6, "100"),
     (384, "380"), (1234, "1,230"), (12345, "12,300"), (1234567, "1,230,000")],
)  # fmt: skip
def test_numbers_are_rounded_for_people(value: float, text: str) -> None:
    """Two digits, three from a thousand on."""
    assert rounded(value) == text


SEVERITIES = [
    (alarm("requests", ZERO), Severity.CRITICAL),
    (alarm("requests", ZERO, per="route", key="/a"), Severity.WARNING),
    (alarm("lines", Shape.SILENCE), Severity.CRITICAL),
    (alarm("failed", UP, value=0.05), Severity.CRITICAL),
    (alarm("failed", UP, value=0.004), Severity.WARNING),
    (alarm("p95_ms", UP), Severity.WARNING),
    (alarm("memory_mb", Shape.CLIMB), Severity.WARNING),
    (alarm("requests", UP), Severity.NOTICE),
    (alarm("requests", DIP, value=4, expected=10), Severity.WARNING),
    (alarm("requests", DIP, value=8, expected=10), Severity.NOTICE),
    (alarm("requests", UP, per="code", key="H12"), Severity.WARNING),
]


@pytest.mark.parametrize(("of_alarm", "expected"), SEVERITIES)
def test_severity_is_what_visitors_feel(of_alarm: Alarm, expected: Severity) -> None:
    """The worst of an incident's alarms counts, whoever leads."""
    assert severity(of_alarm, ()) is expected
    assert severity(alarm("requests", UP), [of_alarm]) is max(expected, Severity.NOTICE)


@pytest.mark.parametrize("days", [1, 7, 8, 11, 13, 15])
def test_silence_rings_at_any_age_and_says_where_to_look(days: int) -> None:
    """The app, its drain, drainlake itself: one of them is down. No age lies between the checks for young and old."""
    values = np.random.default_rng(1).poisson(300, days * DAY).astype(float)
    values[-HOUR:] = 0.0
    series_set = SeriesSet(
        worlds.MONDAY, worlds.STEP_MINUTES, (Series("shop", "app", None, "lines", Scale.COUNT, values),)
    )
    (finding,) = findings(series_set, incidents(series_set, detect(series_set, 1.0), ()))
    assert all(command in finding.advice for command in ("heroku ps", "heroku drains", "drainlake status"))


def slow_search() -> tuple[SeriesSet, list[Alarm]]:
    """An app whose /search is ten times as slow for an hour on a Wednesday, in its seventh week."""
    at = 6 * WEEK + NOON
    rng = np.random.default_rng(31)
    app = worlds.KINDS["persistent level"](rng, 7 * WEEK)
    route = replace(worlds.KINDS["persistent level"](rng, 7 * WEEK), per="route", key="/it's")
    app.values[at : at + HOUR] *= 5
    route.values[at : at + HOUR] *= 10
    series_set = SeriesSet(worlds.MONDAY, worlds.STEP_MINUTES, (app, route))
    return series_set, detect(series_set, 1.0, 6 * WEEK)


def test_a_finding_carries_its_evidence() -> None:
    """Sentence, chart with what was expected and the deploy, SQL of the rows, a command; the id stays the same."""
    series_set, alarms = slow_search()
    begun = series_set.at(6 * WEEK + NOON)
    deploy = Change("shop", begun - timedelta(minutes=3), "deploy v42")
    found = incidents(series_set, alarms, [deploy])
    (finding,) = findings(series_set, found)
    assert finding.sentence.startswith("Requests to /it's took ")
    assert (finding.app, finding.subject, finding.kind) == ("shop", "/it's", "anomaly_p95_ms_up")
    assert finding.severity is Severity.WARNING
    assert "key IS NOT DISTINCT FROM '/it''s'" in finding.sql
    assert "per := 'route'" in finding.sql
    assert finding.command.startswith("drainlake query latency --since 2026-02-18T12:0")
    chart = finding.chart
    assert chart is not None
    assert chart.unit == "ms"
    assert [line.label for line in chart.lines] == ["measured", "expected"]
    assert all(len(line.values) == len(chart.times) for line in chart.lines)
    peak = max(value for value in chart.lines[0].values if value is not None)
    assert chart.keys[0].value == pytest.approx(peak, rel=0.5)
    assert [marker.at for marker in chart.markers] == [deploy.at]
    assert any("deploy v42" in also.lower() for also in finding.also)
    longer = replace(found[0], lead=replace(found[0].lead, shape=Shape.SHIFT_UP))
    assert next(findings(series_set, [longer])).id == finding.id


def test_a_long_incident_has_a_chart_of_bounded_length_that_keeps_its_peak() -> None:
    """Steps are drawn together, by the highest."""
    values = np.ones(90 * DAY)
    values[70 * DAY + 1] = 99.0
    series = Series("shop", "app", None, "requests", Scale.COUNT, values)
    one = Alarm(series, UP, 10, 80 * DAY, 12, 70 * DAY + 1, 99.0, 1.0, 9.0)
    series_set = SeriesSet(worlds.MONDAY, worlds.STEP_MINUTES, (series,))
    (finding,) = findings(series_set, [Incident(one, (one,), 10, 80 * DAY, 12, ())])
    assert finding.chart is not None
    assert len(finding.chart.times) <= 1500
    assert 99.0 in finding.chart.lines[0].values


def test_a_back_test_tells_what_would_have_rung() -> None:
    """In the last days only, with the incidents themselves."""
    series = worlds.KINDS["Poisson"](np.random.default_rng(5), 10 * WEEK)
    for day in (20, 45, 60):
        series.values[day * DAY + 12 * HOUR :][:3] *= 6
    found = backtest(SeriesSet(worlds.MONDAY, worlds.STEP_MINUTES, (series,)), 0.2)
    assert found.sentence == "In the last 30 days this would have rung twice."
    assert [one.first for one in found.incidents] == [45 * DAY + 12 * HOUR, 60 * DAY + 12 * HOUR]
    assert found.days == 30


@pytest.mark.parametrize(
    ("days", "sentence"),
    [
        (0, "There is less than a day of history"),
        (3, "There are 3 days of history: only what needs none was checked"),
        (20, "In the last 20 days this would not have rung; the first 14 days of the 20 in the lake were for"),
        (44, "In the last 30 days this would not have rung."),
    ],
)
def test_a_back_test_says_how_much_history_it_had(days: int, sentence: str) -> None:
    """Few days cannot show what thirty would."""
    values = np.full(60 * DAY, np.nan)
    values[60 * DAY - days * DAY :] = np.random.default_rng(1).poisson(40, days * DAY)
    series = Series("shop", "app", None, "requests", Scale.COUNT, values)
    found = backtest(SeriesSet(worlds.MONDAY, worlds.STEP_MINUTES, (series,)), 0.5)
    assert found.sentence.startswith(sentence)
