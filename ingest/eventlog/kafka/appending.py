"""Writes entries to the topics: durable at return, or not known and said so within a deadline."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Final

from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError
from kafka.partitioner import Partitioner
from kafka.partitioner.default import murmur2

from ingest.eventlog.kafka.splitting import split
from ingest.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kafka.cluster import ClusterMetadata
    from kafka.producer.future import FutureRecordMetadata

    from ingest.eventlog.contract import NewEntry
    from ingest.eventlog.kafka.connection import KafkaConnection

OVERHEAD_BYTES: Final = 1024  # of a record with its key and headers, and of the batch around it
REQUEST_MAX_BYTES: Final = 8 << 20
ENTRY_MIN_BYTES: Final = 8 << 10
ROWS_HEADER: Final = "rows"
SINCE_HEADER: Final = "since"
_APPS_MAX: Final = 4096
_TOO_LARGE: Final = (MessageSizeTooLargeError, RecordListTooLargeError)


class Producer:
    """One idempotent producer with ``acks=all``. After an error it is of no more use: make another one.

    kafka-python's buffer has no limit. Ours is the deadline: one batch is in flight at a time, and when it does not
    come through in time the producer is given up with all that it holds.
    """

    def __init__(self, connection: KafkaConnection, entry_max_bytes: int) -> None:
        """Connect. Raises :class:`LogUnavailable`."""
        self._connection = connection
        self._entry_max_bytes = entry_max_bytes
        self._producer = self._connected()

    def write(self, entries: Sequence[NewEntry], seconds: float) -> None:
        """Return when all entries are kept by all replicas in sync. Raises :class:`LogUnavailable`.

        What was written then is not known, and some may still be written later.
        """
        deadline = time.monotonic() + seconds
        left = list(entries)
        while left := self._write(left, deadline):
            # One was too large, and the producer fails whatever comes after it. The broker takes less than it told,
            # or would not tell: learn it by halving.
            self._entry_max_bytes //= 2
            self.close()
            self._producer = self._connected()

    def close(self) -> None:
        """Give up what is not written."""
        self._producer.is_given_up = True
        self._producer.close(timeout=0)

    def _connected(self) -> _Producer:
        try:
            producer = self._connection.client(
                _Producer,
                acks="all",
                enable_idempotence=True,
                allow_auto_create_topics=False,
                metrics_enabled=False,  # nobody reads them, and they take a fifth of an append
                partitioner=_ByApp(),
                max_request_size=max(REQUEST_MAX_BYTES, self._entry_max_bytes + OVERHEAD_BYTES),
                max_block_ms=1000,
            )
            for table in TABLES:  # else the first batch would wait for the metadata of each topic
                producer.partitions_for(self._connection.topic(table))
        except (KafkaError, OSError) as error:
            raise self._connection.unavailable(error) from error
        return producer

    def _write(self, entries: Sequence[NewEntry], deadline: float) -> list[NewEntry]:
        """Write the entries; gives those that are not written because one was too large."""
        failed: list[tuple[NewEntry, Exception]] = []
        try:
            parts = [part for entry in entries for part in split(entry, self._entry_max_bytes - OVERHEAD_BYTES)]
            sent = [(part, self._send(part)) for part in parts]
        except (KafkaError, OSError) as error:
            raise self._connection.unavailable(error) from error
        for part, future in sent:
            try:
                future.get(max(0.0, deadline - time.monotonic()))
            except (KafkaError, OSError) as error:
                failed.append((part, error))
        too_large = any(isinstance(error, _TOO_LARGE) for _, error in failed)
        if failed and (not too_large or self._entry_max_bytes < ENTRY_MIN_BYTES or time.monotonic() > deadline):
            raise self._connection.unavailable(failed[0][1]) from failed[0][1]
        return [part for part, _ in failed]

    def _send(self, entry: NewEntry) -> FutureRecordMetadata:
        headers = [(ROWS_HEADER, str(entry.rows).encode())]
        if entry.since is not None:
            headers.append((SINCE_HEADER, f"{entry.since:.6f}".encode()))
        topic = self._connection.topic(entry.table)
        return self._producer.send(topic, entry.payload, key=entry.app.encode(), headers=headers)


class _ByApp(Partitioner):  # type: ignore[misc] # kafka-python has no types
    """Kafka's usual choice of a partition by key, with each app's hash computed once: it is made in Python."""

    def __init__(self) -> None:
        self._hash = functools.lru_cache(_APPS_MAX)(murmur2)

    def partition(
        self,
        topic: str,
        key: bytes,
        serialized_key: bytes,
        value: bytes,
        serialized_value: bytes,
        cluster: ClusterMetadata,
    ) -> int:
        """The partition of a record."""
        del key, value, serialized_value
        numbers: list[int] = sorted(cluster.partitions_for_topic(topic))
        place: int = (self._hash(serialized_key) & 0x7FFFFFFF) % len(numbers)
        return numbers[place]


class _Producer(KafkaProducer):  # type: ignore[misc] # kafka-python has no types
    """A producer that can be closed although a broker does not answer: else closing waits for it, and then fails."""

    is_given_up = False

    def flush(self, timeout: float | None = None) -> None:
        """Wait for what was sent, unless it is given up."""
        if not self.is_given_up:
            super().flush(timeout)
