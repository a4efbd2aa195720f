"""The loop that lands again and again until it is told to stop, and keeps retention while at it."""

from __future__ import annotations

import logging
import time
import traceback
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from ingest import oplog
from transforms.landing import land_once
from transforms.privacy import KEEP_ALL
from transforms.repeats import Repeats
from transforms.retention import remove_old
from transforms.route_book import RouteBook
from transforms.route_pins import NO_PINS

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from ingest.eventlog.contract import EventLog
    from transforms.lake import Lake
    from transforms.landing import Landed
    from transforms.privacy import Privacy
    from transforms.route_pins import Pins

_tell = partial(oplog.tell, "land")


def utc_now() -> datetime:
    """The time now, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Round:
    """One round of landing. ``landed`` is None if landing failed; ``removed`` are the days that retention took away.

    ``is_good`` is false if anything failed, be it after landing. ``forgotten`` parts of deliveries made room for others
    too early, since the loop began.
    """

    landed: Landed | None = None
    removed: tuple[str, ...] = ()
    is_good: bool = False
    seconds: float = 0.0
    forgotten: int = 0


def run(  # noqa: PLR0913 - all but two are given by name
    log: EventLog,
    lake: Lake,
    *,
    every_seconds: float,
    file_rows: int,
    keep_days: int | None,
    pins: Pins = NO_PINS,
    privacy: Privacy = KEEP_ALL,
    stop_event: threading.Event,
    now: Callable[[], datetime] = utc_now,
    tell: Callable[..., None] = _tell,
    on_progress: Callable[[str, int], None] | None = None,
    on_round: Callable[[Round], None] | None = None,
) -> None:
    """Land every ``every_seconds``, and at once at the start, until ``stop_event`` is set.

    ``keep_days`` None keeps everything. ``pins`` is the user's word on routes, ``privacy`` what is taken out of rows.
    ``now`` gives the time in UTC. ``tell`` gets the name and the sentence of each event, and what ``ingest.oplog.tell``
    takes by name. A failure (disk full, another lander) never ends the loop, the next round tries again.
    ``on_progress`` gets the table and lines of each bite, ``on_round`` each round, good or not. Ends between two bites
    once ``stop_event`` is set.
    """
    repeats = Repeats(log)
    land = partial(
        land_once, log, lake, file_rows=file_rows, stop=stop_event.is_set, on_progress=on_progress,
        repeats=repeats, book=RouteBook(pins), privacy=privacy,
    )  # fmt: skip
    retain = partial(_keep, lake, keep_days, tell) if keep_days is not None else None
    failures = 0
    while not stop_event.is_set():
        done, error = _round(land, retain, tell, now)
        failures = _tell_how(error, failures, every_seconds, tell)
        if on_round:
            on_round(replace(done, forgotten=repeats.forgotten))
        stop_event.wait(every_seconds)


def _round(
    land: Callable[[], Landed],
    retain: Callable[[datetime], list[str]] | None,
    tell: Callable[..., None],
    now: Callable[[], datetime],
) -> tuple[Round, Exception | None]:
    """Land and remove old days once; what came of it, and what went wrong, be it after landing."""
    done, begun = Round(), time.monotonic()
    failed = None
    try:
        done = Round(land())
        for notice in done.landed.notices if done.landed else ():
            tell("notice", f"land: {notice}", level=logging.WARNING, about=notice)
        done = replace(done, removed=tuple(retain(now())) if retain else (), is_good=True)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong once must not end landing for good
        failed = error
    return replace(done, seconds=time.monotonic() - begun), failed


def _tell_how(error: Exception | None, failures: int, every_seconds: float, tell: Callable[..., None]) -> int:
    """Say that a round failed, or that it is well again; how many failed one after the other."""
    if error is None:
        if failures:
            tell("landing_well", f"land: landing is well again, after {failures} failed rounds.", failures=failures)
        return 0
    said = f"land: landing failed ({reason(error)}); nothing is lost, next try in {every_seconds:g} s."
    trace = "".join(traceback.format_exception(error))
    tell("landing_failed", said, level=logging.ERROR, failures=failures + 1, traceback=trace)
    return failures + 1


def _keep(lake: Lake, keep_days: int, tell: Callable[..., None], now: datetime) -> list[str]:
    """Remove the days that are too old, and say which."""
    removed = remove_old(lake, keep_days, now.astimezone(UTC).date())
    if removed:
        days = sorted({place.partition("/")[2] for place in removed})
        said = f"land: removed what is older than {keep_days} days: {', '.join(days)}."
        tell("days_removed", said, days=days, folders=len(removed))
    return removed


def reason(error: Exception) -> str:
    """An exception in one line: the first line of its text, or its type if it has none."""
    lines = str(error).splitlines()
    return lines[0].rstrip(".;") if lines else type(error).__name__
