"""Which partitions this process lands: its membership in the consumer group of the landers.

The group tells who lands what, and keeps the low watermarks. It is not what makes landing exact: an owner that lost a
partition may not know yet, and the lake itself refuses what it writes then (``transforms.lake``).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import kafka.errors as refusals
from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from ingest.eventlog.contract import OwnershipLost
from ingest.eventlog.kafka.connection import REQUEST_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.eventlog.kafka.connection import KafkaConnection

SESSION_MS: Final = 15_000  # after a sudden death the partitions wait this long for another lander
LANDING_MAX_MS: Final = 300_000  # between two calls: longer, and others land what this process was to land
JOIN_SECONDS: Final = 20.0  # longer than a session: a lander that died is waited for
WAIT_EVERY_SECONDS: Final = 2.0
POLL_MS: Final = 100
# A broker can answer that it does not know topics made a moment ago. The member then joins and owns nothing until its
# client asks again, by default after five minutes.
METADATA_MS: Final = 4_000
# Without a limit it waits until a coordinator answers, and the lander could not even be stopped. Two requests long: the
# first can wait behind joining the group on the same connection, the second has a connection of its own.
ANSWER_SECONDS: Final = 2 * REQUEST_SECONDS
_LOST: Final = (
    refusals.CommitFailedError,
    refusals.IllegalGenerationError,
    refusals.UnknownMemberIdError,
    refusals.RebalanceInProgressError,
    refusals.FencedInstanceIdError,
)


class Membership:
    """A member of the group that fetches nothing: it only learns what it owns and commits."""

    def __init__(self, connection: KafkaConnection, topics: Sequence[str]) -> None:
        """Join. Raises :class:`LogUnavailable`."""
        self._connection = connection
        self._committed: dict[TopicPartition, int] = {}
        self._waited_at = 0.0
        self._joining_until: float | None = time.monotonic() + JOIN_SECONDS
        self._consumer = connection.client(
            KafkaConsumer,
            group_id=connection.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            allow_auto_create_topics=False,
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=SESSION_MS // 5,
            max_poll_interval_ms=LANDING_MAX_MS,
            metadata_max_age_ms=METADATA_MS,
        )
        self._consumer.subscribe(list(topics), listener=_Pausing(self._consumer, self._committed))

    def partitions(self, topic: str) -> list[int]:
        """The partitions of a topic that this process may land now; the first call waits for the group."""
        self.keep_up()
        while self._joining_until is not None and not self._consumer.assignment():
            self.keep_up(POLL_MS)
            if time.monotonic() > self._joining_until:  # more landers than partitions
                break
        self._joining_until = None
        return sorted(place.partition for place in self._consumer.assignment() if place.topic == topic)

    def keep_up(self, timeout_ms: int = 0) -> None:
        """Take part in the group: who is silent is taken for dead. Nothing is fetched."""
        now = time.monotonic()
        if now - self._waited_at > WAIT_EVERY_SECONDS:
            # kafka-python joins in the background, but a poll without any time never sees that it has joined.
            timeout_ms = max(timeout_ms, POLL_MS)
            self._waited_at = now
        try:
            self._consumer.poll(timeout_ms=timeout_ms)
        except (KafkaError, OSError) as error:
            raise self._connection.unavailable(error) from error

    def owns(self, place: TopicPartition) -> bool:
        """Whether the partition is this process's, as far as it knows."""
        return place in self._consumer.assignment()

    def position(self, place: TopicPartition) -> int | None:
        """The committed offset, of the next entry to land; None before the first landing."""
        if place not in self._committed:
            try:
                offset = self._consumer.committed(place, timeout_ms=int(ANSWER_SECONDS * 1000))
            except (KafkaError, OSError) as error:
                raise self._connection.unavailable(error) from error
            if offset is None:
                return None
            self._committed[place] = offset
        return self._committed[place]

    def commit(self, place: TopicPartition, offset: int) -> None:
        """Commit the offset of the next entry to land. Raises :class:`OwnershipLost`, :class:`LogUnavailable`."""
        self.keep_up()
        if not self.owns(place):
            raise OwnershipLost
        try:
            self._consumer.commit(
                {place: OffsetAndMetadata(offset, f"{time.time():.3f}", -1)}, timeout_ms=int(ANSWER_SECONDS * 1000)
            )
        except _LOST as error:
            raise OwnershipLost from error
        except (KafkaError, OSError) as error:
            raise self._connection.unavailable(error) from error
        self._committed[place] = offset

    def close(self) -> None:
        """Leave the group, so that others go on at once."""
        self._consumer.close(autocommit=False, timeout_ms=2000)


class _Pausing(ConsumerRebalanceListener):  # type: ignore[misc] # kafka-python has no types
    """Keeps the member from fetching, and forgets the low watermarks: another process may have moved them."""

    def __init__(self, consumer: KafkaConsumer, committed: dict[TopicPartition, int]) -> None:
        self._consumer = consumer
        self._committed = committed

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Somebody else's from now on."""
        del revoked
        self._committed.clear()

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Ours from now on."""
        self._committed.clear()
        self._consumer.pause(*assigned)
