"""Saved logs into the event log, on the same way as a delivery, but without a receiver in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest.batch import store
from ingest.deliveries import LASTING_PREFIX, Delivery

if TYPE_CHECKING:
    from ingest.batch import Counts
    from ingest.eventlog.contract import EventLog


def append_body(log: EventLog, app: str, body: bytes, name: str, received_at_us: int) -> Counts:
    """Store one body of frames. ``name`` says which piece of which file it is: the same piece is stored once."""
    return store(log, [Delivery(app, body, received_at_us, frame_id=LASTING_PREFIX + name)])
