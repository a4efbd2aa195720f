"""One incident per cause: findings that explain each other become one, led by the one that explains.

What explains what is the table ``EXPLAINS``, and nothing else: being at the same time explains nothing.
Nothing vanishes: what is not told by itself is a sentence of its leader's ``also``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final

from queries.report.model import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from queries.report.model import Finding

# Effects are seen a little before and after: a router line comes at a request's end, a measurement each minute.
SLACK: Final = timedelta(minutes=10)
# What a change breaks shows in its first hour, or it is not that change.
AFTERMATH: Final = timedelta(hours=1)
# A change this long before an incident may have caused it.
SHORTLY_BEFORE: Final = timedelta(minutes=30)
# An incident of a whole day has every change in it: there, only those about its beginning tell something.
LONG: Final = timedelta(hours=6)
CHANGES_MAX: Final = 5
# What is so all the time has not begun with a change of this window.
STANDING: Final = frozenset({"compression", "cold-cache", "move-slower", "move-errors", "move-gone"})
REQUEST_IDS_MAX: Final = 3


class When(Enum):
    """How the times of cause and effect must lie."""

    WITHIN = "the effect lies within the cause's time"
    OVERLAP = "both have some time in common"
    MOSTLY = "at least half of the effect lies within the cause's time"
    AFTER = "the effect begins after the cause, within its aftermath"


class About(Enum):
    """What cause and effect must be about."""

    ANY = "whatever they are about"
    SAME = "the same subject"


@dataclass(frozen=True)
class Explains:
    """A kind of finding explains others; an effect that ends in * is all kinds that begin so."""

    cause: str
    effects: tuple[str, ...]
    when: When = When.WITHIN
    about: About = About.ANY


EXPLAINS: Final = (
    # A route that holds the workers lets all others wait: errors, slowness and requests in flight are everyone's.
    Explains(
        "timeouts",
        ("timeouts-apart", "php-capacity", "php-workers-busy", "php-killed", "php-slow", "server-errors", "error-code"),
    ),
    Explains("timeouts", ("move-H*", "move-errors", "move-slower"), When.OVERLAP),
    Explains("timeouts", ("anomaly*",), When.MOSTLY),
    Explains("timeouts", ("error_budget*",), When.OVERLAP),
    Explains("timeouts-apart", ("php-killed", "move-H*"), When.OVERLAP),
    # A database that turns connections away: what needs it fails at once, or waits and then fails.
    Explains("connections", ("connections-refused", "database-waiting_connections"), When.OVERLAP),
    Explains("connections", ("timeouts", "php-fatal", "server-errors", "error-code", "php-slow", "php-killed")),
    Explains("connections", ("php-capacity", "php-workers-busy")),
    Explains("connections", ("anomaly*",), When.MOSTLY),
    Explains("connections", ("move-5*", "move-errors", "move-slower", "error_budget*"), When.OVERLAP),
    Explains("connections-refused", ("php-fatal", "server-errors")),
    Explains("connections-refused", ("anomaly*",), When.MOSTLY),
    # A leak fills the dyno, which then swaps and is slow, and is killed in the end.
    Explains("memory-leak", ("memory-quota",), When.OVERLAP, About.SAME),
    Explains("memory-leak", ("anomaly*",), When.MOSTLY, About.SAME),
    Explains("memory-quota", ("anomaly*",), When.MOSTLY, About.SAME),
    Explains("php-memory-limit", ("server-errors", "move-5*", "move-errors", "error_budget*"), When.OVERLAP),
    Explains("php-memory-limit", ("anomaly*",), When.OVERLAP, About.SAME),
    Explains("crashes", ("restarts", "error-code"), When.OVERLAP),
    Explains("crashes", ("server-errors",)),
    Explains("crashes", ("anomaly*",), When.MOSTLY),
    Explains("restarts", ("error-code",)),
    Explains("restarts", ("anomaly*",), When.MOSTLY),
    Explains("php-capacity", ("php-workers-busy",), When.OVERLAP),
    # Where lines are missing there is less of everything.
    Explains("lines-lost", ("anomaly*",), When.MOSTLY),
    Explains("worse-after-change", ("php-fatal", "server-errors", "error-code", "php-slow", "anomaly*"), When.AFTER),
    # The log of a load balancer tells of the same failures; an objective is missed because of them.
    # The alarms see in five minutes what these count in the whole window.
    Explains("error-code", ("anomaly_failed*",), When.MOSTLY),
    Explains("server-errors", ("anomaly_failed*",), When.MOSTLY),
    Explains("error-code", ("move-H*", "move-errors", "error_budget*"), When.OVERLAP),
    Explains("server-errors", ("move-5*", "move-errors", "error_budget*"), When.OVERLAP),
    Explains("php-fatal", ("move-5*", "move-errors", "error_budget*"), When.OVERLAP),
)


@dataclass(frozen=True)
class Change:
    """A deploy, a scaling, a restart of an app, in words."""

    app: str
    at: datetime
    sentence: str


def grouped(findings: Iterable[Finding], changes: Sequence[Change] = ()) -> tuple[Finding, ...]:
    """One finding for each cause, worst first; those it explains are in its ``also``, and changes near it."""
    alone = sorted(_by_id(findings), key=order)
    leaders: dict[str, list[Finding]] = {finding.id: [] for finding in alone}
    by_id = {finding.id: finding for finding in alone}
    first = {finding.id: _cause(finding, alone) for finding in alone}
    for finding in alone:
        leader = _root(finding, first)
        if leader.id != finding.id:
            leaders[leader.id].append(finding)
    explained = {finding.id for effects in leaders.values() for finding in effects}
    kept = (_led(by_id[key], effects) for key, effects in leaders.items() if key not in explained)
    return tuple(sorted((_with_changes(finding, changes) for finding in kept), key=order))


def order(finding: Finding) -> tuple[int, datetime, str, str, str]:
    """By severity, then by time: total for findings of different ids, and the same at each run."""
    return (-finding.severity, finding.since, finding.app, finding.kind, finding.subject)


def _by_id(findings: Iterable[Finding]) -> list[Finding]:
    """Findings of one id are one: the worst leads, the others are told beneath it."""
    same: dict[str, list[Finding]] = {}
    for finding in findings:
        same.setdefault(finding.id, []).append(finding)
    return [_led(*_first_and_rest(alike)) for alike in same.values()]


def _first_and_rest(alike: list[Finding]) -> tuple[Finding, list[Finding]]:
    first, *rest = sorted(alike, key=lambda finding: (*order(finding), finding.sentence))
    return first, rest


def _led(leader: Finding, effects: Sequence[Finding]) -> Finding:
    """The leader with what it explains beneath it; it is as bad as the worst of them."""
    sentences = [*leader.also, *(text for effect in effects for text in (effect.sentence, *effect.also))]
    ids = [*leader.request_ids, *(one for effect in effects for one in effect.request_ids)]
    return replace(
        leader,
        severity=max(finding.severity for finding in (leader, *effects)),
        also=tuple(dict.fromkeys(sentences)),
        request_ids=tuple(dict.fromkeys(ids))[:REQUEST_IDS_MAX],
        chart=next((finding.chart for finding in (leader, *effects) if finding.chart is not None), None),
    )


def _cause(effect: Finding, findings: Sequence[Finding]) -> Finding | None:
    """The finding that explains this one: of several one whose subject it names, of these the worst."""
    causes = [cause for cause in findings if explains(cause, effect)]
    return min(causes, key=lambda cause: (not _names(effect, cause), order(cause)), default=None)


def _names(effect: Finding, cause: Finding) -> bool:
    return bool(cause.subject) and cause.subject in effect.sentence


def _root(finding: Finding, causes: Mapping[str, Finding | None]) -> Finding:
    """Follow causes to the one that has none. ``EXPLAINS`` has no circle (a test holds that), so this ends."""
    while (cause := causes[finding.id]) is not None:
        finding = cause
    return finding


def explains(cause: Finding, effect: Finding) -> bool:
    """Whether the table says that ``cause`` explains ``effect``, with their times and subjects."""
    if cause.app != effect.app or cause.id == effect.id:
        return False
    return any(
        _is_kind(effect.kind, rule.effects) and _fits(rule, cause, effect)
        for rule in EXPLAINS
        if rule.cause == cause.kind
    )


def _is_kind(kind: str, patterns: Iterable[str]) -> bool:
    return any(kind.startswith(each[:-1]) if each.endswith("*") else kind == each for each in patterns)


def _fits(rule: Explains, cause: Finding, effect: Finding) -> bool:
    if rule.about is About.SAME and cause.subject != effect.subject:
        return False
    if rule.when is When.AFTER:
        return cause.since - SLACK <= effect.since <= cause.since + AFTERMATH
    begins, ends = cause.since - SLACK, cause.until + SLACK
    if rule.when is When.MOSTLY:
        return 2 * (min(effect.until, ends) - max(effect.since, begins)) >= effect.until - effect.since
    if rule.when is When.WITHIN:
        return begins <= effect.since and effect.until <= ends
    return effect.since <= ends and begins <= effect.until


def _with_changes(finding: Finding, changes: Sequence[Change]) -> Finding:
    """The finding with the changes in it, or shortly before it, named, if something is wrong."""
    if finding.severity < Severity.WARNING or finding.kind in STANDING:
        return finding
    ends = finding.until if finding.until - finding.since <= LONG else finding.since + SHORTLY_BEFORE
    begins = finding.since - SHORTLY_BEFORE
    near = [one for one in changes if one.app == finding.app and begins <= one.at <= ends and not _is_it(finding, one)]
    near.sort(key=lambda one: (abs(one.at - finding.since), one.sentence))
    told = sorted(near[:CHANGES_MAX], key=lambda one: (one.at, one.sentence))
    return replace(finding, also=tuple(dict.fromkeys((*finding.also, *(one.sentence for one in told)))))


def _is_it(finding: Finding, change: Change) -> bool:
    """Whether the finding is about this very change, which its sentence names."""
    return finding.kind == "worse-after-change" and finding.since == change.at
