"""Writes entries to the topics: durable at return, or not known and said so within a deadline."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from ingest.eventlog.kafka.splitting import split
from ingest.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kafka.producer.future import FutureRecordMetadata

    from ingest.eventlog.contract import NewEntry
    from ingest.eventlog.kafka.connection import KafkaConnection

OVERHEAD_BYTES: Final = 1024  # of a record with its key and headers, and of the batch around it
REQUEST_MAX_BYTES: Final = 8 << 20
HALVINGS_MAX: Final = 10
ROWS_HEADER: Final = "rows"
SINCE_HEADER: Final = "since"


class Producer:
    """One idempotent producer with ``acks=all``. After an error it is of no more use: make another one.

    kafka-python's buffer has no limit. Ours is the deadline: one batch is in flight at a time, and when it does not
    come through in time the producer is given up with all that it holds.
    """

    def __init__(self, connection: KafkaConnection, entry_max_bytes: int) -> None:
        """Connect. Raises :class:`LogUnavailable`."""
        self._connection = connection
        self._entry_max_bytes = entry_max_bytes
        try:
            self._producer = _Producer(
                **connection.options(),
                acks="all",
                enable_idempotence=True,
                allow_auto_create_topics=False,
                max_request_size=max(REQUEST_MAX_BYTES, entry_max_bytes + OVERHEAD_BYTES),
                max_block_ms=1000,
            )
            for table in TABLES:  # else the first batch would wait for the metadata of each topic
                self._producer.partitions_for(connection.topic(table))
        except (KafkaError, OSError) as error:
            raise connection.unavailable(error) from error

    def write(self, entries: Sequence[NewEntry], seconds: float) -> None:
        """Return when all entries are kept by all replicas in sync. Raises :class:`LogUnavailable`.

        What was written then is not known, and some may still be written later.
        """
        deadline = time.monotonic() + seconds
        try:
            too_large = self._write(entries, deadline)
            while too_large:
                self._halve_limit(too_large[0][1])
                too_large = self._write([entry for entry, _ in too_large], deadline)
        except (KafkaError, OSError) as error:
            raise self._connection.unavailable(error) from error

    def close(self) -> None:
        """Give up what is not written."""
        self._producer.is_given_up = True
        self._producer.close(timeout=0)

    def _write(
        self, entries: Sequence[NewEntry], deadline: float
    ) -> list[tuple[NewEntry, MessageSizeTooLargeError | RecordListTooLargeError]]:
        """Write all entries, and give those that the broker finds too large."""
        parts = [part for entry in entries for part in split(entry, self._entry_max_bytes - OVERHEAD_BYTES)]
        sent = [(part, self._send(part)) for part in parts]
        too_large = []
        for part, future in sent:
            try:
                future.get(max(0.0, deadline - time.monotonic()))
            except (MessageSizeTooLargeError, RecordListTooLargeError) as error:
                too_large.append((part, error))
        return too_large

    def _send(self, entry: NewEntry) -> FutureRecordMetadata:
        headers = [(ROWS_HEADER, str(entry.rows).encode())]
        if entry.since is not None:
            headers.append((SINCE_HEADER, f"{entry.since:.6f}".encode()))
        topic = self._connection.topic(entry.table)
        return self._producer.send(topic, entry.payload, key=entry.app.encode(), headers=headers)

    def _halve_limit(self, error: KafkaError) -> None:
        """The broker takes less than it told, or would not tell: learn it by halving."""
        self._entry_max_bytes //= 2
        if self._entry_max_bytes <= 2 * OVERHEAD_BYTES:
            raise error


class _Producer(KafkaProducer):  # type: ignore[misc] # kafka-python has no types
    """A producer that can be closed although a broker does not answer: else closing waits for it, and then fails."""

    is_given_up = False

    def flush(self, timeout: float | None = None) -> None:
        """Wait for what was sent, unless it is given up."""
        if not self.is_given_up:
            super().flush(timeout)
