"""Group commit: deliveries that arrive while one batch is being stored make up the next, and share its fsync.

No delivery waits for company: a lone one is stored at once. All work of a batch (parsing, encoding, the fsync)
runs in one worker thread, so the event loop goes on reading requests meanwhile.

Limits: what waits is bounded in bytes (more is refused with :class:`Overloaded`), and so is a batch. A delivery
is answered only after its batch is durable; if the process dies before, it never was answered, and Heroku sends
it again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NamedTuple

from ingest.batch import Counts, store

if TYPE_CHECKING:
    from collections.abc import Callable

    from ingest.deliveries import Delivery
    from ingest.eventlog.contract import Appender
    from ingest.loops import OwnDrains

BATCH_MAX_BYTES: Final = 1 << 20


class Overloaded(Exception):  # noqa: N818
    """More deliveries wait than the receiver may hold in memory, or it is stopping."""


class _Waiting(NamedTuple):
    delivery: Delivery
    stored: asyncio.Future[None]


class GroupCommit:
    """Stores deliveries in batches. Use it from one event loop."""

    def __init__(
        self,
        log: Appender,
        observe: Callable[[Counts], None],
        waiting_max_bytes: int,
        own_drains: OwnDrains | None = None,
    ) -> None:
        self._log = log
        self._waiting_max_bytes = waiting_max_bytes
        self._observe = observe
        self._own_drains = own_drains
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._arrived = asyncio.Event()
        self._stopping = False
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="group-commit")
        self._loop = asyncio.create_task(self._run())

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the deliveries that are not stored yet."""
        return self._waiting_bytes

    async def store(self, delivery: Delivery) -> None:
        """Return when the delivery is durable. Raises ``Overloaded``, or what the log raised.

        If the caller is cancelled (its deadline passed) the delivery may be stored all the same; the next try
        of it is recognised.
        """
        size = len(delivery.body)
        if self._stopping or self._waiting_bytes + size > self._waiting_max_bytes:
            raise Overloaded
        waiting = _Waiting(delivery, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._waiting_bytes += size
        self._arrived.set()
        await waiting.stored

    async def close(self) -> None:
        """Store what waits, then stop."""
        self._stopping = True
        self._arrived.set()
        await self._loop
        self._worker.shutdown()

    async def _run(self) -> None:
        while not (self._stopping and not self._waiting):
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                await self._store(self._next_batch())

    def _next_batch(self) -> list[_Waiting]:
        """The oldest deliveries up to the size limit, at least one, no two with a mark in common."""
        batch: list[_Waiting] = []
        digests: set[bytes] = set()
        size = 0
        while self._waiting:
            delivery = self._waiting[0].delivery
            own = {mark.digest for mark in delivery.marks}
            size += len(delivery.body)
            if batch and (size > BATCH_MAX_BYTES or own & digests):
                break
            digests |= own
            batch.append(self._waiting.popleft())
        return batch

    async def _store(self, batch: list[_Waiting]) -> None:
        deliveries = [waiting.delivery for waiting in batch]
        try:
            counts = await asyncio.get_running_loop().run_in_executor(
                self._worker, store, self._log, deliveries, self._own_drains
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, every sender of the batch has to be answered
            _answer(batch, error)
        else:
            self._observe(counts)
            _answer(batch, None)
        finally:
            self._waiting_bytes -= sum(len(delivery.body) for delivery in deliveries)


def _answer(batch: list[_Waiting], error: Exception | None) -> None:
    for waiting in batch:
        if waiting.stored.done():
            continue  # its sender's deadline passed
        if error is None:
            waiting.stored.set_result(None)
        else:
            waiting.stored.set_exception(error)
