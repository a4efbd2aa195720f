"""The small buffer in front of a drain: what happens when lines come faster than the receiver takes them.

Logplex keeps 1,024 messages per drain and drops the oldest; after five minutes without a success it keeps 10.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final, Self

from ingest.simulator.framing import TARGET_BYTES, Delivery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ingest.simulator.ledger import Ledger
    from ingest.simulator.logplex import Drain

BUFFER_MESSAGES: Final = 1024
DEGRADED_MESSAGES: Final = 10
DEGRADED_AFTER_SECONDS: Final = 300.0


class LiveDrain:
    """Takes single frames at any pace and sends them from a thread of its own.

    Use it as a context; leaving it sends what is buffered and raises what stopped the sender, if anything.
    """

    def __init__(
        self, drain: Drain, frame_ids: Iterator[str], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._drain = drain
        self._frame_ids = frame_ids
        self._monotonic = monotonic
        self._buffer: deque[bytes] = deque()
        self._overflow = 0
        self._success_at = monotonic()
        self._closing = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="drain", daemon=True)

    def __enter__(self) -> Self:
        """Starts the sender."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Sends the rest and stops."""
        self.close()

    @property
    def ledger(self) -> Ledger:
        """The drain's account; exact once closed."""
        return self._drain.ledger

    def offer(self, frame: bytes) -> None:
        """Takes one frame; never waits. A full buffer loses its oldest message."""
        with self._changed:
            self._buffer.append(frame)
            while len(self._buffer) > self._capacity():
                self._buffer.popleft()
                self._overflow += 1
            self._changed.notify()

    def close(self) -> None:
        """Sends what is buffered, stops the thread, and raises what stopped it earlier, if anything did."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _capacity(self) -> int:
        degraded = self._monotonic() - self._success_at > DEGRADED_AFTER_SECONDS
        return DEGRADED_MESSAGES if degraded else BUFFER_MESSAGES

    def _run(self) -> None:
        try:
            while (delivery := self._next()) is not None:
                if self._drain.deliver(delivery):
                    self._success_at = self._monotonic()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that calls close()
            self._error = error

    def _next(self) -> Delivery | None:
        with self._changed:
            self._changed.wait_for(lambda: self._buffer or self._closing)
            if self._overflow:
                self._drain.overflowed(self._overflow)
                self._overflow = 0
            frames = self._take()
        return Delivery(next(self._frame_ids), len(frames), b"".join(frames)) if frames else None

    def _take(self) -> list[bytes]:
        taken: list[bytes] = []
        size = 0
        while self._buffer and (not taken or size + len(self._buffer[0]) <= TARGET_BYTES):
            size += len(self._buffer[0])
            taken.append(self._buffer.popleft())
        return taken
