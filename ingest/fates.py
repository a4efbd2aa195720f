"""What the receiver's own log says of deliveries: that some are refused and why, and that all is well again.

One event for each reason, however many deliveries it meets; the counts are in the metrics, and at the end in the log.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import Final

from ingest.oplog import tell

# By the exception that refused: event, sentence, level.
_SENTENCES: Final = {
    "LogFull": (
        "log_full",
        "Deliveries are refused with 503",
        logging.ERROR,
    ),
    "Overloaded": (
        "overloaded",
        "More deliveries come than can be stored: some are refused with 503.",
        logging.ERROR,
    ),
    "TimeoutError": (
        "storing_slow",
        "Deliveries did not arrive or could not be stored in time: the sender, the disk or the host is too slow.",
        logging.ERROR,
    ),
    "ClientDisconnect": ("sender_left", "A sender left before its delivery was whole.", logging.INFO),
}


class Fates:
    """Counts what became of deliveries. Use it from one thread."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self.full_since: float | None = None
        """Since when (on the monotonic clock) the log refuses deliveries; None while it takes them."""

    @property
    def counts(self) -> dict[str, int]:
        """How many were stored, and how many refused by reason."""
        return dict(self._counts)

    def stored(self) -> None:
        """A delivery was stored."""
        self._counts["stored"] += 1
        self.has_room()

    def has_room(self) -> None:
        """The log can be written, as a delivery or a look at it has shown."""
        if self.full_since is not None:
            self.full_since = None
            tell("serve", "log_well", "The event log can be written again: deliveries are stored.")

    def refused(self, reason: str, cause: str = "") -> None:
        """A delivery was not stored; ``reason`` is the name of the exception, or a word of the receiver's.

        ``cause`` is what the log says of it: a full disk, a lock and a budget are mended in different ways.
        """
        self._counts[f"refused_{reason}"] += 1
        if reason == "LogFull" and self.full_since is None:
            self.full_since = time.monotonic()
        if reason in _SENTENCES:
            event, sentence, level = _SENTENCES[reason]
            told = f"{sentence}: {cause}." if cause else sentence
            tell("serve", event, told, level=level, reason=reason, refused=self._counts[f"refused_{reason}"])
