"""A run of the schedule in a process of its own, with a clock that is given and, if wanted, a kill at a named step.

``python -m tests.drainlake.reporting_process NOW [POINT [CLAIMANT]]``: settings come from the environment, as
for the command.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from drainlake import delivery, settings
from drainlake.commands.schedule import tell_of
from drainlake.delivery import Reporting
from queries.report.model import Severity
from tests.queries.delivery.world import finding, report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drainlake.settings import Settings
    from queries.report.model import Finding, Report, Window


def _report(_: Settings, window: Window, now: datetime) -> Report:
    return report(window, now, finding())


def _check(_: Settings, now: datetime) -> Sequence[Finding]:
    return [finding("memory", Severity.CRITICAL)] if now.hour == 12 else []


REPORTING = Reporting(_report, _check, lambda made: f"<h1>{made.verdict}</h1>", lambda made: f"# {made.verdict}")


def set_clock(now: datetime) -> None:
    """Set the clock; who sleeps only moves it on."""

    def sleep(seconds: float) -> None:
        nonlocal now
        now += timedelta(seconds=seconds)

    delivery._now = lambda: now
    delivery._sleep = sleep


def main(now_text: str, deadly: str = "", claimant: str = "") -> int:
    """Do one run; returns its exit code."""
    set_clock(datetime.fromisoformat(now_text))
    parsed = settings.parse(os.environ)

    def fault(point: str) -> None:
        if point == deadly:
            os.kill(os.getpid(), signal.SIGKILL)

    return tell_of(delivery.run_schedule(parsed, REPORTING, fault, claimant))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
