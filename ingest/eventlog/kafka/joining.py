"""Joins the landers' group to the end, also when nobody waits for it.

kafka-python 3.0 takes note of a join only while a poll waits for it: a join that ended between two polls is thrown
away, and the next poll asks to join once more. When the leader of the group asks, all others have to join anew. Landers
poll for moments only, and land or sleep in between, so that with several of them, or with a slow broker, the group
could begin again and again while nobody owned anything.

It also joins without knowing the topics: it asks for them 100 ms after it was connected, and has often joined by then.
Whoever leads the group then gives away nothing, and lets everybody join once more when it knows them.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from kafka.coordinator.consumer import ConsumerCoordinator
from kafka.errors import KafkaError, KafkaTimeoutError

if TYPE_CHECKING:
    from kafka import KafkaConsumer
    from kafka.future import Future

# Together the most that a join waits for the topics. A topic that is not known then is given away when it is.
TOPICS_TRIES: Final = 20
TOPICS_TRY_MS: Final = 500


def join_to_the_end(consumer: KafkaConsumer) -> None:
    """Let a consumer's joins go on between its polls. To be called before it subscribes."""
    consumer._coordinator.__class__ = _JoiningCoordinator  # noqa: SLF001 - kafka-python has no option for it


class _JoiningCoordinator(ConsumerCoordinator):  # type: ignore[misc] # kafka-python has no types
    """Invariant: a join that a poll has begun is gone through with once, and its outcome counts, whoever sees it.

    Heartbeats go on from its end, so that a member that lands or sleeps then is not taken for dead. All of this runs
    in the thread of kafka-python. Only a poll begins a join: a member that hangs does not hold what others could land.
    """

    _join: Future | None = None
    _is_closed = False

    async def join_group_async(self, timeout_ms: float | None = None) -> bool:
        """Whether the member has joined within the time. Raises what the join failed with, perhaps before this poll."""
        if self._join is None or self._join.succeeded():
            self._join = self._manager.call_soon(self._join_knowing_the_topics)
        join = self._join
        try:
            await self._manager.wait_for(join, timeout_ms)
        except KafkaTimeoutError:
            return False
        finally:
            if join.failed():  # told once, then tried again
                self._join = None
        return True

    async def _join_knowing_the_topics(self) -> bool:
        for _ in range(TOPICS_TRIES):
            if all(self._cluster.partitions_for_topic(topic) for topic in self._subscription.subscription):
                break
            with suppress(KafkaError):
                await self._manager.wait_for(self._cluster.request_update(), TOPICS_TRY_MS)
        return bool(await super().join_group_async())

    def need_rejoin(self) -> bool:
        """Whether to join; never while closing: the group would wait for a member that is gone."""
        return not self._is_closed and super().need_rejoin()

    def close(self, autocommit: bool = True, timeout_ms: float | None = None) -> None:
        """Leave the group."""
        self._is_closed = True
        super().close(autocommit=autocommit, timeout_ms=timeout_ms)
