"""The short fault soak over Kafka, and that its checks see what they are for."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from tests.soak.kafka.__main__ import TRACEBACK, soak
from tests.soak.kafka.checks import Found, differences
from tests.soak.kafka.drains import Delivery, Notice, Try
from tests.soak.kafka.schedule import KINDS, plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SEED = 20261124
SECONDS = 18.0
SESSION_MS = 3000
SINCE = "2026-11-24T10:00:00.000000+00:00"


@pytest.mark.timeout(300)  # a busy host takes its time to start brokers; what is not landed in time is told
def test_faults_of_all_kinds_at_once_lose_and_double_nothing(tmp_path: Path) -> None:
    """Receivers, landers and brokers die and stand still while drains send: all acknowledged lines land once."""
    assert soak(tmp_path, SECONDS, SEED, SESSION_MS).differences == []


def test_the_same_seed_gives_the_same_faults() -> None:
    """Each kind comes, brokers heal before the next one is hit, and another seed gives other faults."""
    faults = plan(SEED, 300.0)
    assert faults == plan(SEED, 300.0)
    assert faults != plan(SEED + 1, 300.0)
    assert {fault.kind for fault in faults} == set(KINDS)
    assert all(fault.at_seconds + fault.lasts_seconds <= 300.0 for fault in faults)
    brokers = [fault for fault in faults if "leader" in fault.kind or "broker" in fault.kind]
    for one, other in itertools.pairwise(brokers):
        assert one.at_seconds + one.lasts_seconds < other.at_seconds


def sent() -> list[Delivery]:
    """One delivery that was acknowledged on its second try, and one that never was."""
    kept = Delivery("ant", "a", ["a1", "a2"], b"", is_acknowledged=True, notices=[Notice(SINCE, 3, b"", True)])
    kept.tries = [Try("a", 2, None, 0.1), Try("a", 3, 204, 0.1)]
    lost = Delivery("ant", "b", ["b1"], b"", tries=[Try("b", 1, 503, 0.1), Try("b", 1, None, 0.0, is_refused=True)])
    return [kept, lost]


def found() -> Found:
    """A lake that holds what it may of that."""
    return Found({"a1": 1, "a2": 1, "b1": 1}, {SINCE: (1, 3)}, [], {"a": (2, 5, 3), "b": (1, 1, 1)})


def test_a_lake_that_is_right_shows_no_difference() -> None:
    """What was not acknowledged may be there or not."""
    assert differences(sent(), found()) == []
    without = found()._replace(lines={"a1": 1, "a2": 1}, ledger={"a": (1, 3, 3)})
    assert differences(sent(), without) == []


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda right: right._replace(lines={"a1": 1, "b1": 1}), "acknowledged and not in the lake: a2"),
        (lambda right: right._replace(lines={**right.lines, "b1": 2}), "2 times in the lake: b1"),
        (lambda right: right._replace(lines={**right.lines, "x": 1}), "in the lake and never sent: x"),
        (lambda right: right._replace(notices={}), "acknowledged and not in the lake: the notice of 3"),
        (lambda right: right._replace(notices={SINCE: (2, 6)}), "the notice of 3"),
        (lambda right: right._replace(ledger={**right.ledger, "a": (3, 5, 3)}), "a: 3 rows in the ledger"),
        (lambda right: right._replace(ledger={**right.ledger, "a": (2, 6, 3)}), "a: 6 lines in the ledger"),
        (lambda right: right._replace(ledger={**right.ledger, "a": (2, 5, 5)}), "a: 5 new lines in the ledger"),
        (lambda right: right._replace(odd=["a defect"]), "a defect"),
    ],
)
def test_the_checks_see_what_is_wrong(spoil: Callable[[Found], Found], said: str) -> None:
    """Each promise that is broken is told."""
    assert any(sentence.startswith(said) for sentence in differences(sent(), spoil(found())))


def test_a_late_answer_is_told() -> None:
    """Heroku waits five seconds, the receiver promises four."""
    late = Delivery("ant", "c", ["c1"], b"", is_acknowledged=True, tries=[Try("c", 1, 204, 4.2)])
    lake = Found({"c1": 1}, {}, [], {"c": (1, 1, 1)})
    assert differences([late], lake) == ["c: answered 204 after 4.20 s"]


@pytest.mark.parametrize(
    ("said", "is_one"),
    [
        (
            "serve: kafka.net.transport: closing socket: ConnectionResetError | Traceback (most recent call last): |",
            False,
        ),
        ("land: ended by a bug | Traceback (most recent call last): | File", True),
        ("receiving on http://127.0.0.1:1/logs\nTraceback (most recent call last):\n  File", True),
    ],
)
def test_a_traceback_is_told_from_a_reset_connection(said: str, *, is_one: bool) -> None:
    """A broker that is killed resets connections, which its client logs with a traceback; any other is a fault."""
    assert (TRACEBACK.search(said) is not None) == is_one
