"""The test brokers themselves: each does what a test of the product will rely on, shown with kafka-python alone."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError, TopicAuthorizationFailedError

from tests.kafka.fixtures import ANONYMOUS, SECURED, broker, cluster, forgotten_connections, restricted_broker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.kafka.access import Access, SecurityName
    from tests.kafka.broker import Broker


WAIT_SECONDS = 20


@contextlib.contextmanager
def producing(access: Access, **options: Any) -> Iterator[KafkaProducer]:
    """A producer that waits for all copies, closed without waiting for what could not be sent."""
    producer = KafkaProducer(**access.options(), acks="all", **options)
    try:
        yield producer
    finally:
        producer.close(timeout=1)


def send(access: Access, topic: str, values: Sequence[bytes]) -> None:
    """Write values one by one, each acknowledged."""
    with producing(access) as producer:
        for value in values:
            producer.send(topic, value).get(timeout=WAIT_SECONDS)


def received(access: Access, topic: str) -> list[bytes]:
    """All values of the only partition of a topic."""
    partition = TopicPartition(topic, 0)
    with contextlib.closing(KafkaConsumer(**access.options(), group_id=None, enable_auto_commit=False)) as consumer:
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        end = consumer.end_offsets([partition])[partition]
        found: list[bytes] = []
        while consumer.position(partition) < end:
            found += [record.value for records in consumer.poll(timeout_ms=500).values() for record in records]
    return found


def expect_refusal(options: dict[str, Any], topic: str) -> None:
    """Fail unless a producer with these options gets no word of a topic from the broker.

    With a version given it connects late: a client that fails in its constructor cannot be closed.
    """
    producer = KafkaProducer(**options, api_version=(4, 1), max_block_ms=1_000)
    with contextlib.closing(producer), pytest.raises(KafkaTimeoutError, match="metadata"):
        producer.send(topic, b"one")


def test_the_shared_broker_keeps_what_it_acknowledged(kafka: Access, kafka_prefix: str) -> None:
    """What was sent with ``acks=all`` is read back in order."""
    topic = f"{kafka_prefix}lines"
    with contextlib.closing(KafkaAdminClient(**kafka.options())) as admin:
        admin.create_topics({topic: {"num_partitions": 1, "replication_factor": 1}})
    send(kafka, topic, [b"one", b"two"])
    assert received(kafka, topic) == [b"one", b"two"]


@pytest.mark.parametrize("secured", SECURED, indirect=True)
def test_a_client_with_the_right_papers_comes_in(secured: Broker) -> None:
    """``Broker.access`` has all that each kind of security asks for."""
    secured.create_topic("with-papers")
    send(secured.access, "with-papers", [b"one"])
    assert received(secured.access, "with-papers") == [b"one"]


MISSING: dict[SecurityName, dict[str, Any]] = {
    "client_certificate": {"ssl_certfile": None, "ssl_keyfile": None},
    "heroku": {"ssl_check_hostname": True},
    "sasl_scram": {"sasl_plain_password": "wrong"},
}


@pytest.mark.parametrize("secured", MISSING, indirect=True)
def test_a_client_without_the_right_papers_stays_outside(secured: Broker, request: pytest.FixtureRequest) -> None:
    """The kinds of security are no decoration: certificate, name and password are looked at."""
    missing = MISSING[request.node.callspec.params["secured"]]
    secured.create_topic("without-papers")
    with forgotten_connections():
        expect_refusal({**secured.access.options(), **missing}, "without-papers")


def test_properties_reach_the_broker(tmp_path: Path) -> None:
    """A test can set any server property."""
    with broker(tmp_path, properties={"num.partitions": "3"}) as running, running.admin() as admin:
        admin.create_topics(["lines"], wait_for_metadata=True)
        assert len(admin.describe_topics(["lines"])[0]["partitions"]) == 3


def test_a_restarted_broker_has_its_data_on_the_same_port(tmp_path: Path) -> None:
    """Neither an orderly stop nor a sudden death loses what was acknowledged."""
    with broker(tmp_path) as running:
        running.create_topic("lines")
        send(running.access, "lines", [b"one"])
        running.restart()
        send(running.access, "lines", [b"two"])
        running.kill()
        running.start()
        assert received(running.access, "lines") == [b"one", b"two"]


def test_a_paused_broker_answers_nothing_until_it_goes_on(tmp_path: Path) -> None:
    """A send gets no acknowledgement during the pause and the same send gets it afterwards."""
    with broker(tmp_path) as running:
        running.create_topic("lines")
        with producing(running.access) as producer:
            producer.send("lines", b"before").get(timeout=WAIT_SECONDS)
            with running.paused():
                waiting = producer.send("lines", b"during")
                with pytest.raises(KafkaTimeoutError):
                    waiting.get(timeout=1)
            waiting.get(timeout=WAIT_SECONDS)
        assert received(running.access, "lines") == [b"before", b"during"]


def test_a_client_may_use_but_not_create_topics(tmp_path: Path) -> None:
    """The broker's own refusal reaches a client that needs no password."""
    with restricted_broker(tmp_path, "shop.") as running:
        client = KafkaAdminClient(**running.access.options())
        with contextlib.closing(client), pytest.raises(TopicAuthorizationFailedError):
            client.create_topics({"shop.lines": {"num_partitions": 1, "replication_factor": 1}})
        running.create_topic("shop.lines")
        send(running.access, "shop.lines", [b"one"])
        assert received(running.access, "shop.lines") == [b"one"]


def test_a_client_may_read_but_not_write(tmp_path: Path) -> None:
    """Without the right to write, the broker refuses the record."""
    with restricted_broker(tmp_path, "shop.", "DESCRIBE", "READ") as running:
        running.create_topic("shop.lines")
        with pytest.raises(KafkaError, match="AuthorizationFailed"):
            send(running.access, "shop.lines", [b"one"])
        running.allow(ANONYMOUS, "shop.", "WRITE")
        send(running.access, "shop.lines", [b"one"])


def test_a_cluster_survives_the_death_of_a_leader(tmp_path: Path) -> None:
    """What was acknowledged before and after the death is there, and the dead node comes back."""
    with cluster(tmp_path) as running:
        running.nodes[0].create_topic("lines")
        with producing(running.access) as producer:
            producer.send("lines", b"before").get(timeout=WAIT_SECONDS)
            dead = running.leader_of("lines")
            dead.kill()
            producer.send("lines", b"after").get(timeout=WAIT_SECONDS)
        assert running.leader_of("lines") is not dead
        dead.start()
        assert received(running.access, "lines") == [b"before", b"after"]


def test_a_broker_that_cannot_start_says_why(tmp_path: Path) -> None:
    """The end of its log is in the error."""
    wrong = broker(tmp_path, properties={"num.partitions": "many"})
    with pytest.raises(AssertionError, match=r"Invalid value many.+num\.partitions"), wrong:
        pass


def test_a_broker_dies_with_its_test_process(tmp_path: Path) -> None:
    """``kill -9`` of the tests leaves no broker behind, not even a paused one."""
    program = f"""
import time
from pathlib import Path
from tests.kafka.fixtures import broker
with broker(Path({str(tmp_path)!r})) as running:
    running.pause()
    print(running.pid, flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as tests:
        assert tests.stdout is not None
        running = psutil.Process(int(tests.stdout.readline()))
        os.kill(tests.pid, signal.SIGKILL)
        running.wait(timeout=WAIT_SECONDS)
