"""The door of a receiver whose log is full: after a while nobody can connect, until there is room again.

An answer of 503 is no help to Heroku: it tries twice more at once and drops the lines. Who cannot connect keeps up to
1,024 messages and uses up no try. But a closed door hides ``/healthz`` and ``/metrics``, and the log may be full for a
moment only. So first 503 is answered for ``FULL_SECONDS``; and where a load balancer asks ``/readyz``, which is false
meanwhile, the door stays open, since that is what makes it look away.

Several workers share the listening socket, and so the door. Each looks for itself whether there is room.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from ingest.oplog import tell
from ingest.room import LOOK_SECONDS

if TYPE_CHECKING:
    from ingest.http.acceptor import Acceptor
    from ingest.receiver import Receiver

FULL_SECONDS: Final = 5.0


async def mind(acceptor: Acceptor, receiver: Receiver) -> None:
    """Shut and open the door as long as this runs."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if acceptor.is_shut and await receiver.room.is_there() and acceptor.is_open:
            acceptor.reopen()
            tell("serve", "door_open", "The event log has room again: connections are accepted.")
        elif await _is_hopeless(receiver) and acceptor.shut():
            receiver.metrics.door_shut()
            sentence = f"The event log has been full for {FULL_SECONDS:.0f} s: nobody can connect until it has room."
            tell("serve", "door_shut", sentence, level=logging.ERROR)


async def _is_hopeless(receiver: Receiver) -> bool:
    """Whether the log has been full for a while and still is, and nobody but Heroku would notice."""
    return receiver.room.full_seconds >= FULL_SECONDS and not receiver.is_watched and not await receiver.room.is_there()
