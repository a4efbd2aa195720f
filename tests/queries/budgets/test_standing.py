"""What is said of an objective: verdict, sentence, finding and section."""

from __future__ import annotations

import dataclasses
import shlex
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from queries.budgets.burn_rates import WINDOWS, Count
from queries.budgets.findings import Budgets
from queries.budgets.objectives import Objective, of_app
from queries.budgets.reading import Step
from queries.budgets.standing import Standing, Verdict, stand, standings
from queries.report.model import Severity, Window
from tests.queries.budgets.test_reading import histogram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.queries.budgets.conftest import Minutes

UNTIL = datetime(2026, 11, 23, 12, tzinfo=UTC)
THREE_NINES = Objective("shop", Fraction("0.999"))
FAST = Objective("shop", Fraction("0.95"), 800)
HOSTILE = "shop<script>'\"; rm -rf $HOME\n"
MONTH = 43200


def standing(month: tuple[int, int], objective: Objective = THREE_NINES, covered: int = MONTH, **more: Any) -> Standing:
    """A standing with these requests and bad ones of the 30 days; shorter windows by name, else empty but covered."""
    counts = {window: Count(*more.get(f"last_{window}", (0, 0)), min(window, covered)) for window in WINDOWS}
    return stand(objective.app, objective, UNTIL, counts | {MONTH: Count(*month, covered)}, [])


SAID: list[tuple[Standing, Verdict, str]] = [
    (
        standing((1_204_331, 602)),
        Verdict.KEPT,
        "shop: 99.95 % of 1,204,331 requests answered in 30 days; 50 % of the error budget is left.",
    ),
    (
        standing((1_000_000, 1000)),
        Verdict.KEPT,
        "shop: 99.9 % of 1,000,000 requests answered in 30 days; 0 % of the error budget is left.",
    ),
    (
        standing((1_000_000, 1001)),
        Verdict.SPENT,
        (
            "shop: 99.89 % of 1,000,000 requests answered in 30 days; the error budget is spent, 1,001 where 1,000 were"
            " allowed."
        ),
    ),
    (
        standing((1_000_000, 999)),
        Verdict.KEPT,
        "shop: 99.9 % of 1,000,000 requests answered in 30 days; under 1 % of the error budget is left.",
    ),
    (
        standing((2000, 0)),
        Verdict.TOO_FEW,
        (
            "shop: 100 % of 2,000 requests answered in 30 days; these are too few requests to tell 99.9 %, which takes"
            " 5,000."
        ),
    ),
    (
        standing((20, 6), Objective("shop", Fraction("0.999"), None, "/checkout")),
        Verdict.SPENT,
        "shop /checkout: 70 % of 20 requests answered in 30 days; the error budget is spent, 6 where none was allowed.",
    ),
    (
        standing((90_000, 900), FAST, covered=21_600),
        Verdict.KEPT,
        (
            "shop: 99 % of 90,000 requests within 800 ms in the 15 of 30 days that the log covers; 80 % of the error"
            " budget is left."
        ),
    ),
    (
        standing((500_000, 100), last_60=(500, 120), last_5=(40, 10)),
        Verdict.BURNING,
        (
            "shop: 120 of 500 requests failed in the last hour, 240 times what 99.9% available allows, 10 of 40 in the"
            " last 5 minutes; 99.98 % of 500,000 requests answered in 30 days; 80 % of the error budget is left."
        ),
    ),
    (
        standing((500_000, 100), last_60=(20, 2)),
        Verdict.TOO_FEW,
        (
            "shop: 2 of 20 requests failed in the last hour, too few to tell whether the error budget burns; 99.98 % of"
            " 500,000 requests answered in 30 days; 80 % of the error budget is left."
        ),
    ),
    (
        standing((9_000, 10), covered=1500),
        Verdict.SPENT,
        (
            "shop: 99.88 % of 9,000 requests answered in the 25 hours that the log covers; the error budget is spent,"
            " 10 where 9 were allowed."
        ),
    ),
    (
        standing((9_000, 0), covered=119),
        Verdict.KEPT,
        "shop: 100 % of 9,000 requests answered in the 119 minutes of log; 100 % of the error budget is left.",
    ),
    (
        standing((0, 0), covered=0),
        Verdict.NO_DATA,
        "shop: the log covers nothing of the last 30 days, so nothing is known of 99.9% available.",
    ),
    (standing((0, 0)), Verdict.NO_DATA, "shop: no request in 30 days, so nothing is known of 99.9% available."),
]


@pytest.mark.parametrize(("given", "verdict", "sentence"), SAID, ids=[case[2][:60] for case in SAID])
def test_verdict_and_sentence(given: Standing, verdict: Verdict, sentence: str) -> None:
    """What a person reads of each kind of standing."""
    assert (given.verdict, given.sentence) == (verdict, sentence)


@pytest.mark.parametrize(
    ("bad_an_hour", "end"),
    [(30, "ends on 2 December."), (200, "ends on 24 November at 01:00 UTC."), (10, "of the error budget is left.")],
)
def test_the_day_it_runs_out_is_said(bad_an_hour: int, end: str) -> None:
    """The day, with the time of day where that is near; and no day where it does not come.

    7,200 are allowed. After a day of 30 an hour 6,480 are left, which takes 216 hours more; the next one is too much.
    """
    good = [Step(UNTIL - timedelta(hours=ago), Count(10_000, 0, 60)) for ago in range(720, 24, -1)]
    bad = [Step(UNTIL - timedelta(hours=ago), Count(10_000, bad_an_hour, 60)) for ago in range(24, 0, -1)]
    counts = {window: Count(0, 0, window) for window in WINDOWS}
    counts |= {1440: Count(240_000, 24 * bad_an_hour, 1440), MONTH: Count(7_200_000, 24 * bad_an_hour, MONTH)}
    assert stand("shop", THREE_NINES, UNTIL, counts, [*good, *bad]).sentence.endswith(end)


def test_a_stretch_without_log_is_named() -> None:
    """When nothing is known of the last day, the sentence says that the standing is old."""
    fresh = standing((500_000, 100))
    counts = {window: Count(0, 0, 0) if window <= 1440 else count for window, count in fresh.counts.items()}
    said = stand("shop", THREE_NINES, UNTIL, counts, []).sentence
    assert said.endswith("; the log covers nothing of the last 24 hours.")


def test_more_bad_never_leaves_more_budget_or_a_better_verdict() -> None:
    """From no failure to all requests: what is left declines, and the verdict goes one way."""
    found = [standing((50_000, bad)) for bad in range(200)]
    lefts = [one.budget_left for one in found]
    assert lefts == sorted(lefts, key=lambda one: -(one or 0))
    kept = [one.verdict is Verdict.KEPT for one in found]
    assert kept == [True] * 51 + [False] * 149


def test_an_objective_of_every_app_holds_for_apps_without_their_own() -> None:
    """One for a route only is no objective of the app."""
    every, own = Objective("*", Fraction("0.995")), Objective("shop", Fraction("0.999"))
    route = Objective("blog", Fraction("0.99"), 2000, "/login")
    given = (every, own, route)
    assert of_app(given, "shop") == (own,)
    assert of_app(given, "blog") == (every, route)
    assert of_app(given, "else") == (every,)


def _minutes(app: str, bad_last: int, days: float = 1) -> list[dict[str, Any]]:
    """Minutes of 100 requests, of which 5 are slow; of the last ten some failed."""
    return [
        {
            "timestamp": UNTIL - timedelta(minutes=age), "app": app, "requests": 100,
            "failed": bad_last if age <= 10 else 0, **histogram([50] * 95 + [4000] * 5),
        }
        for age in range(1, int(days * 1440))
    ]  # fmt: skip


def _asked(minutes: Minutes, rows: Sequence[dict[str, Any]], *objectives: Objective) -> list[Standing]:
    return standings(minutes(rows), objectives, UNTIL)


def test_apps_named_or_seen_have_standings(minutes: Minutes) -> None:
    """An app that was never seen and one whose log is not covered have no data; the filter leaves one app."""
    rows = [*_minutes("shop", 0, 0.1), {"timestamp": UNTIL - timedelta(minutes=2), "app": "dark", "is_covered": False}]
    every, gone = Objective("*", Fraction("0.95")), Objective("gone", Fraction("0.95"))
    found = _asked(minutes, rows, every, gone)
    assert [(one.app, one.verdict) for one in found] == [
        ("dark", Verdict.NO_DATA), ("gone", Verdict.NO_DATA), ("shop", Verdict.KEPT),
    ]  # fmt: skip
    connection = minutes(rows)
    assert [one.app for one in standings(connection, [every, gone], UNTIL, "shop")] == ["shop"]
    assert standings(connection, [], UNTIL) == []


def test_what_burns_and_what_is_spent_is_found(minutes: Minutes) -> None:
    """A page is critical and comes first, a budget that is spent a warning, and what is kept is no finding."""
    spent = [row | {"app": "blog", "failed": 1 if at > 1000 else 0} for at, row in enumerate(_minutes("blog", 0))]
    rows = [*_minutes("shop", 60), *spent, *_minutes("good", 0), *_minutes(HOSTILE, 60)]
    every = Objective("*", Fraction("0.9975"))
    window = Window(UNTIL - timedelta(days=1), UNTIL)
    connection = minutes(rows)
    found = list(Budgets([every]).findings(connection, window))
    assert [(one.app, one.kind, one.severity) for one in found] == [
        ("shop", "error_budget_burning", Severity.CRITICAL),
        (HOSTILE, "error_budget_burning", Severity.CRITICAL),
        ("blog", "error_budget_spent", Severity.WARNING),
    ]
    for one in found:
        assert {row[0] for row in connection.execute(one.sql).fetchall()} == {one.app}
        # drainlake takes no such name as an app: the command then asks about all.
        assert (shlex.split(one.command)[-2:] == ["--app", one.app]) is (one.app != HOSTILE)
        assert one.command.isprintable()
        assert one.sql.isprintable()
        assert one.chart is not None
        assert {len(line.values) for line in one.chart.lines} == {len(one.chart.times)}
        assert len(one.chart.times) <= 1500
    assert found[0].chart is not None
    assert found[0].chart.keys[0].value == 60
    assert [round(one.value, 3) for one in found[0].chart.thresholds] == [0.25, 3.6]
    assert [
        one.id for one in Budgets([dataclasses.replace(every, target=Fraction("0.998"))]).findings(connection, window)
    ][:2] == [one.id for one in found[:2]]
    assert [one.app for one in Budgets([every]).findings(connection, Window(window.since, UNTIL, "good"))] == []


def test_the_section_tells_how_objectives_stand(minutes: Minutes) -> None:
    """The worst first, each in a row and in its chart; what is left there ends with what the standing says."""
    connection = minutes([*_minutes("shop", 60), *_minutes("good", 0)])
    objectives = [Objective("*", Fraction("0.995")), Objective("shop", Fraction("0.995")), FAST]
    made = Budgets(objectives).section(connection, Window(UNTIL - timedelta(days=1), UNTIL))
    assert (made.name, made.title) == ("budgets", "Error budgets")
    assert made.sentence.startswith("Of 3 objectives: 1 burning, 2 kept. shop: ")
    assert [row[6] for row in made.answers[0].rows] == ["burning", "kept", "kept"]
    assert connection.execute(made.answers[0].sql).fetchall()
    assert [chart.title for chart in made.charts] == ["shop: error budget left", "good: error budget left"]
    available = made.charts[0].lines[0].values
    assert available[-1] == pytest.approx(100 * made.answers[0].rows[0][5])
    assert available[0] is None
    assert [line.label for line in made.charts[0].lines] == ["availability", "latency under 800ms"]


def test_without_objectives_the_section_proposes_some(minutes: Minutes) -> None:
    """What 30 days would have met, as the line to copy; an app that no setting can name is not in it."""
    rows = [
        *_minutes("shop", 1),
        *_minutes(HOSTILE, 0),
        *({**row, "app": "tiny", "requests": 9} for row in _minutes("", 0, 0.002)),
    ]
    made = Budgets([]).section(minutes(rows), Window(UNTIL - timedelta(days=1), UNTIL))
    assert made.sentence.endswith("DRAINLAKE_OBJECTIVES='shop: 99.99% available'")
    assert [row[0] for row in made.answers[0].rows] == ["shop", HOSTILE, "tiny"]
    assert [round(value, 3) for value in made.answers[0].rows[0][3:]] == [0.95, 0.95, 0.95]
    rows = [row | {"latency_counts": [97, 3]} for row in _minutes("shop", 0)]
    made = Budgets([]).section(minutes(rows), Window(UNTIL - timedelta(days=1), UNTIL))
    assert made.sentence.endswith("DRAINLAKE_OBJECTIVES='shop: 99.99% available, 95% under 500ms'")


def test_an_empty_lake_has_no_findings_and_a_section(minutes: Minutes) -> None:
    """With objectives of named apps nothing is known, without any nothing is proposed."""
    connection = minutes([])
    window = Window(UNTIL - timedelta(days=1), UNTIL)
    assert list(Budgets([THREE_NINES]).findings(connection, window)) == []
    assert "nothing is known of 99.9% available" in Budgets([THREE_NINES]).section(connection, window).sentence
    assert "too few requests to propose any" in Budgets([]).section(connection, window).sentence
    assert (
        Budgets([Objective("*", Fraction("0.99"))]).section(connection, window).sentence
        == "No objective holds for this app."
    )
