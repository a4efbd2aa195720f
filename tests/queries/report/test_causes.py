"""One incident per cause: what explains what, and that nothing vanishes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from graphlib import TopologicalSorter
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queries.report.causes import EXPLAINS, Change, grouped, order
from queries.report.model import Finding, Severity

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
KINDS = sorted({rule.cause for rule in EXPLAINS} | {kind for rule in EXPLAINS for kind in rule.effects})


def finding(
    kind: str, subject: str = "", since: int = 0, until: int = 10, severity: int = 2, app: str = "shop", **more: object
) -> Finding:
    """A finding from ``since`` to ``until`` minutes after noon."""
    begins, ends = (NOON + timedelta(minutes=minutes) for minutes in (since, until))
    sentence = f"{app} {kind} {subject} {since} {until}."
    return Finding(kind, app, subject, Severity(severity), sentence, begins, ends, "SELECT 1", "true", **more)  # type: ignore[arg-type]


# name: (leader, effect, whether the leader explains it)
CASES = {
    "a burst explains the workers that were missing in it": (
        finding("timeouts", "/search"), finding("php-capacity", since=5, until=5), True),
    "and what php-fpm killed a little after it": (
        finding("timeouts", "/search"), finding("php-killed", "/search", since=-1, until=15), True),
    "a burst does not explain workers missing at another time": (
        finding("timeouts", "/search"), finding("php-capacity", since=90, until=90), False),
    "a burst does not explain errors of the whole day": (
        finding("timeouts", "/search"), finding("server-errors", since=-600, until=600), False),
    "nor anything of another app": (
        finding("timeouts", "/search"), finding("php-capacity", app="blog"), False),
    "a database at its limit explains the errors that PHP made of it": (
        finding("connections", "DATABASE"), finding("php-fatal", "db.php:70"), True),
    "and the timeouts of that time": (finding("connections", "DATABASE"), finding("timeouts", "/cart"), True),
    "a leak explains the R14s of its dyno": (
        finding("memory-leak", "web.1", since=-400), finding("memory-quota", "web.1"), True),
    "but not those of another dyno": (
        finding("memory-leak", "web.1", since=-400), finding("memory-quota", "web.2"), False),
    "a deploy that made things worse explains the error that began with it": (
        finding("worse-after-change", "deploy v1", until=0), finding("php-fatal", "a.php:1", since=3, until=400), True),
    "a count of errors explains the alarm that saw them come": (
        finding("server-errors"), finding("anomaly_failed_up", "/", since=-5), True),
    "a burst explains an alarm that began a step or two before it": (
        finding("timeouts", "/search"), finding("anomaly_failed_up", since=-15), True),
    "but no alarm that goes on for hours": (
        finding("timeouts", "/search"), finding("anomaly_p95_ms_up", since=-15, until=300), False),
    "a count of errors explains no alarm of another time": (
        finding("server-errors"), finding("anomaly_failed_up", "/", since=90, until=95), False),
    "but not one that was there before": (
        finding("worse-after-change", "deploy v1", until=0), finding("php-fatal", "a.php:1", since=-60), False),
    "two things at one time need not be one": (finding("compression"), finding("cold-cache", "/"), False),
}  # fmt: skip


@pytest.mark.parametrize(("leader", "effect", "is_one"), CASES.values(), ids=CASES)
def test_what_explains_what(leader: Finding, effect: Finding, is_one: bool) -> None:
    """The effect becomes a sentence beneath its cause, or stays an incident of its own."""
    found = grouped([effect, leader])
    assert (len(found) == 1) is is_one
    if is_one:
        assert found[0].id == leader.id
        assert found[0].also == (effect.sentence,)


def test_a_chain_of_causes_is_led_by_the_first() -> None:
    """A database at its limit caused the burst, which caused the lack of workers."""
    found = grouped([finding("php-capacity"), finding("timeouts", "/cart"), finding("connections", "DATABASE")])
    assert [one.kind for one in found] == ["connections"]
    assert len(found[0].also) == 2


def test_of_two_causes_the_one_whose_subject_is_named_is_taken() -> None:
    """Both explain errors in general; the errors were on one route."""
    burst, limit = finding("timeouts", "/cart", severity=3), finding("php-memory-limit", "/list")
    errors = finding("move-errors", "/list")
    assert [one.also for one in grouped([burst, limit, errors])] == [(), (errors.sentence,)]


def test_two_findings_of_one_id_are_one() -> None:
    """Two bursts with one culprit are muted by one id; the worse one leads."""
    first, second = (
        finding("timeouts", "/cart", severity=2),
        finding("timeouts", "/cart", since=300, until=310, severity=3),
    )
    [one] = grouped([first, second])
    assert (one.sentence, one.also, one.severity) == (second.sentence, (first.sentence,), Severity.CRITICAL)


def test_the_leader_is_as_bad_as_the_worst_and_keeps_request_ids() -> None:
    """Nothing that helps is lost with the effect."""
    burst = finding("timeouts", "/cart", severity=2, request_ids=("a",))
    effect = finding("php-capacity", severity=3, request_ids=("b", "a", "c", "d"))
    [one] = grouped([burst, effect])
    assert (one.severity, one.request_ids) == (Severity.CRITICAL, ("a", "b", "c"))


def test_changes_near_an_incident_are_named() -> None:
    """Those within it and up to half an hour before, of its app, if something is wrong; a deploy not twice."""
    changes = [
        Change("shop", NOON + timedelta(minutes=minutes), f"change at {minutes}.") for minutes in (-40, -20, 5, 40)
    ] + [Change("blog", NOON, "of another app.")]
    kinds = [grouped([one], changes)[0].also for one in (finding("timeouts"), finding("timeouts", severity=1))]
    assert kinds == [("change at -20.", "change at 5."), ()]
    deploy = finding("worse-after-change", "deploy v1", since=5, until=5)
    assert grouped([deploy], changes)[0].also == ("change at -20.",)


def test_the_table_has_no_circle() -> None:
    """Else two findings could explain each other away."""
    graph: dict[str, set[str]] = {}
    for rule in EXPLAINS:
        for effect in rule.effects:
            graph.setdefault(effect, set()).add(rule.cause)
            assert not rule.cause.startswith(effect.rstrip("*")), rule
    assert list(TopologicalSorter(graph).static_order())


FINDINGS = st.lists(
    st.builds(
        finding,
        kind=st.sampled_from([kind.rstrip("*") or "x" for kind in KINDS] + ["cold-cache"]),
        subject=st.sampled_from(["", "web.1", "/cart"]),
        since=st.integers(-30, 30),
        until=st.integers(31, 60),
        severity=st.integers(1, 3),
        app=st.sampled_from(["shop", "blog"]),
    ),
    max_size=8,
)


@given(FINDINGS)
def test_nothing_vanishes_and_the_worst_stays(findings: list[Finding]) -> None:
    """Each finding leads or is told beneath one; each app's worst severity is kept."""
    found = grouped(findings)
    told = {sentence for one in found for sentence in (one.sentence, *one.also)}
    assert {one.sentence for one in findings} == told
    for app in ("shop", "blog"):
        severities = [[one.severity for one in some if one.app == app] for some in (findings, found)]
        assert max(severities[0], default=None) == max(severities[1], default=None)
    assert len({one.id for one in found}) == len(found)


@given(FINDINGS.filter(lambda some: len(some) <= 4))
def test_the_order_of_the_checks_changes_nothing(findings: list[Finding]) -> None:
    """Worst first, in an order that is total: the same report at each run."""
    found = grouped(findings)
    assert list(found) == sorted(found, key=order)
    assert all(grouped(some) == found for some in permutations(findings))
