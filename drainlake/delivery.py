"""The schedule as commands run it: settings, lake and clock put together with the rules of ``queries/delivery``."""

from __future__ import annotations

import random
import time
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from drainlake import posting
from drainlake.errors import Failure
from drainlake.hostile import escape_markdown
from drainlake.notes import lake_notes
from drainlake.posting import Content
from queries.delivery import ledger as ledgers
from queries.delivery import messages, outbox
from queries.delivery.ledger import Kind, Message, Parcel
from queries.delivery.mutes import muted
from queries.delivery.runs import LATE_FROM
from queries.delivery.schedule import Done, Makers, Plan, run
from queries.delivery.sending import Post, Sent, deliver, no_fault
from queries.report.model import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from drainlake.settings import Settings
    from queries.delivery.notes import Notes
    from queries.delivery.outbox import Begun
    from queries.report.model import Finding, Report

SETTLE_MAX: Final = timedelta(seconds=90)


@dataclass(frozen=True)
class Reporting:
    """Who makes reports and findings, and who renders a report: as a page, and as Markdown for mail."""

    report: Callable[[Settings, Window, datetime], Report]
    check: Callable[[Settings, datetime], Sequence[Finding]]
    page: Callable[[Report], str]
    markdown: Callable[[Report], str]


def reporting() -> Reporting:
    """What makes and renders reports here; imported when a run needs it, as most looks find nothing due."""
    from drainlake import reporting as makers  # noqa: PLC0415
    from queries.report import as_html, as_markdown  # noqa: PLC0415

    return Reporting(makers.make_report, makers.check, as_html.render, as_markdown.render)


def run_schedule(
    settings: Settings, maker: Reporting, fault: Callable[[str], None] = no_fault, claimant: str = ""
) -> Done:
    """Do what is due now, and send what waits; raises :class:`Failure` where the lake or its notes refuse.

    ``claimant`` is who starts one such process after the other: those that it started before are dead.
    """
    posting.check(settings.notify)
    with lake_notes(settings) as notes:
        post = replace(_post(settings, notes, maker, claimant), fault=fault)
        return run(post, plan_of(settings), _makers(settings, notes, maker))


def send_report(settings: Settings, report: Report, maker: Reporting) -> list[Sent]:
    """Send a report now, beside the schedule; what cannot be sent is kept, and the schedule tries again."""
    plan = plan_of(settings)
    if not plan.report_to:
        raise Failure("DRAINLAKE_NOTIFY names no place for reports.", "DRAINLAKE_NOTIFY=mailto://… or a folder")
    now = _now()
    name = f"{Kind.REPORT}-{now:%Y%m%dT%H%M%S}Z-asked"
    text = messages.report_text(report, (), plan.zone)
    save(settings, name, report, text, maker)
    title = messages.report_title(report, plan.zone)
    parcels = tuple(Parcel(each) for each in plan.report_to)
    window = report.window
    message = Message(name, Kind.REPORT, now, now, title, text, parcels, window.since, window.until)
    with lake_notes(settings) as notes:
        ledgers.transact(notes, lambda ledger: (outbox.enqueue(ledger, message), None))
        tries = deliver(_post(settings, notes, maker), plan.destinations)
    return [each for each in tries if each.message_id == name]


def send_test(settings: Settings) -> Mapping[str, str]:
    """Send a test message to each destination; gives why it failed by name, '' where it went. No ledger, no retries."""
    now = _now()
    message = Message(f"alarm-{now:%Y%m%dT%H%M%S}Z-test", Kind.ALARM, now, now, "", "")
    content = Content("drainlake: a test", "This is how drainlake reaches you. Nothing is wrong.\n")
    said = {}
    for destination in settings.notify:
        try:
            posting.post(destination, message, content)
            said[destination.name] = ""
        except outbox.Refused as error:
            said[destination.name] = str(error)
        except outbox.Unsure:
            said[destination.name] = "it took too long, and may have it"
    return said


def plan_of(settings: Settings) -> Plan:
    """When what is due, and the names of where it goes. Without a place for alarms nothing is checked."""
    report_to, alarm_to = (
        tuple(each.name for each in settings.notify if role in each.roles) for role in ("reports", "alarms")
    )
    check_at = settings.check_at if alarm_to else None
    return Plan(settings.timezone, settings.report_at, check_at, settings.quiet, report_to, alarm_to)


def save(settings: Settings, name: str, report: Report, text: str, maker: Reporting) -> None:
    """Keep a report in ``reports/`` of the home as page, Markdown and short text; the oldest beyond 60 go."""
    folder = settings.home / "reports"
    for ending, rendered in ((".md", maker.markdown(report)), (".txt", text), (".html", maker.page(report))):
        posting.publish(folder / f"{name}{ending}", rendered.encode("utf-8", "replace"))
    posting.prune(folder)


def _makers(settings: Settings, notes: Notes, maker: Reporting) -> Makers:
    return Makers(
        report=lambda window, now: maker.report(settings, window, now),
        check=lambda now: maker.check(settings, now),
        muted=lambda now: tuple(muted(notes, now)),
        save=lambda name, report, text: save(settings, name, report, text, maker),
        settle=lambda due_at: _settle(settings, due_at),
    )


def _settle(settings: Settings, due_at: datetime) -> None:
    """Wait until what was logged before a due instant has landed; the next report would begin after it."""
    wanted = min(timedelta(seconds=2 * settings.land_seconds), SETTLE_MAX)
    _sleep(min(max((due_at + wanted - _now()).total_seconds(), 0.0), SETTLE_MAX.total_seconds()))


def _post(settings: Settings, notes: Notes, maker: Reporting, claimant: str = "") -> Post:
    own = f"{claimant}:{uuid.uuid4().hex}:"
    return Post(
        notes,
        send=lambda begun: _send(settings, begun, maker),
        now=_now,
        sleep=_sleep,
        new_token=lambda: f"{own}{uuid.uuid4().hex}",
        jitter=random.random,
        is_quiet=lambda now: settings.quiet is not None and settings.quiet.contain(now),
        is_dead=lambda token: bool(claimant) and token.startswith(f"{claimant}:") and not token.startswith(own),
    )


def _send(settings: Settings, begun: Begun, maker: Reporting) -> None:
    destination = next((each for each in settings.notify if each.name == begun.destination), None)
    if destination is None:
        raise outbox.Refused("it is no destination any more")
    posting.post(destination, begun.message, _content(settings, begun.message, maker))


def _content(settings: Settings, message: Message, maker: Reporting) -> Content:
    """What goes out: a report with its files, which are made again where they were made on another disk."""
    late = messages.with_lateness(message.text, message.due_at, _now(), LATE_FROM.total_seconds(), settings.timezone)
    content = Content(message.title, late, is_bad=message.kind is Kind.ALARM)
    if message.since is None or message.until is None:
        return content
    page = settings.home / "reports" / f"{message.id}.html"
    try:
        if not (page.is_file() and page.with_suffix(".md").is_file()):
            report = maker.report(settings, Window(message.since, message.until), _now())
            save(settings, message.id, report, message.text, maker)
        body = messages.mail_markdown(page.with_suffix(".md").read_text("utf-8"))
    except Exception as error:  # noqa: BLE001 - the short text is better than nothing
        lost = f"\nThe page is not attached: it could not be read or made again ({type(error).__name__}).\n"
        return replace(content, text=late + lost)
    told = [line for line in late.removesuffix(message.text).splitlines() if line] + list(message.told)
    head = "".join(f"{escape_markdown(line)}\n\n" for line in told)
    return replace(content, page=page, markdown=head + body)


def _sleep(seconds: float) -> None:
    time.sleep(seconds)


def _now() -> datetime:
    return datetime.now(UTC)
