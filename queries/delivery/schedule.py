"""One run of the schedule: what is due is claimed, made, put in the outbox; then all that waits is sent.

``fault`` is called at each step of the protocol in ``ledger`` with the step's name.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from queries.delivery import episodes, messages, runs
from queries.delivery.episodes import Rules
from queries.delivery.ledger import Kind, Ledger, Message, Parcel, transact
from queries.delivery.outbox import enqueue
from queries.delivery.sending import Sent, deliver
from queries.report.model import Severity, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from queries.delivery.cron import Cron
    from queries.delivery.quiet import QuietHours
    from queries.delivery.runs import Work
    from queries.delivery.sending import Post
    from queries.report.model import Finding, Report

REASON_MAX_CHARS: Final = 300
FAILED: Final = {Kind.ALARM: "Nothing can be checked", Kind.REPORT: "The report could not be made"}
DIED: Final = "the process that did it was killed, or had no memory left"


@dataclass(frozen=True)
class Plan:
    """When what is due, and where it goes. A cron of None is off; destinations are names."""

    zone: ZoneInfo
    report_at: Cron | None
    check_at: Cron | None
    quiet: QuietHours | None = None
    report_to: tuple[str, ...] = ()
    alarm_to: tuple[str, ...] = ()

    @property
    def destinations(self) -> frozenset[str]:
        """All of them."""
        return frozenset(self.report_to + self.alarm_to)


@dataclass(frozen=True)
class Makers:
    """What makes the contents. ``check`` gives all findings that are so and may ring; ``muted`` the muted ids.

    ``save`` keeps a report's page and text under a message's id. ``settle`` waits until what was logged before a due
    instant can be in the lake.
    """

    report: Callable[[Window, datetime], Report]
    check: Callable[[datetime], Sequence[Finding]]
    muted: Callable[[datetime], Sequence[str]]
    save: Callable[[str, Report, str], None]
    settle: Callable[[datetime], None] = field(default=lambda due_at: None)  # noqa: ARG005


@dataclass(frozen=True)
class Done:
    """What a run did. ``failures`` are sentences about what could not be made."""

    tries: tuple[Sent, ...] = ()
    made: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()


def run(post: Post, plan: Plan, makers: Makers) -> Done:
    """Send what was kept, then do what is due, and send that."""
    tries = deliver(post, plan.destinations, timedelta(0))  # no pauses: they would keep an alarm waiting
    made: list[str] = []
    failures: list[str] = []
    for kind, cron, make in ((Kind.ALARM, plan.check_at, _check), (Kind.REPORT, plan.report_at, _report)):
        work = _claim(post, plan, kind, cron) if cron is not None else None
        if work is None:
            continue
        post.fault(f"{kind} claimed")
        try:
            made += make(post, plan, makers, work)
        except Exception as error:  # noqa: BLE001 - one that cannot be made must not keep the other from being made
            failures.append(_failed(post, plan, work, error))
        except BaseException:  # told to stop: the next process need not wait for the lease to end
            transact(post.notes, lambda ledger: (runs.release(ledger, work), None))  # noqa: B023 - called at once
            raise
        post.fault(f"{kind} enqueued")
        if kind is Kind.ALARM:  # it does not wait until the report is made
            tries += deliver(post, plan.destinations, timedelta(0))
    tries += deliver(post, plan.destinations)
    return Done(tuple(tries), tuple(made), tuple(failures))


def _claim(post: Post, plan: Plan, kind: Kind, cron: Cron) -> Work | None:
    """Claim what is due. A run that died counts as one that failed: where each one dies, somebody must be told."""
    token = post.new_token()

    def change(ledger: Ledger) -> tuple[Ledger, Work | None]:
        now = post.now()
        if (dead := runs.abandoned(ledger, kind, cron, now, post.is_dead)) is not None:
            ledger = _with_failure(ledger, plan, dead, DIED, now, timedelta(0))
        return runs.claim(ledger, kind, cron, now, token)

    return transact(post.notes, change)


def _check(post: Post, plan: Plan, makers: Makers, work: Work) -> list[str]:
    now = post.now()
    findings = makers.check(now)
    rules = Rules(frozenset(makers.muted(now)), plan.quiet is not None and plan.quiet.contain(now))
    return transact(post.notes, lambda ledger: _observed(ledger, plan, work, findings, (now, rules)))


def _observed(
    ledger: Ledger, plan: Plan, work: Work, findings: Sequence[Finding], at: tuple[datetime, Rules]
) -> tuple[Ledger, list[str]]:
    if not runs.holds(ledger, work):
        return ledger, []
    now, rules = at
    ledger, rings = episodes.observe(runs.finish(ledger, work), findings, now, rules)
    if not rings:
        return ledger, []
    ledger, news = episodes.take_news(ledger, now)
    title = messages.alarm_title(rings)
    message = _message(work, now, title, messages.alarm_text(rings, news, plan.zone), plan.alarm_to)
    is_critical = any(each.severity >= Severity.CRITICAL for each in rings)
    return enqueue(ledger, replace(message, is_critical=is_critical)), [title]


def _report(post: Post, plan: Plan, makers: Makers, work: Work) -> list[str]:
    makers.settle(work.due_at)
    now = post.now()
    report = makers.report(Window(work.since, work.due_at), now)
    late_seconds = (now - work.due_at).total_seconds()
    late_by = messages.span(late_seconds) if late_seconds >= runs.LATE_FROM.total_seconds() else ""
    late = messages.lateness(work, late_by, plan.zone)
    makers.save(message_id(work), report, messages.report_text(report, late, plan.zone))
    post.fault("report saved")

    def put(ledger: Ledger) -> tuple[Ledger, list[str]]:
        if not runs.holds(ledger, work):
            return ledger, []
        ledger = runs.finish(ledger, work)
        news: tuple[str, ...] = ()
        if plan.report_to:  # news told to nobody would be lost
            ledger, news = episodes.take_news(ledger, now)
        title = messages.report_title(report, plan.zone)
        text = messages.report_text(report, late + news, plan.zone)
        message = _message(work, now, title, text, plan.report_to)
        since, until = report.window.since, report.window.until
        return enqueue(ledger, replace(message, told=late + news, since=since, until=until)), [title]

    return transact(post.notes, put)


def _failed(post: Post, plan: Plan, work: Work, error: Exception) -> str:
    """Note that a run failed; gives the sentence."""
    reason = (str(error).splitlines() or [""])[0][:REASON_MAX_CHARS] or type(error).__name__
    now = post.now()

    def put(ledger: Ledger) -> tuple[Ledger, None]:
        return _with_failure(ledger, plan, work, reason, now, runs.RETRY_PAUSE) if runs.holds(
            ledger, work
        ) else ledger, None

    transact(post.notes, put)
    return f"{FAILED[work.kind]}: {reason.rstrip('.')}."


def _with_failure(ledger: Ledger, plan: Plan, work: Work, reason: str, now: datetime, pause: timedelta) -> Ledger:
    """With a run that failed, and what is told once several have."""
    ledger, is_told = runs.fail(ledger, work, now, pause)
    if not is_told:
        return ledger
    ledger, news = episodes.take_news(ledger, now)
    to = plan.alarm_to if work.kind is Kind.ALARM else plan.report_to
    what = FAILED[work.kind]
    text = messages.failure_text(what, reason, news)
    return enqueue(ledger, _message(work, now, f"drainlake: {what.lower()}", text, to))


def _message(work: Work, now: datetime, title: str, text: str, to: tuple[str, ...]) -> Message:
    parcels = tuple(Parcel(name) for name in to)
    return Message(message_id(work), work.kind, work.due_at, now, title, text, parcels)


def message_id(work: Work) -> str:
    """The name of a run's message, and of its files: the same for whoever does the run."""
    return f"{work.kind}-{work.due_at:%Y%m%dT%H%M}Z"
