"""Members of the landers' group in a real Kafka that come by for moments only, as landers do."""

from __future__ import annotations

import itertools
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest
from kafka.structs import MemberState, TopicPartition

from ingest.eventlog.contract import LogUnavailable
from ingest.eventlog.kafka import membership
from ingest.eventlog.kafka.connection import KafkaConnection
from ingest.eventlog.kafka.log import KafkaLog
from ingest.eventlog.kafka.membership import Membership
from ingest.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.kafka.access import Access

# kafka-python leaves them to the collector
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <:ResourceWarning")

SESSION_SECONDS = 2.0


@pytest.fixture(autouse=True)
def _moments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the group, and no poll has any time."""
    monkeypatch.setattr(membership, "SESSION_MS", int(SESSION_SECONDS * 1000))
    monkeypatch.setattr(membership, "JOIN_SECONDS", 0.0)
    monkeypatch.setattr(membership, "REJOIN_SECONDS", 0.0)
    monkeypatch.setattr(membership, "WAIT_EVERY_SECONDS", 1e9)


@pytest.fixture
def connection(kafka: Access, kafka_prefix: str) -> KafkaConnection:
    """Topics, which are there, and a group of the test's own."""
    made = KafkaConnection((kafka.bootstrap,), kafka_prefix)
    with closing(KafkaLog(made)) as log:
        log.connect()
    return made


@pytest.fixture
def join(connection: KafkaConnection) -> Iterator[Callable[[], Membership]]:
    """Members that are closed at the end."""
    topics = [connection.topic(table) for table in TABLES]
    with ExitStack() as opened:
        yield lambda: opened.enter_context(closing(Membership(connection, topics)))


def until(holds: Callable[[], object], what: str) -> None:
    """Wait for something; the limit only ends a test that has failed."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.05)


def state(member: Membership) -> tuple[str, int]:
    """Whether it takes part, and in which generation of the group."""
    told = member._consumer.group_metadata()
    return told.state, told.generation_id


def test_members_that_come_by_for_moments_share_the_partitions(
    connection: KafkaConnection, join: Callable[[], Membership]
) -> None:
    """Their joins end while none of them looks; the group does not begin again and again."""
    members, topic = [join() for _ in range(3)], connection.topic("router")

    def shared() -> bool:
        owned = [member.partitions(topic) for member in members]
        return all(owned) and sorted(itertools.chain(*owned)) == [0, 1, 2, 3]

    until(shared, "shared")


def test_a_member_that_is_not_let_in_says_so_and_joins_anew(
    connection: KafkaConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for one that hangs, and is no more stuck itself when that one goes on."""
    with closing(KafkaLog(connection)) as hanging, closing(KafkaLog(connection)) as waiting:
        until(lambda: hanging.partitions("router"), "joined")
        monkeypatch.setattr(membership, "JOIN_TOLD_SECONDS", 0.3)
        monkeypatch.setattr(membership, "STUCK_SECONDS", 1.0)
        first = waiting._member()
        with pytest.raises(LogUnavailable, match="has not let this lander into the group"):
            until(lambda: waiting.partitions("router"), "told")
        until(lambda: first.is_stuck, "stuck")
        second = waiting._member()
        assert second is not first
        monkeypatch.setattr(membership, "JOIN_TOLD_SECONDS", 60.0)
        monkeypatch.setattr(membership, "STUCK_SECONDS", 60.0)
        until(lambda: (hanging.partitions("router"), waiting.partitions("router"))[1], "joined too")


def test_a_join_that_ended_while_the_member_slept_counts(
    connection: KafkaConnection, join: Callable[[], Membership]
) -> None:
    """It slept for longer than a session, and is not dead: it owns all topics in the group's first generation."""
    member = join()
    while state(member)[0] == MemberState.UNJOINED:  # at once, before kafka-python has asked for the topics
        member.keep_up()
    time.sleep(SESSION_SECONDS * 1.5)
    for table in TABLES:
        assert member.partitions(connection.topic(table)) == [0, 1, 2, 3]
    member.commit(TopicPartition(connection.topic("router"), 0), 0)
    assert state(member) == (MemberState.STABLE, 1)
