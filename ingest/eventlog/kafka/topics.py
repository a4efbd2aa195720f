"""The topics of the log: made where they are missing and may be made; what they allow and how they are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import kafka.errors as refusals
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

from ingest.eventlog.contract import LogUnavailable
from ingest.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ingest.eventlog.kafka.connection import KafkaConnection

PARTITIONS: Final = 4  # an app stays in one; more landers than partitions find nothing to do
REPLICAS_MAX: Final = 3
RETENTION_MS: Final = 7 * 86_400_000  # how long a lander may be away before rows are lost
ENTRY_BYTES: Final = 1_000_000  # Kafka's own default is a little more
_CONFIGS: Final = {
    "retention.ms": str(RETENTION_MS),
    "cleanup.policy": "delete",
    "compression.type": "producer",  # entries are compressed already
    # Repeats are told by how long ago the first was appended: one clock must say.
    "message.timestamp.type": "LogAppendTime",
}


class Topics:
    """What the broker says of our topics, asked once per connection."""

    def __init__(self, connection: KafkaConnection) -> None:
        """Ask for the topics and make those that are missing. Raises :class:`LogUnavailable`."""
        self._connection = connection
        try:
            with connection.client(KafkaAdminClient) as admin:
                self._known = self._described(admin)
                if missing := [table for table in TABLES if table not in self._known]:
                    self._make(admin, missing)
                    self._known = self._described(admin)
                self.entry_max_bytes = self._limit(admin)
        except (KafkaError, OSError) as error:
            raise connection.unavailable(error) from error

    def identity(self, table: str) -> str:
        """The topic's id: a topic that was deleted and made again counts from 0, and is another log."""
        return f"kafka:{self._known[table]['topic_id']}"

    def partitions(self, table: str) -> list[int]:
        """The numbers of a table's partitions."""
        return sorted(partition["partition_index"] for partition in self._known[table]["partitions"])

    def _described(self, admin: KafkaAdminClient) -> Mapping[str, dict[str, Any]]:
        tables = {self._connection.topic(table): table for table in TABLES}
        found = admin.describe_topics(list(tables))
        for topic in found:
            refusal = refusals.for_code(topic["error_code"])
            if refusal not in (
                refusals.NoError,
                refusals.UnknownTopicOrPartitionError,
                refusals.LeaderNotAvailableError,
            ):
                raise refusal(topic["name"])
        return {tables[topic["name"]]: topic for topic in found if topic["partitions"]}

    def _make(self, admin: KafkaAdminClient, tables: list[str]) -> None:
        replicas = min(REPLICAS_MAX, len(admin.describe_cluster()["brokers"]))
        configs = _CONFIGS | ({"min.insync.replicas": "2"} if replicas > 2 else {})
        wanted = {"num_partitions": PARTITIONS, "replication_factor": replicas, "configs": configs}
        names = [self._connection.topic(table) for table in tables]
        try:
            admin.create_topics(dict.fromkeys(names, wanted), raise_errors=True)
        except refusals.TopicAlreadyExistsError:
            pass  # another process was faster
        except (
            refusals.TopicAuthorizationFailedError,
            refusals.ClusterAuthorizationFailedError,
            refusals.PolicyViolationError,
        ) as error:
            raise LogUnavailable(
                f"Kafka at {','.join(self._connection.servers)} lacks the topics {', '.join(names)} and does not let"
                f" this user make them; make them with {PARTITIONS} partitions and a retention of 7 days"
            ) from error
        admin.wait_for_topics(names)

    def _limit(self, admin: KafkaAdminClient) -> int:
        """Bytes that an entry may have; where the broker does not tell, what Kafka has by default."""
        names = [self._connection.topic(table) for table in TABLES]
        try:
            told = admin.describe_configs(
                [ConfigResource(ConfigResourceType.TOPIC, name) for name in names], config_filter="all"
            )
            limits = [int(told["topic"][name]["max.message.bytes"]["value"]) for name in names]
        except (KafkaError, KeyError, TypeError, ValueError):
            return ENTRY_BYTES
        return min(limits)
