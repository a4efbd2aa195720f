"""A shared log with a spool before it: the receiver never leans on Kafka to answer.

While Kafka answers quickly, batches go to it directly. An append that fails or is slow turns that off: from then on
batches go to the embedded log on this host's disk and are acknowledged from there, in a few milliseconds. A thread
empties the spool in order, and once it is empty and Kafka was quick, batches go directly again. At the start, when
nothing is known of Kafka yet, they go to the spool.

What dies when: a batch is acknowledged after it is durable in one of the two places. One that failed directly is
appended to the spool whole, though Kafka may have some of it, or get it later; landing keeps the first.

Several workers share the spool's file. Whoever has something to do there forwards all of it, one at a time
(``forwarding.sole_forwarder``), and whoever finds it empty lets its own batches go directly. So a batch of one worker
can overtake one of another, as it can between two dynos; those of one connection keep their order.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ingest.eventlog.contract import AlreadyHeld, LogFull, LogUnavailable
from ingest.eventlog.forwarding import forward, sole_forwarder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ingest.eventlog.contract import Mark, NewEntry
    from ingest.eventlog.embedded import EmbeddedLog
    from ingest.eventlog.kafka.log import KafkaLog

# Heroku waits 5 s, the receiver answers within 4: a batch that waited behind one that failed must make it too.
DIRECT_SECONDS: Final = 1.0
SLOW_SECONDS: Final = 0.5
HOLD_SECONDS: Final = 5.0  # in the spool at least, so that a slow Kafka does not delay every few batches
CLOSE_SECONDS: Final = 10.0  # Heroku kills 30 s after it asks
CLOSE_POLL_SECONDS: Final = 0.05  # while another worker forwards
LOOK_SECONDS: Final = 1.0  # another process of this host may have filled the spool
RETRY_MAX_SECONDS: Final = 10.0


@dataclass(frozen=True)
class SpoolState:
    """What waits in the spool; ``oldest_at`` in seconds since 1970. ``trouble`` says why, in a sentence.

    ``forgotten_marks`` are those of deliveries to Kafka that made room for others too early.
    """

    is_direct: bool
    entries: int
    payload_bytes: int
    oldest_at: float | None
    forwarded: int
    trouble: str | None
    forgotten_marks: int = 0


class SpooledLog:
    """Where the receiver appends when the log is Kafka. Safe to use from several threads."""

    may_repeat = True

    def __init__(self, spool: EmbeddedLog, shared: KafkaLog, path: Path, tell: Callable[..., None]) -> None:
        """``path`` is the spool's file. ``tell`` gets name and sentence whenever Kafka goes away or comes back."""
        self._spool = spool
        self._shared = shared
        self._path = path
        self._tell = tell
        self._order = threading.Lock()  # a batch that goes directly must not overtake the spool
        self._is_direct = False
        self._direct_from = 0.0
        self._forwarded = 0
        self._trouble: str | None = None
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._forwarder = threading.Thread(target=self._run, name="forwarder", daemon=True)
        self._forwarder.start()

    def append(self, entries: Sequence[NewEntry], marks: Sequence[Mark] = ()) -> None:
        """Make a batch durable, directly or in the spool. Raises AlreadyHeld, LogFull."""
        with self._order:
            if held := {*self._shared.held(marks), *self._spool.held(marks)}:
                raise AlreadyHeld(held)
            if not (self._is_direct and self._appended_directly(entries, marks)):
                self._spool.append(entries, marks)

    def has_room(self) -> bool:
        """Whether the spool has; what goes to Kafka directly needs none."""
        return self._is_direct or self._spool.has_room()

    def state(self) -> SpoolState:
        """How things are now."""
        lags = self._spool.backlog()
        return SpoolState(
            self._is_direct,
            sum(lag.entries for lag in lags),
            sum(lag.payload_bytes or 0 for lag in lags),
            min((lag.oldest_appended_at for lag in lags if lag.oldest_appended_at is not None), default=None),
            self._forwarded,
            self._trouble,
            self._shared.forgotten_marks,
        )

    def close(self) -> None:
        """Forward what is in the spool for a while; what is left is forwarded after the next start."""
        self._stopping.set()
        self._wake.set()
        self._forwarder.join()
        self._forward_what_is_left()
        self._shared.close()
        self._spool.close()

    def _forward_what_is_left(self) -> None:
        """On a dyno the disk goes with the process: a stop that was asked for should leave nothing on it.

        Another worker may be forwarding. It need not have seen what this one appended last, so this one waits until
        the spool is empty, or empties it.
        """
        deadline = time.monotonic() + CLOSE_SECONDS
        with suppress(LogUnavailable, LogFull):
            while not self._spool.is_landed() and time.monotonic() < deadline:
                with sole_forwarder(self._path) as is_ours:
                    if is_ours:
                        self._forwarded += forward(self._spool, self._shared)
                if not is_ours:
                    time.sleep(CLOSE_POLL_SECONDS)

    def _appended_directly(self, entries: Sequence[NewEntry], marks: Sequence[Mark]) -> bool:
        begun = time.monotonic()
        try:
            self._shared.append(entries, marks)
        except LogUnavailable as error:
            self._turn_to_spool(str(error))
            return False
        if time.monotonic() - begun > SLOW_SECONDS:
            self._turn_to_spool("Kafka is slow")
        return True

    def _turn_to_spool(self, trouble: str) -> None:
        self._is_direct = False
        self._direct_from = time.monotonic() + HOLD_SECONDS
        self._note_trouble(trouble)
        self._wake.set()

    def _note_trouble(self, trouble: str) -> None:
        if self._trouble is None:
            said = f"{trouble}; deliveries are kept in {self._path} and forwarded when it is well."
            self._tell("kafka_away", said, level=logging.WARNING)
        self._trouble = trouble

    def _run(self) -> None:
        """Empty the spool, then let batches go directly; again whenever something is in it."""
        pause = LOOK_SECONDS
        while not self._stopping.is_set():
            try:
                pause = LOOK_SECONDS if self._forward_or_turn_direct() else 0.0
            except Exception as error:  # noqa: BLE001 - whatever it is, a spool that nobody empties fills the disk
                self._note_trouble(str(error) or type(error).__name__)
                pause = min(RETRY_MAX_SECONDS, max(LOOK_SECONDS, 2 * pause))
            if pause:
                self._wake.wait(pause)
                self._wake.clear()

    def _forward_or_turn_direct(self) -> bool:
        """One step; whether there is nothing to do for now."""
        if self._spool.is_landed():
            if not self._is_direct:
                self._shared.connect()
                self._turn_direct()
            return True
        with sole_forwarder(self._path) as is_ours:
            if not is_ours:
                return True
            self._forwarded += forward(self._spool, self._shared)
        return False

    def _turn_direct(self) -> None:
        with self._order:
            if not self._spool.is_landed() or time.monotonic() < self._direct_from:
                return
            self._is_direct = True
        if self._trouble is not None:
            said = f"Kafka is well again; {self._forwarded} entries were forwarded in all."
            self._tell("kafka_back", said, forwarded=self._forwarded)
        self._trouble = None
