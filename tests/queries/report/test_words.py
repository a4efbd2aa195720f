"""How a report writes figures and times in its sentences."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from queries.report.formatting import heading, share
from queries.report.model import Finding, Severity, Window
from queries.report.verdict import verdict
from queries.report.words import at, during, times
from queries.trust import Trust, trust_line

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
DAY = Window(NOON, NOON + timedelta(days=1))
WEEK = Window(NOON - timedelta(days=6), NOON + timedelta(days=1))


@pytest.mark.parametrize(
    ("window", "since", "until", "said"),
    [
        (DAY, 1, 2, "between 13:00 and 14:00 UTC"),
        (DAY, 1, 1, "at 13:00 UTC"),
        (DAY, 11, 13, "between 23:00 and 01:00 UTC the next day"),
        (DAY, 11, 25, "between 23:00 and 2026-11-26 13:00 UTC"),
        (DAY, -1, 2, "between 2026-11-25 11:00 and 14:00 UTC"),
        (WEEK, 1, 2, "between 2026-11-25 13:00 and 14:00 UTC"),
        (WEEK, 1, 13, "between 2026-11-25 13:00 and 2026-11-26 01:00 UTC"),
    ],
)
def test_a_date_stands_where_it_is_needed_and_once(window: Window, since: float, until: float, said: str) -> None:
    """In a window of a day a time of day is one moment, unless it lies outside; two dates alike are one."""
    assert during(NOON + timedelta(hours=since), NOON + timedelta(hours=until), window) == said


def test_a_moment_before_the_window_has_its_date() -> None:
    """A leak began yesterday: else it reads as today."""
    assert at(NOON - timedelta(hours=2), DAY) == "2026-11-25 10:00 UTC"


@pytest.mark.parametrize("lost", [1, 336, 3_400, 90_000])
def test_a_sentence_and_the_trust_line_say_the_same_share(lost: int) -> None:
    """99.97 % above and 99.96 % below is one lie, and nobody knows which."""
    seen = 1_000_000 / (1_000_000 + lost)
    trust = Trust(received=1_000_000, parsed=0, defective=0, repeated=0, dropped=lost, share_seen=seen)
    if seen > 0.99:
        assert f" {share(seen)} " in trust_line(trust)
    assert not share(seen).startswith("100")


def test_headings_of_a_question_can_be_told_apart() -> None:
    """The autopsy has three columns of the culprit."""
    names = ["culprit", "culprit_seconds", "culprit_share", "service_ms", "bytes_each"]
    assert list(map(heading, names)) == ["culprit", "culprit time", "culprit share", "service", "bytes each"]


def test_once_is_a_word() -> None:
    """And the rest are figures."""
    assert (times(1), times(1200)) == ("once", "1,200 times")


FATAL = ["php-fatal"] * 4


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        ([*FATAL, "crashes"], "Five things are wrong: PHP breaks off with a fatal error, 4 times; dynos crash."),
        (
            ["crashes", "lines-lost", "failures", *FATAL],
            "Seven things are wrong: dynos crash; log lines were lost; requests fail; and 4 more.",
        ),
    ],
)
def test_what_the_verdict_names_and_leaves_out_adds_up(kinds: list[str], said: str) -> None:
    """Several findings of one title count each."""
    findings = [Finding(kind, "shop", "", Severity.WARNING, "It.", NOON, NOON, "SELECT 1", "true") for kind in kinds]
    seen = Trust(received=1, parsed=1, defective=0, repeated=0, dropped=0, share_seen=1.0)
    assert verdict(findings, seen, {}) == said
