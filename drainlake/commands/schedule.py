"""``drainlake schedule``: reports and alarms when they are due."""

from __future__ import annotations

import logging
import signal
import time
import uuid
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

import click

from drainlake.dynos import refuse_scratch
from drainlake.errors import Failure
from drainlake.options import with_settings
from drainlake.ownlog.setup import keeps_own_log, started
from drainlake.scheduling import RUN_SECONDS_MAX, look_again_and_again, look_once, utc_now
from drainlake.stopping import StopRequest, stop_signals
from drainlake.supervisor import stop_with_parent
from ingest.oplog import tell

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from types import FrameType

    from drainlake.delivery import Reporting
    from drainlake.settings import Settings
    from queries.delivery.cron import Cron
    from queries.delivery.schedule import Done
    from queries.report.model import Report, Severity, Window

PATIENCE_SECONDS: Final = RUN_SECONDS_MAX + 300.0  # without a sign of life; a look is one, and so is each short wait


@click.command("schedule", epilog="Example: drainlake schedule --once")
@click.option("--once", is_flag=True, help="Do what is due and end: for cron, Heroku Scheduler, a CronJob.")
@click.option("--test", "is_test", is_flag=True, help="Send a test message to each place of DRAINLAKE_NOTIFY.")
@click.option("--work", "claimant", hidden=True, help="Be the child process that does a run, for this claimant.")
@click.pass_context
@with_settings
@keeps_own_log("schedule")
def command(settings: Settings, ctx: click.Context, once: bool, is_test: bool, claimant: str | None) -> int:
    """Make reports (DRAINLAKE_REPORT_AT) and look for alarms (DRAINLAKE_CHECK_AT), until SIGTERM or Ctrl-C.

    Reports are kept in reports/ of the home and go where DRAINLAKE_NOTIFY says. Any number of these processes may run
    at once: nothing is sent twice. The exit code is 1 when something could not be made or sent; it is kept, and the
    next run tries again.
    """
    if is_test:
        return _test(settings)
    if claimant:
        return _work(settings, claimant)
    refuse_scratch(settings, lake=True)
    supervised = ctx.find_root().obj["supervised"]
    if supervised:
        stop_with_parent()
    stop = StopRequest().listen()
    arguments = ["--home", str(settings.home), "schedule", "--work", uuid.uuid4().hex]

    def look() -> int:
        return look_once(arguments, stop.event, partial(tell, "schedule"))

    if once:
        return look()
    started(settings, "schedule")
    crons = [cron for cron in (settings.report_at, settings.check_at if settings.notify else None) if cron is not None]
    code = _watch(settings, crons, look, stop, supervised=supervised)
    tell("schedule", "stopped", f"schedule: stopped ({stop.why or f'exit code {code}'}).", why=stop.why, code=code)
    return code


def _watch(
    settings: Settings, crons: Sequence[Cron], look: Callable[[], int], stop: StopRequest, *, supervised: bool
) -> int:
    """Look again and again, and show how that goes."""
    from drainlake.figures.showing import showing  # noqa: PLC0415 - `--once` does not need it

    with showing(settings, "schedule", PATIENCE_SECONDS, lambda process: (), supervised=supervised) as vitals:  # noqa: ARG005

        def timed_look() -> int:
            begun = time.monotonic()
            code = look()
            vitals.ended(time.monotonic() - begun, is_good=code == 0)
            return code

        def wait(seconds: float) -> bool:
            vitals.heard()
            return stop.event.wait(seconds)

        return look_again_and_again(crons, timed_look, wait, utc_now)


def _test(settings: Settings) -> int:
    from drainlake import posting  # noqa: PLC0415 - polars is slow to import
    from drainlake.delivery import send_test  # noqa: PLC0415

    if not settings.notify:
        raise Failure("DRAINLAKE_NOTIFY is not set.", "DRAINLAKE_NOTIFY='slack://…', see docs/delivery.md")
    posting.check(settings.notify)
    said = send_test(settings)
    for name, reason in said.items():
        click.echo(f"{name}: {reason or 'went'}")
    return 1 if any(said.values()) else 0


class _Stop:
    """A signal ends the run, but not between beginning to send a message and noting how that went."""

    def __init__(self) -> None:
        self.is_sending = False
        self.is_wanted = False

    def on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - signal's signature
        self.is_wanted = True
        if not self.is_sending:
            self._end()

    def at(self, point: str) -> None:
        """Called at each step of the protocol."""
        self.is_sending = point in {"sending", "begun", "accepted"}
        if self.is_wanted and not self.is_sending:
            self._end()

    def _end(self) -> None:
        self.listen_no_more()
        raise SystemExit(0)

    @staticmethod
    def listen_no_more() -> None:
        """The process is about to end: a second signal would be raised inside what Python calls at its exit."""
        for number in stop_signals():
            signal.signal(number, signal.SIG_IGN)


def _work(settings: Settings, claimant: str) -> int:
    from drainlake.delivery import reporting, run_schedule  # noqa: PLC0415 - polars is slow to import
    from drainlake.figures.report_file import note_reports  # noqa: PLC0415

    stop_with_parent()
    stop = _Stop()
    for number in stop_signals():
        signal.signal(number, stop.on_signal)
    maker, findings = _noting(reporting())
    done = run_schedule(settings, maker, stop.at, claimant)
    note_reports(settings, findings)
    stop.listen_no_more()
    return tell_of(done)


def _noting(maker: Reporting) -> tuple[Reporting, list[list[Severity]]]:
    """The maker, and a list to which each report that it makes adds the severities of its findings."""
    found: list[list[Severity]] = []

    def report(settings: Settings, window: Window, now: datetime) -> Report:
        made = maker.report(settings, window, now)
        found.append([finding.severity for finding in made.findings])
        return made

    return replace(maker, report=report), found


def tell_of(done: Done) -> int:
    """Say what a run did, as one line each; gives the exit code."""
    from queries.delivery.messages import plain_line  # noqa: PLC0415 - it comes with what made the run

    for title in done.made:
        tell("schedule", "report_made", f"schedule: made: {plain_line(title)}", about=title)
    last = {(each.message_id, each.destination): each.reason for each in done.tries}
    for (message, destination), reason in last.items():
        event, how = ("send_failed", f"{reason}; it is kept and tried again") if reason else ("sent", "sent")
        tell(
            "schedule", event, f"schedule: {message} to {destination}: {how}",
            level=logging.WARNING if reason else logging.INFO, about=f"{message} {destination}",
            message_id=message, destination=destination, reason=reason or None,
        )  # fmt: skip
    for sentence in done.failures:
        tell("schedule", "run_failed", f"schedule: {plain_line(sentence)}", level=logging.ERROR, about=sentence)
    return 1 if done.failures or any(last.values()) else 0
