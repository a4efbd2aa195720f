"""Landing from a real Kafka: many landers, rebalances, sudden deaths; each row once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from kafka import KafkaAdminClient, TopicPartition

from ingest.eventlog.contract import LogUnavailable, OwnershipLost
from ingest.eventlog.kafka import log as kafka_log
from ingest.eventlog.kafka import membership
from ingest.eventlog.kafka.connection import KafkaConnection
from ingest.eventlog.kafka.log import KafkaLog
from tests.kafka.fixtures import broker
from tests.transforms.lines import append_requests, landed_ids
from transforms.landing import land_once
from transforms.locallake import LocalLake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.kafka.access import Access

# kafka-python leaves them to the collector
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <:ResourceWarning")

APPS = ("ant", "bee", "cat", "dog", "emu", "fox", "gnu", "hen")
POINTS = ("read", "tail read", "temporary written", "renamed", "before commit", "committed")


@pytest.fixture(autouse=True)
def _quick_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dead members are noticed soon, and nobody waits long for a member in the same thread."""
    monkeypatch.setattr(membership, "SESSION_MS", 2000)
    monkeypatch.setattr(membership, "JOIN_SECONDS", 4.0)
    monkeypatch.setattr(membership, "WAIT_EVERY_SECONDS", 0.2)


@pytest.fixture
def connection(kafka: Access, kafka_prefix: str) -> KafkaConnection:
    """Topics and a group of the test's own."""
    return KafkaConnection((kafka.bootstrap,), kafka_prefix)


@pytest.fixture
def open_log(connection: KafkaConnection) -> Iterator[Callable[[], KafkaLog]]:
    """Logs that are closed at the end."""
    with ExitStack() as opened:
        yield lambda: opened.enter_context(closing(KafkaLog(connection)))


@pytest.fixture
def lake(tmp_path: Path) -> LocalLake:
    """A lake whose folder does not exist yet."""
    return LocalLake(tmp_path / "lake")


def until(holds: Callable[[], object], what: str) -> None:
    """Wait for something; the limit only ends a test that has failed."""
    deadline = time.monotonic() + 90
    while not holds():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.05)


def test_rows_of_all_partitions_land_once(open_log: Callable[[], KafkaLog], lake: LocalLake) -> None:
    """Offset 0 too; the next landing, also by another process, brings only what is new."""
    log = open_log()
    for number, app in enumerate(APPS):
        append_requests(log, [2 * number, 2 * number + 1], app=app)
    land_once(log, lake, file_rows=100)
    assert landed_ids(lake.path) == list(range(16))
    log.close()
    other = open_log()
    append_requests(other, [16], app="ant")
    assert land_once(other, lake, file_rows=100).rows["router"] == 1
    assert landed_ids(lake.path) == list(range(17))
    assert other.backlog() == []


def test_two_landers_share_the_partitions_and_one_inherits_them_all(
    open_log: Callable[[], KafkaLog], lake: LocalLake
) -> None:
    """No partition has two members, every one has one; who leaves leaves his to the others at once."""
    one, other = open_log(), open_log()
    everything = set(one.all_partitions("router"))

    def shared() -> bool:
        mine, theirs = set(one.partitions("router")), set(other.partitions("router"))
        return bool(mine) and bool(theirs) and mine | theirs == everything and not mine & theirs

    until(shared, "shared")
    for number, app in enumerate(APPS):
        append_requests(one, [number], app=app)
    for log in (one, other):
        land_once(log, lake, file_rows=100)
    assert landed_ids(lake.path) == list(range(8))
    other.close()
    until(lambda: set(one.partitions("router")) == everything, "inherited")
    append_requests(one, [8], app="fox")
    land_once(one, lake, file_rows=100)
    assert landed_ids(lake.path) == list(range(9))


def test_landers_that_come_and_go_land_each_row_once(connection: KafkaConnection, lake: LocalLake) -> None:
    """Three landers join and leave in the middle of everything while rows arrive."""
    stop = threading.Event()
    errors: list[BaseException] = []

    def land_for(seconds: float) -> None:
        try:
            with closing(KafkaLog(connection)) as log:
                own = LocalLake(lake.path)
                deadline = time.monotonic() + seconds
                while time.monotonic() < deadline and not stop.is_set():
                    land_once(log, own, file_rows=20)
                    time.sleep(0.05)
        except BaseException as error:  # noqa: BLE001 - looked at below, in the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=land_for, args=(seconds,)) for seconds in (2, 4, 6)]
    with closing(KafkaLog(connection)) as receiver:
        receiver.connect()
        for started, thread in enumerate(threads):
            thread.start()
            for number in range(25):
                ids = range(started * 100 + number * 4, started * 100 + number * 4 + 4)
                append_requests(receiver, list(ids), app=APPS[number % len(APPS)], day=number % 2)
                time.sleep(0.02)
    for thread in threads:
        thread.join()
    assert errors == []
    with closing(KafkaLog(connection)) as log:
        until(lambda: land_once(log, lake, file_rows=20).busy or not log.backlog(), "all landed")
    assert landed_ids(lake.path) == list(range(300))


LANDER = """
import contextlib, os, sys
from pathlib import Path
from ingest.eventlog.contract import LogUnavailable
from ingest.eventlog.kafka.connection import KafkaConnection
from ingest.eventlog.kafka.log import KafkaLog
from transforms.landing import land_once
from transforms.locallake import LocalLake
from ingest.eventlog.kafka import membership
membership.SESSION_MS = 2000
membership.ANSWER_SECONDS = 3.0
lake, server, prefix, signal_number, point = sys.argv[1:]
def fault(reached):
    if reached == point:
        print("there", flush=True)
        os.kill(os.getpid(), int(signal_number))
with contextlib.suppress(LogUnavailable):  # a request that stood still for longer than its time; the next round goes on
    land_once(KafkaLog(KafkaConnection((server,), prefix)), LocalLake(lake), file_rows=3, fault=fault)
print("through", flush=True)
"""


def lander(connection: KafkaConnection, lake: LocalLake, number: signal.Signals, point: str) -> subprocess.Popen[str]:
    """A lander in a process of its own that sends itself a signal at a point."""
    arguments = [str(lake.path), connection.servers[0], connection.prefix, str(int(number)), point]
    command = [sys.executable, "-W", "ignore", "-c", LANDER, *arguments]
    return subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("point", POINTS)
def test_a_lander_killed_anywhere_is_followed_by_one_that_completes_the_lake(
    connection: KafkaConnection, open_log: Callable[[], KafkaLog], lake: LocalLake, point: str
) -> None:
    """The files say what is landed, whatever the group's commits say."""
    log = open_log()
    for number in range(8):
        append_requests(log, [number], day=number % 2)
    with lander(connection, lake, signal.SIGKILL, point) as dying:
        assert dying.wait(timeout=60) == -signal.SIGKILL
    append_requests(log, [8, 9])
    land_once(log, lake, file_rows=3)
    assert landed_ids(lake.path) == list(range(10))


def test_an_owner_that_stood_still_cannot_go_on(
    connection: KafkaConnection, open_log: Callable[[], KafkaLog], lake: LocalLake
) -> None:
    """Stopped amid a landing until the group gave its partitions away: its lock keeps others out, its commit fails."""
    log = open_log()
    for number in range(4):
        append_requests(log, [number])
    with lander(connection, lake, signal.SIGSTOP, "before commit") as standing:
        assert standing.stdout
        assert standing.stdout.readline() == "there\n"
        until(lambda: log.partitions("router"), "the group gave the partitions to another member")
        append_requests(log, [4])
        landed = land_once(log, lake, file_rows=3)
        assert landed.busy == (f"router {place_of(log)}",)
        os.kill(standing.pid, signal.SIGCONT)
        assert standing.stdout.readline() == "through\n"
        standing.wait(timeout=60)
    until(lambda: land_once(log, lake, file_rows=3) and not log.backlog(), "the rest landed")
    assert landed_ids(lake.path) == list(range(5))


def place_of(log: KafkaLog) -> str:
    """The partition that holds entries."""
    return next(name for name in log.all_partitions("router") if log.end("router", name) >= 0)


def test_a_commit_for_others_partitions_is_refused(open_log: Callable[[], KafkaLog]) -> None:
    """A member commits what it owns only."""
    one, other = open_log(), open_log()
    append_requests(one, [1])
    until(lambda: one.partitions("router") and other.partitions("router"), "shared")
    until(lambda: len(one.partitions("router")) == len(other.partitions("router")), "shared evenly")
    theirs = other.partitions("router")[0]
    with pytest.raises(OwnershipLost):
        one.commit("router", theirs, 0)
    with pytest.raises(OwnershipLost):
        one.read("router", theirs, -1, rows_max=1, bytes_max=1)


def test_a_lander_does_not_wait_for_ever_for_a_broker_that_stands_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could not be stopped then: asking for the low watermark fails after a time, and works again afterwards."""
    monkeypatch.setattr(membership, "ANSWER_SECONDS", 1.0)
    with broker(tmp_path) as running, closing(KafkaLog(KafkaConnection((running.bootstrap,)))) as log:
        append_requests(log, [1])
        assert log.partitions("router")
        with running.paused(), pytest.raises(LogUnavailable):
            log.position("router", "p0")
        until(lambda: land_once(log, LocalLake(tmp_path / "lake"), file_rows=100).rows["router"], "landed")


def test_topics_that_are_made_anew_are_another_log(
    connection: KafkaConnection, lake: LocalLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their offsets begin at 0 again; nothing of them is taken for landed."""
    monkeypatch.setattr(kafka_log, "TOPICS_SECONDS", 0.0)
    with closing(KafkaLog(connection)) as log:
        for number in range(3):
            append_requests(log, [number])
        land_once(log, lake, file_rows=100)
    with connection.client(KafkaAdminClient) as admin:
        names = [topic for topic in admin.list_topics() if topic.startswith(connection.prefix)]
        admin.delete_topics(names)
        until(lambda: not set(names) & set(admin.list_topics()), "deleted")
    with closing(KafkaLog(connection)) as log:
        append_requests(log, [3])
        land_once(log, lake, file_rows=100)
    assert landed_ids(lake.path) == [0, 1, 2, 3]


def test_what_kafka_removed_before_it_was_landed_is_counted(
    connection: KafkaConnection, open_log: Callable[[], KafkaLog], lake: LocalLake
) -> None:
    """Retention that is shorter than a lander's absence loses rows: status says how many entries, landing goes on."""
    log = open_log()
    append_requests(log, [0])
    land_once(log, lake, file_rows=100)
    for number in range(1, 5):
        append_requests(log, [number])
    place = TopicPartition(connection.topic("router"), int(place_of(log)[1:]))
    with connection.client(KafkaAdminClient) as admin:
        admin.delete_records({place: 3})
    (lag,) = log.backlog()
    assert (lag.entries, lag.lost) == (4, 2)
    land_once(log, lake, file_rows=100)
    assert landed_ids(lake.path) == [0, 3, 4]
