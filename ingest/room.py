"""Whether an event log that was full has room again: while nobody sends anything, nothing else would show it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from starlette.concurrency import run_in_threadpool

if TYPE_CHECKING:
    from ingest.eventlog.contract import LocalAppender
    from ingest.fates import Fates

LOOK_SECONDS: Final = 0.5  # a look writes to the disk, and ``/readyz`` may be asked by anyone


class Room:
    """What is known of the log's room. Use it from one event loop."""

    def __init__(self, log: LocalAppender, fates: Fates) -> None:
        self._log = log
        self._fates = fates
        self._looked_at = -LOOK_SECONDS
        self._is_there = True

    @property
    def full_seconds(self) -> float:
        """How long the log has refused deliveries; 0 while it takes them."""
        since = self._fates.full_since
        return time.monotonic() - since if since is not None else 0.0

    async def is_there(self) -> bool:
        """Look for room, or say what the last look found."""
        now = time.monotonic()
        if now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            self._is_there = await run_in_threadpool(self._log.has_room)
            if self._is_there:
                self._fates.has_room()
        return self._is_there
