"""The Kafka event log: see ``contract``. For many receivers and landers, and for hosts whose disk is scratch.

A table is a topic, an app its key, so that all of an app lies in one partition in order. An append is acknowledged by
all replicas in sync. It can fail halfway, and what it wrote then is not known: so ``may_repeat`` is true.

Connections are made when they are needed first: to append, to read, or as a member of the landers' group. A client
that met an error is given up, and the next call makes another.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from kafka import TopicPartition

from ingest.eventlog.contract import AlreadyHeld, Entry, Lag, LogUnavailable, OwnershipLost
from ingest.eventlog.kafka.appending import Producer
from ingest.eventlog.kafka.membership import Membership
from ingest.eventlog.kafka.reading import Reader
from ingest.eventlog.kafka.standing import standings
from ingest.eventlog.kafka.topics import Topics
from ingest.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.eventlog.contract import Mark, NewEntry
    from ingest.eventlog.kafka.connection import KafkaConnection
    from ingest.eventlog.kafka.standing import Standing

APPEND_SECONDS: Final = 10.0
TOPICS_SECONDS: Final = 20.0
MARKS_MAX: Final = 200_000  # this process's latest: Heroku repeats within seconds, and landing knows the rest
MARKS_SECONDS: Final = 300.0  # so long one may be needed: as landing looks back


class KafkaLog:
    """Safe to append from several threads; everything else from one."""

    def __init__(self, connection: KafkaConnection, append_seconds: float = APPEND_SECONDS) -> None:
        self._connection = connection
        self._append_seconds = append_seconds
        self._lock = threading.Lock()
        self._marks: OrderedDict[bytes, float] = OrderedDict()  # and when each came
        self.forgotten_marks = 0  # to make room, while they might have been needed
        self._topics: Topics | None = None
        self._topics_at = 0.0
        self._producer: Producer | None = None
        self._reader: Reader | None = None
        self._membership: Membership | None = None

    @property
    def may_repeat(self) -> bool:
        """An append can fail halfway, and other receivers append too."""
        return True

    def identity(self, table: str) -> str:
        """The id of the table's topic."""
        return self._known_topics().identity(table)

    def connect(self) -> None:
        """Make ready to append: ask for the topics, make those that are missing, connect a producer."""
        with self._lock:
            self._ready_producer()

    def held(self, marks: Sequence[Mark]) -> list[bytes]:
        """The digests among some marks that this process has appended of late."""
        return [mark.digest for mark in marks if mark.digest in self._marks]

    def append(self, entries: Sequence[NewEntry], marks: Sequence[Mark] = ()) -> None:
        """Write all entries within ``append_seconds``."""
        if held := self.held(marks):
            raise AlreadyHeld(held)
        self.write(entries, self._append_seconds)
        self._remember(marks)

    def write(self, entries: Sequence[NewEntry], seconds: float) -> None:
        """Write all entries within a time, whatever was appended before."""
        with self._lock:
            try:
                self._ready_producer().write(entries, seconds)
            except LogUnavailable:
                self._give_up_producer()
                raise

    def partitions(self, table: str) -> Sequence[str]:
        """The partitions that the landers' group gives to this process."""
        if time.monotonic() - self._topics_at > TOPICS_SECONDS:
            self._topics = None  # a topic that was made anew is another log: its offsets begin at 0 again
        return [f"p{number}" for number in self._member().partitions(self._connection.topic(table))]

    def all_partitions(self, table: str) -> Sequence[str]:
        """The partitions of the topic."""
        return [f"p{number}" for number in self._known_topics().partitions(table)]

    def position(self, table: str, partition: str) -> int:
        """The last offset that the group has committed; -1 before the first landing."""
        offset = self._member().position(self._place(table, partition))
        return -1 if offset is None else offset - 1

    def commit(self, table: str, partition: str, offset: int) -> None:
        """Commit as a member of the group."""
        self._member().commit(self._place(table, partition), offset + 1)

    def read(self, table: str, partition: str, after: int, *, rows_max: int, bytes_max: int) -> list[Entry]:
        """Entries above ``after``; raises :class:`OwnershipLost` if this process is a member and owns them no more."""
        if self._membership is not None:
            self._membership.keep_up()
            if not self._membership.owns(self._place(table, partition)):
                raise OwnershipLost
        return self._reading().read(table, int(partition[1:]), after, rows_max, bytes_max)

    def end(self, table: str, partition: str) -> int:
        """The last offset; -1 when there is none."""
        place = self._place(table, partition)
        return self._reading().end(place) - 1

    def before(self, table: str, partition: str, appended_at: float) -> int:
        """The last offset before that time."""
        place = self._place(table, partition)
        since = self._reading().since(place, appended_at)
        return (self._reading().end(place) if since is None else since) - 1

    def backlog(self) -> Sequence[Lag]:
        """What lies above the group's commits, by partition."""
        lags = []
        for each in standings(self._connection, self._known_topics()):
            after = each.start if each.next_offset is None else each.next_offset
            if each.end > after:
                lags.append(self._lag(each, after))
        return lags

    def last_landed_at(self) -> float | None:
        """The latest commit, as landers note it beside the offset."""
        found = standings(self._connection, self._known_topics())
        return max((each.committed_at for each in found if each.committed_at is not None), default=None)

    def close(self) -> None:
        """Leave the group and close all connections."""
        with self._lock:
            self._give_up_producer()
        for client in (self._membership, self._reader):
            if client is not None:
                client.close()

    def _lag(self, standing: Standing, after: int) -> Lag:
        oldest = self._reading().read(standing.table, standing.number, after - 1, 1, 1)
        return Lag(
            standing.table,
            f"p{standing.number}",
            standing.end - after,
            None,
            None,
            oldest[0].appended_at if oldest else None,
            max(0, standing.start - after),
        )

    def _place(self, table: str, partition: str) -> TopicPartition:
        return TopicPartition(self._connection.topic(table), int(partition[1:]))

    def _known_topics(self) -> Topics:
        if self._topics is None:
            self._topics = Topics(self._connection)
            self._topics_at = time.monotonic()
        return self._topics

    def _ready_producer(self) -> Producer:
        if self._producer is None:
            self._producer = Producer(self._connection, self._known_topics().entry_max_bytes)
        return self._producer

    def _give_up_producer(self) -> None:
        producer, self._producer = self._producer, None
        self._topics = None  # made anew perhaps, with other ids and limits
        if producer is not None:
            threading.Thread(target=producer.close, name="kafka-close", daemon=True).start()

    def _reading(self) -> Reader:
        if self._reader is None:
            self._reader = Reader(self._connection)
        return self._reader

    def _member(self) -> Membership:
        if self._membership is not None and self._membership.is_stuck:
            stuck, self._membership = self._membership, None
            stuck.close()
        if self._membership is None:
            topics = [self._connection.topic(table) for table in TABLES]
            self._known_topics()  # a member of topics that are not there would wait for ever
            self._membership = Membership(self._connection, topics)
        return self._membership

    def _remember(self, marks: Sequence[Mark]) -> None:
        now = time.monotonic()
        for mark in marks:
            self._marks[mark.digest] = now
        while len(self._marks) > MARKS_MAX:
            _, came_at = self._marks.popitem(last=False)
            self.forgotten_marks += now - came_at < MARKS_SECONDS
