"""Reads one partition of a topic at a time, forward, in bounded portions."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final, TypeVar

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from ingest.eventlog.contract import Entry, LogUnavailable
from ingest.eventlog.kafka.appending import ROWS_HEADER, SINCE_HEADER
from ingest.eventlog.kafka.connection import REQUEST_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from kafka.consumer.fetcher import ConsumerRecord

    from ingest.eventlog.kafka.connection import KafkaConnection

FETCH_BYTES: Final = 4 << 20
FETCH_WAIT_MS: Final = 100
READ_SECONDS: Final = 15.0  # without a record although there are some: the broker is not well
_NONE: Final = -1
_WAIT_MS: Final = int(REQUEST_SECONDS * 1000)  # kafka-python waits for ever unless told
Answer = TypeVar("Answer")


class Reader:
    """A consumer outside of any group: it reads where it is told to, whoever lands there."""

    def __init__(self, connection: KafkaConnection) -> None:
        """Connect. Raises :class:`LogUnavailable`."""
        self._connection = connection
        self._place: TopicPartition | None = None
        self._waiting: deque[ConsumerRecord] = deque()
        self._last = _NONE  # offset of the last entry that was given out or passed over
        self._end = 0  # offset behind the last entry, as far as is known
        self._consumer = connection.client(
            KafkaConsumer,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            allow_auto_create_topics=False,
            metrics_enabled=False,
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_bytes=FETCH_BYTES,
            fetch_max_wait_ms=FETCH_WAIT_MS,
        )

    def read(self, table: str, partition: int, after: int, rows_max: int, bytes_max: int) -> list[Entry]:
        """Entries above ``after`` within both limits, at least one if there is any. Raises :class:`LogUnavailable`."""
        place = TopicPartition(self._connection.topic(table), partition)
        try:
            if place != self._place or after != self._last:
                self._turn_to(place, after)
            return self._take(table, rows_max, bytes_max)
        except (KafkaError, OSError) as error:
            self._place = None
            raise self._connection.unavailable(error) from error

    def end(self, place: TopicPartition) -> int:
        """The offset behind the last entry of a partition."""
        return int(self._ask(lambda: self._consumer.end_offsets([place], timeout_ms=_WAIT_MS))[place])

    def since(self, place: TopicPartition, appended_at: float) -> int | None:
        """The offset of the first entry appended at or after that time; None if there is none."""
        found = self._ask(lambda: self._consumer.offsets_for_times({place: int(appended_at * 1000)}, _WAIT_MS))[place]
        return None if found is None else found.offset

    def close(self) -> None:
        """Close the connections."""
        self._consumer.close(autocommit=False, timeout_ms=1000)

    def _ask(self, question: Callable[[], Answer]) -> Answer:
        try:
            return question()
        except (KafkaError, OSError) as error:
            raise self._connection.unavailable(error) from error

    def _turn_to(self, place: TopicPartition, after: int) -> None:
        self._waiting.clear()
        if place != self._place:
            self._consumer.assign([place])
            self._place = place
            self._end = 0
        self._consumer.seek(place, after + 1)
        self._last = after

    def _take(self, table: str, rows_max: int, bytes_max: int) -> list[Entry]:
        entries: list[Entry] = []
        rows = octets = 0
        while self._waiting or self._fetch():
            entry = _entry(table, self._waiting[0])
            rows, octets = rows + entry.rows, octets + len(entry.payload)
            if entries and (rows > rows_max or octets > bytes_max):
                break
            self._waiting.popleft()
            self._last = entry.offset
            entries.append(entry)
        return entries

    def _fetch(self) -> bool:
        """Fetch the next records; False when there are none."""
        assert self._place is not None
        deadline = time.monotonic() + READ_SECONDS
        while self._consumer.position(self._place) < self._known_end():
            records = self._consumer.poll(timeout_ms=FETCH_WAIT_MS)
            self._waiting.extend(records.get(self._place, ()))
            if self._waiting:
                return True
            if time.monotonic() > deadline:
                raise LogUnavailable(
                    f"Kafka at {','.join(self._connection.servers)} gives no entries, though it has some"
                )
        return False

    def _known_end(self) -> int:
        """Behind the last entry; asked again only where all that is known was read."""
        assert self._place is not None
        if self._consumer.position(self._place) >= self._end:
            self._end = self._consumer.end_offsets([self._place], timeout_ms=_WAIT_MS)[self._place]
        return self._end


def _entry(table: str, record: ConsumerRecord) -> Entry:
    headers = dict(record.headers or ())
    since = headers.get(SINCE_HEADER)
    return Entry(
        table,
        (record.key or b"").decode("utf-8", "replace"),
        int(headers.get(ROWS_HEADER, b"0")),
        record.value or b"",
        f"p{record.partition}",
        record.offset,
        record.timestamp / 1000,
        None if since is None else float(since),
    )
