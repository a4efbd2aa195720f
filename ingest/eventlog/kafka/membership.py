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
from kafka.structs import MemberState, OffsetAndMetadata

from ingest.eventlog.contract import LogUnavailable, OwnershipLost
from ingest.eventlog.kafka.connection import REQUEST_SECONDS
from ingest.eventlog.kafka.joining import join_to_the_end
from ingest.oplog import tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.eventlog.kafka.connection import KafkaConnection

SESSION_MS: Final = 15_000  # after a sudden death the partitions wait this long for another lander
LANDING_MAX_MS: Final = 300_000  # between two calls: longer, and others land what this process was to land
JOIN_SECONDS: Final = 20.0  # longer than a session: a lander that died is waited for
REJOIN_SECONDS: Final = 5.0  # less: a lander must end within 30 s of being told to stop
# A join takes as long as the slowest member needs to come by. It is told when that is long. The broker waits for no
# member longer than LANDING_MAX_MS: whoever has not joined by then is stuck, and joins anew as another member.
JOIN_TOLD_SECONDS: Final = 60.0
STUCK_SECONDS: Final = LANDING_MAX_MS / 1000 + 30.0
WAIT_EVERY_SECONDS: Final = 2.0
POLL_MS: Final = 100
# A topic whose metadata were lost in spite of all that ``joining`` does is owned by nobody until the client that leads
# the group asks again, by default after five minutes.
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
    """A member of the group that fetches nothing: it only learns what it owns and commits.

    Invariant: it owns what the last join that ended gave it, and nothing from the moment that it joins again.
    """

    def __init__(self, connection: KafkaConnection, topics: Sequence[str]) -> None:
        """Join. Raises :class:`LogUnavailable`."""
        self._connection = connection
        self._waited_at = 0.0
        self._made_at = time.monotonic()
        self._is_new = True
        self._out_since: float | None = self._made_at  # since when it has been joining
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
        join_to_the_end(self._consumer)
        self._ownership = _Ownership(self._consumer)
        self._consumer.subscribe(list(topics), listener=self._ownership)

    @property
    def is_stuck(self) -> bool:
        """Whether it has been joining for longer than the broker lets a join last: another member has to be made."""
        return self._out_seconds() > STUCK_SECONDS

    def partitions(self, topic: str) -> list[int]:
        """The partitions of a topic that this process may land now; waits a while for the group if it is joining.

        Raises :class:`LogUnavailable` when the group has not let it join for long.
        """
        self.keep_up()
        while self._is_worth_waiting():
            self.keep_up(POLL_MS)
        self._is_new = False
        if self._out_seconds() > JOIN_TOLD_SECONDS:
            raise LogUnavailable(
                f"Kafka at {','.join(self._connection.servers)} has not let this lander into the group "
                f"{self._connection.group} for {self._out_seconds():.0f} s; look whether another lander hangs"
            )
        return sorted(place.partition for place in self._ownership.places if place.topic == topic)

    def keep_up(self, timeout_ms: int = 0) -> None:
        """Take part in the group: who is silent is taken for dead. Nothing is fetched."""
        now = time.monotonic()
        if now - self._waited_at > WAIT_EVERY_SECONDS:
            # A poll without any time begins what is to be done, and is not told what that failed with.
            timeout_ms = max(timeout_ms, POLL_MS)
            self._waited_at = now
        try:
            self._consumer.poll(timeout_ms=timeout_ms)
        except (KafkaError, OSError) as error:
            raise self._connection.unavailable(error) from error
        finally:
            if self._consumer.group_metadata().state == MemberState.STABLE:
                self._out_since = None
            elif self._out_since is None:
                self._out_since = now

    def owns(self, place: TopicPartition) -> bool:
        """Whether the partition is this process's, as far as it knows."""
        return place in self._ownership.places

    def position(self, place: TopicPartition) -> int | None:
        """The committed offset, of the next entry to land; None before the first landing."""
        committed = self._ownership.committed  # what is asked before a join ends is not known after it
        if (offset := committed.get(place)) is None:
            try:
                offset = self._consumer.committed(place, timeout_ms=int(ANSWER_SECONDS * 1000))
            except (KafkaError, OSError) as error:
                raise self._connection.unavailable(error) from error
            if offset is not None:
                committed[place] = offset
        return offset

    def commit(self, place: TopicPartition, offset: int) -> None:
        """Commit the offset of the next entry to land. Raises :class:`OwnershipLost`, :class:`LogUnavailable`."""
        self.keep_up()
        committed = self._ownership.committed
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
        committed[place] = offset

    def close(self) -> None:
        """Leave the group, so that others go on at once."""
        self._consumer.close(autocommit=False, timeout_ms=2000)

    def _out_seconds(self) -> float:
        return 0.0 if self._out_since is None else time.monotonic() - self._out_since

    def _is_worth_waiting(self) -> bool:
        """A new member waits for partitions too; it gets none where landers are more than partitions."""
        if self._is_new:
            return not self._ownership.places and time.monotonic() < self._made_at + JOIN_SECONDS
        return 0.0 < self._out_seconds() < REJOIN_SECONDS


class _Ownership(ConsumerRebalanceListener):  # type: ignore[misc] # kafka-python has no types
    """What the group gave this member, told in the thread of kafka-python, and kept from being fetched.

    ``committed`` are the low watermarks as far as they are known. They are forgotten with the ownership, since another
    process may move them: by another dict, so that an answer that was asked for before is not taken for a new one.
    """

    def __init__(self, consumer: KafkaConsumer) -> None:
        self.places: frozenset[TopicPartition] = frozenset()
        self.committed: dict[TopicPartition, int] = {}
        self._consumer = consumer
        self._told: frozenset[TopicPartition] = frozenset()

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Somebody else's from now on."""
        del revoked
        self.places, self.committed = frozenset(), {}

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Ours from now on."""
        self._consumer.pause(*assigned)
        self.places, self.committed = frozenset(assigned), {}
        self._tell()

    def _tell(self) -> None:
        """Say what came and went since the last join that ended; most joins change nothing."""
        gained, lost = (_names(some) for some in (self.places - self._told, self._told - self.places))
        self._told = self.places
        if gained or lost:
            sentence = f"land: owns {len(self.places)} partitions: {len(gained)} came, {len(lost)} went."
            tell("land", "partitions_owned", sentence, owned=len(self.places), gained=gained, lost=lost)


def _names(places: frozenset[TopicPartition]) -> list[str]:
    return sorted(f"{place.topic} {place.partition}" for place in places)
