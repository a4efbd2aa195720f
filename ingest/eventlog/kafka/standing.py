"""How the partitions stand: what they hold, and how far the landers' group has come in them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import kafka.errors as refusals
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import KafkaError

from ingest.eventlog.kafka.connection import REQUEST_SECONDS
from ingest.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ingest.eventlog.kafka.connection import KafkaConnection
    from ingest.eventlog.kafka.topics import Topics

RETRY_SECONDS: Final = 0.2


@dataclass(frozen=True)
class Standing:
    """One partition: the first offset it holds, the one behind its last entry, and the next one to land.

    ``next_offset`` is None before the first landing. ``committed_at`` in seconds since 1970.
    """

    table: str
    number: int
    start: int
    end: int
    next_offset: int | None
    committed_at: float | None


def standings(connection: KafkaConnection, topics: Topics) -> Sequence[Standing]:
    """Of all partitions of all tables. Raises :class:`LogUnavailable`."""
    places = {
        TopicPartition(connection.topic(table), number): (table, number)
        for table in TABLES
        for number in topics.partitions(table)
    }
    deadline = time.monotonic() + REQUEST_SECONDS
    while True:
        try:
            with connection.client(KafkaAdminClient) as admin:
                return _ask(admin, connection.group, places)
        except (KafkaError, OSError) as error:
            # A broker that has just started finds the group's coordinator only after a while.
            if not getattr(error, "retriable", False) or time.monotonic() > deadline:
                raise connection.unavailable(error) from error
        time.sleep(RETRY_SECONDS)


def _ask(admin: KafkaAdminClient, group: str, places: Mapping[TopicPartition, tuple[str, int]]) -> Sequence[Standing]:
    # Not by a consumer: kafka-python 3.0 forgets partitions whose leader the consumer does not know yet.
    starts = admin.list_partition_offsets(dict.fromkeys(places, OffsetSpec.EARLIEST))
    ends = admin.list_partition_offsets(dict.fromkeys(places, OffsetSpec.LATEST))
    try:
        commits = admin.list_group_offsets(group)[group]
    except refusals.GroupIdNotFoundError:
        commits = {}
    found = []
    for place, (table, number) in places.items():
        commit = commits.get(place)
        is_known = commit is not None and commit.offset >= 0
        found.append(
            Standing(
                table,
                number,
                starts[place].offset,
                ends[place].offset,
                commit.offset if is_known else None,
                float(commit.metadata) if is_known and commit.metadata else None,
            )
        )
    return found
