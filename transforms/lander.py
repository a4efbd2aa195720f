"""The loop that lands again and again until it is told to stop, and keeps retention while at it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

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

_logger = logging.getLogger(__name__)


def utc_now() -> datetime:
    """The time now, in UTC."""
    return datetime.now(UTC)


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
    report: Callable[[str], None] = _logger.warning,
    on_landed: Callable[[Landed], None] | None = None,
) -> None:
    """Land every ``every_seconds``, and at once at the start, until ``stop_event`` is set.

    ``keep_days`` None keeps everything. ``pins`` is what the user says of routes, ``privacy`` what is
    taken out of rows.
    ``now`` gives the time in UTC. ``report`` gets one sentence for each
    notice and each failure; a failure (disk full, another lander) never ends the loop, the next round tries
    again. ``on_landed`` gets the outcome of each good landing. Ends between two bites once ``stop_event`` is
    set.
    """
    repeats, book = Repeats(log), RouteBook(pins)
    land = partial(land_once, log, lake, file_rows=file_rows, repeats=repeats, book=book, privacy=privacy)
    while not stop_event.is_set():
        try:
            landed = land(stop=stop_event.is_set)
            for notice in landed.notices:
                report(notice)
            if on_landed:
                on_landed(landed)
            if keep_days is not None:
                remove_old(lake, keep_days, now().astimezone(UTC).date())
        except Exception as error:  # noqa: BLE001 - whatever goes wrong once must not end landing for good
            report(f"landing failed ({reason(error)}); nothing is lost, next try in {every_seconds:g} s.")
        stop_event.wait(every_seconds)


def reason(error: Exception) -> str:
    """An exception in one line: the first line of its text, or its type if it has none."""
    lines = str(error).splitlines()
    return lines[0].rstrip(".;") if lines else type(error).__name__
