"""A drain as Logplex runs it: one delivery in flight, three tries, losses announced by L10.

What each reply does: 2xx is delivered; 4xx but 429 drops the delivery at once; everything else, timeouts and
socket errors among it, costs one of three tries, which follow each other back to back. While no connection
comes about no try is used. A further try keeps its Frame-Id, but once anything was lost the L10 in front is
rebuilt and counts as one more message.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from ingest.simulator.framing import Delivery, l10, split
from ingest.simulator.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ingest.simulator.targets import Reply, Target

TRIES: Final = 3
LOST_AT_ONCE_MAX: Final = 40  # messages one drop fault takes; small beside the hundreds of a delivery


class UnreachableError(OSError):
    """No connection to the target came about for as long as the caller was willing to wait."""


@dataclass(frozen=True, slots=True)
class Faults:
    """What shall go wrong on purpose, in shares (0 to 1) of the deliveries; the same seed fails the same way.

    ``repeat_share``: the reply to an acknowledged delivery counts as lost, so it is sent again with the same
    Frame-Id; with ``repeat_with_l10`` a few messages get lost meanwhile and an L10 stands in front.
    ``drop_share``: a few messages get lost beforehand and are announced.
    """

    seed: int = 0
    repeat_share: float = 0.0
    repeat_with_l10: bool = True
    drop_share: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.repeat_share <= 1 and 0 <= self.drop_share <= 1):
            raise ValueError("a share of faults lies between 0 and 1; 0.01 means one delivery in a hundred")


NO_FAULTS: Final = Faults()


class Drain:
    """Sends deliveries to one target and keeps the account.

    ``now`` stamps L10 notices; ``sleep`` waits between attempts to connect; ``patience_seconds`` is how long
    a target may stay unreachable before :class:`UnreachableError` (Logplex itself would wait for ever).
    """

    def __init__(
        self,
        target: Target,
        faults: Faults = NO_FAULTS,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
        patience_seconds: float = 60.0,
    ) -> None:
        self.ledger = Ledger()
        self._target = target
        self._faults = faults
        self._random = random.Random(faults.seed)  # noqa: S311 - faults, not secrets
        self._now = now
        self._sleep = sleep
        self._patience_seconds = patience_seconds
        self._lost_since: datetime | None = None

    def replay(self, deliveries: Iterable[Delivery], progress: Callable[[Ledger], None] | None = None) -> Ledger:
        """Sends all deliveries as fast as they are taken, without a buffer that could overflow."""
        for delivery in deliveries:
            self.deliver(delivery)
            if progress:
                progress(self.ledger)
        return self.ledger

    def deliver(self, delivery: Delivery) -> bool:
        """Sends one delivery to its end: acknowledged (True) or given up (False)."""
        self.ledger.deliveries += 1
        self.ledger.messages += delivery.messages
        if self._strikes(self._faults.drop_share):
            delivery = self._lose_some(delivery)
        # Only without a pending loss: the first try would carry an L10 as well, and its loss be told twice.
        if not self.ledger.l10_pending and self._strikes(self._faults.repeat_share):
            return self._deliver_twice(delivery)
        return self._try(delivery, TRIES)

    def overflowed(self, messages: int) -> None:
        """Notes messages that got lost before they were part of a delivery."""
        self.ledger.messages += messages
        self.ledger.overflowed += messages
        self._lose(messages)

    def close(self) -> None:
        """Closes the target."""
        self._target.close()

    def _deliver_twice(self, delivery: Delivery) -> bool:
        kept = self._without_some(delivery) if self._faults.repeat_with_l10 else delivery
        lost = delivery.messages - kept.messages
        if not self._try(kept, TRIES):
            self.ledger.overflowed += lost
            self._lose(lost)
            return False
        self.ledger.overflowed += lost
        self._lose(lost)
        self.ledger.deliveries_repeated += 1
        self.ledger.messages_repeated += kept.messages
        self._try(kept, TRIES - 1, again=True)
        return True

    def _try(self, delivery: Delivery, tries: int, *, again: bool = False) -> bool:
        for last in reversed(range(tries)):
            announced = self.ledger.l10_pending
            reply = self._reach(self._with_notice(delivery))
            if reply.status is not None and 200 <= reply.status < 300:
                self._acknowledged(delivery, announced, again=again)
                return True
            permanent = reply.status is not None and 400 <= reply.status < 500 and reply.status != 429
            if (permanent or not last) and not again:
                self.ledger.dropped[reply.outcome] += delivery.messages
                self._lose(delivery.messages)
            if permanent:
                return False
        return False

    def _reach(self, delivery: Delivery) -> Reply:
        waited, attempt = 0.0, 0
        while (reply := self._target.post(delivery)).problem == "unreachable":
            attempt += 1
            pause = 0.01 * ((2 ** self._random.randint(1, min(attempt, 10)) - 1) // 2)
            waited += max(pause, 0.001)
            if waited > self._patience_seconds:
                raise UnreachableError(f"no connection to the target ({reply.detail})")
            self._sleep(pause)
        self.ledger.replied(reply.outcome, len(delivery.body), reply.ms)
        return reply

    def _with_notice(self, delivery: Delivery) -> Delivery:
        """The delivery as this try sends it: an L10 of this moment in front once something was lost."""
        if not self.ledger.l10_pending or self._lost_since is None:
            return delivery
        notice = l10(self.ledger.l10_pending, self._lost_since, self._now())
        return Delivery(delivery.frame_id, delivery.messages + 1, notice + delivery.body)

    def _acknowledged(self, delivery: Delivery, announced: int, *, again: bool) -> None:
        ledger = self.ledger
        if announced:
            ledger.l10_notices += 1
            ledger.l10_announced += announced
            ledger.l10_pending -= announced
            self._lost_since = None
        if not again:
            ledger.deliveries_acknowledged += 1
            ledger.messages_acknowledged += delivery.messages
            ledger.bytes_acknowledged += len(delivery.body)

    def _lose(self, messages: int) -> None:
        if messages:
            self.ledger.l10_pending += messages
            self._lost_since = self._lost_since or self._now()

    def _lose_some(self, delivery: Delivery) -> Delivery:
        kept = self._without_some(delivery)
        lost = delivery.messages - kept.messages
        self.ledger.overflowed += lost
        self._lose(lost)
        return kept

    def _without_some(self, delivery: Delivery) -> Delivery:
        """The delivery without a few of its first messages; one message always stays, and all if they are no frames."""
        if delivery.messages < 2:
            return delivery
        try:
            frames = split(delivery.body)
        except ValueError:  # saved lines without a head
            return delivery
        if len(frames) != delivery.messages:
            return delivery
        kept = frames[self._random.randint(1, min(LOST_AT_ONCE_MAX, delivery.messages - 1)) :]
        return Delivery(delivery.frame_id, len(kept), b"".join(kept))

    def _strikes(self, share: float) -> bool:
        return share > 0 and self._random.random() < share
