"""The loop of ``drainlake schedule``: it only knows when to look, and starts a child process for each look.

The child does the work and ends, so that this process stays small, and neither a crash nor a leak of a report reaches
it. What is due is decided in the ledger, by the child: a look too many costs a second, and a missed one is made up for
by the next. Waits are short, as a clock can be set and a machine can sleep.
"""

from __future__ import annotations

import logging
import subprocess
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from drainlake.supervisor import start_child, stop_children

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from queries.delivery.cron import Cron

RUN_SECONDS_MAX: Final = 900.0  # less than the lease of a claim
WAIT_SECONDS_MAX: Final = 20.0
POLL_SECONDS: Final = 0.2
RETRY_FIRST_SECONDS: Final = 30.0
RETRY_MAX_SECONDS: Final = 900.0


def look_again_and_again(
    crons: Sequence[Cron],
    look: Callable[[], int],
    wait: Callable[[float], bool],
    now: Callable[[], datetime],
) -> int:
    """Look at once, then whenever something is due or a failed look is due again, until ``wait`` says to stop.

    ``look`` gives an exit code; 2 (wrong use) ends the loop and is passed on. ``wait`` waits so many seconds.
    """
    failures = 0
    while True:
        looked_at = now()
        code = look()
        if code == 2:
            return 2
        failures = failures + 1 if code else 0
        if _wait_until_due(crons, looked_at, failures, wait, now):
            return 0


def _wait_until_due(
    crons: Sequence[Cron],
    looked_at: datetime,
    failures: int,
    wait: Callable[[float], bool],
    now: Callable[[], datetime],
) -> bool:
    """Wait for the next look; True if told to stop."""
    due = next_look(crons, looked_at, failures)
    while True:
        seconds = (due - now()).total_seconds() if due is not None else WAIT_SECONDS_MAX
        if seconds <= 0:
            return False
        if wait(min(seconds, WAIT_SECONDS_MAX)):
            return True
        if now() < looked_at:  # the clock was set back
            looked_at = now()
            due = next_look(crons, looked_at, failures)


def next_look(crons: Sequence[Cron], looked_at: datetime, failures: int) -> datetime | None:
    """When to look next: at what is due first, or after a pause that doubles where the last looks failed."""
    looks = [cron.next(looked_at) for cron in crons]
    if failures:
        pause = min(RETRY_FIRST_SECONDS * 2.0 ** min(failures - 1, 10), RETRY_MAX_SECONDS)
        looks.append(looked_at + timedelta(seconds=pause))
    return min(looks, default=None)


def look_once(arguments: Sequence[str], stop: threading.Event, tell: Callable[..., None]) -> int:
    """Do what is due in a child process, for so long at most; gives its exit code.

    ``tell`` gets the name and the sentence of an event, and ``level``.
    """
    child = start_child(arguments)
    try:
        deadline = time.monotonic() + RUN_SECONDS_MAX
        while not stop.is_set() and time.monotonic() < deadline:
            try:
                return _told(child.wait(POLL_SECONDS), tell)
            except subprocess.TimeoutExpired:
                continue
        if not stop.is_set():
            said = f"A run took longer than {RUN_SECONDS_MAX / 60:.0f} minutes and was ended; the next one goes on."
            tell("run_too_long", f"schedule: {said}", level=logging.ERROR)
        return 0 if stop.is_set() else 1
    finally:
        stop_children([child])


def utc_now() -> datetime:
    """The time now, in UTC."""
    return datetime.now(UTC)


def _told(code: int, tell: Callable[..., None]) -> int:
    if code < 0:
        said = f"schedule: A run was killed by signal {-code}; the next one goes on."
        tell("run_killed", said, level=logging.ERROR, signal=-code)
        return 1
    return code
