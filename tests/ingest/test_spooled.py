"""The receiver's log before Kafka: whatever Kafka does, appends are quick, kept, and landed once, in order."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

import duckdb
import pytest

from ingest.batch import store
from ingest.deliveries import Delivery
from ingest.eventlog import spooled
from ingest.eventlog.contract import LogFull, LogUnavailable
from ingest.eventlog.embedded import EmbeddedLog
from ingest.eventlog.forwarding import sole_forwarder
from ingest.eventlog.kafka import connection
from ingest.eventlog.kafka.connection import KafkaConnection, Sasl, Tls
from ingest.eventlog.kafka.log import KafkaLog
from ingest.eventlog.spooled import SpooledLog
from tests.ingest.running import frame
from tests.kafka.fixtures import SECURED, broker, restricted_broker
from transforms.landing import land_once
from transforms.locallake import LocalLake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.kafka.access import Access
    from tests.kafka.broker import Broker

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <:ResourceWarning")

PREFIX = "spool-test."
NOBODY = "127.0.0.1:9"


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """kafka-python leaves sockets of connections that failed to the collector; no later test shall see them."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that the tests here pause, stop and start."""
    with broker(tmp_path_factory.mktemp("own")) as running:
        yield running


@contextmanager
def spooled_log(
    folder: Path, bootstrap: str, prefix: str = PREFIX, said: list[str] | None = None, budget_bytes: int = 1 << 30
) -> Iterator[SpooledLog]:
    """A receiver's log; what it says is appended to ``said``."""
    shared = KafkaLog(KafkaConnection((bootstrap,), prefix), spooled.DIRECT_SECONDS)
    path = folder / "log.db"
    log = SpooledLog(
        EmbeddedLog(path, size_max_bytes=budget_bytes),
        shared,
        path,
        lambda event, sentence, **_: said.append(sentence) if said is not None else None,
    )
    with closing(log):
        yield log


@contextmanager
def spooled_log_without_kafka(folder: Path, budget_bytes: int = 1 << 30) -> Iterator[SpooledLog]:
    """A receiver's log while nothing listens where Kafka should be, which it does not try for long at its end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "CONNECT_SECONDS", 0.2)
        with spooled_log(folder, NOBODY, budget_bytes=budget_bytes) as log:
            yield log


def until(holds: Callable[[], object], what: str) -> None:
    """Wait for something; the limit only ends a test that has failed."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.02)


def put(log: SpooledLog, *texts: str, frame_id: str | None = None) -> float:
    """Store a delivery of one line per text; gives the seconds it took."""
    begun = time.monotonic()
    body = b"".join(map(frame, texts))
    store(log, [Delivery("shop", body, time.time_ns() // 1000, frame_id=frame_id or texts[0])])
    return time.monotonic() - begun


def landed(folder: Path, bootstrap: str, prefix: str = PREFIX) -> list[str]:
    """The lines that are in the lake after a landing, in order of time and offset."""
    lake = LocalLake(folder / "lake")
    with closing(KafkaLog(KafkaConnection((bootstrap,), prefix))) as log:
        land_once(log, lake, file_rows=10_000)
    found = duckdb.sql(f"SELECT message FROM read_parquet('{lake.path}/lines/**/*.parquet')").fetchall()
    return [message for (message,) in found]


def in_kafka(bootstrap: str, table: str = "lines", prefix: str = PREFIX) -> int:
    """How many entries a table's topic holds."""
    with closing(KafkaLog(KafkaConnection((bootstrap,), prefix))) as log:
        return sum(log.end(table, partition) + 1 for partition in log.all_partitions(table))


def test_batches_go_to_kafka_directly_while_it_is_well(tmp_path: Path, kafka: Access, kafka_prefix: str) -> None:
    """Nothing waits in the spool, and what was acknowledged is in Kafka at once."""
    with spooled_log(tmp_path, kafka.bootstrap, kafka_prefix) as log:
        until(lambda: log.state().is_direct, "direct")
        put(log, "a")
        assert log.state().entries == 0
        assert in_kafka(kafka.bootstrap, prefix=kafka_prefix) == 1


def test_a_broker_that_is_away_at_the_start_holds_up_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deliveries are kept and counted, and the trouble is said once, in a sentence."""
    said: list[str] = []
    with spooled_log(tmp_path, NOBODY, said=said) as log:
        assert max(put(log, f"line {n}") for n in range(5)) < 2
        until(lambda: said, "the trouble is said")
        state = log.state()
        assert (state.is_direct, state.entries) == (False, 10)  # each delivery has a row in the ledger
        assert state.oldest_at is not None
        monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.2)  # its last try, at the end
    assert len(said) == 1
    assert "Kafka at 127.0.0.1:9 does not answer" in said[0]
    assert str(tmp_path / "log.db") in said[0]


def test_tries_to_connect_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that is away for days costs neither threads nor file descriptors."""
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.2)
    before = threading.active_count()
    for _ in range(4):
        with closing(KafkaLog(KafkaConnection((NOBODY,)))) as log, pytest.raises(LogUnavailable):
            log.connect()
    gc.collect()
    assert threading.active_count() <= before


def test_a_pause_of_kafka_costs_one_batch_a_second_and_no_line(
    tmp_path: Path, own: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch in flight waits for its deadline, the next ones do not; afterwards all is there once, in order."""
    monkeypatch.setattr(spooled, "HOLD_SECONDS", 1.0)
    said: list[str] = []
    with spooled_log(tmp_path, own.bootstrap, said=said) as log:
        until(lambda: log.state().is_direct, "direct")
        put(log, "000")
        with own.paused():
            assert put(log, "001") < 3.0  # a second for Kafka, the rest for a busy machine
            assert not log.state().is_direct
            assert max(put(log, f"{n:03}") for n in range(2, 20)) < 1.0
            assert log.state().entries > 0
        until(lambda: log.state().is_direct, "Kafka is well again")
        put(log, "020")
    assert [sentence.partition(" ")[0] for sentence in said] == ["Kafka", "Kafka"]
    assert "well again" in said[1]
    # The batch that timed out is in Kafka twice if the broker took it after the pause; in the lake it is once.
    assert in_kafka(own.bootstrap) in (21, 22)
    assert landed(tmp_path, own.bootstrap) == [f"{n:03}" for n in range(21)]


def test_a_repeat_is_known_whichever_way_the_first_try_went(
    tmp_path: Path, own: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First try directly, second into the spool, third directly: stored once and counted as repeated."""
    monkeypatch.setattr(spooled, "HOLD_SECONDS", 1.0)
    with spooled_log(tmp_path, own.bootstrap, prefix="repeats.") as log:
        until(lambda: log.state().is_direct, "direct")
        put(log, "a", frame_id="A")
        with own.paused():
            put(log, "b", frame_id="B")
            put(log, "a", frame_id="A")
        until(lambda: log.state().is_direct, "Kafka is well again")
        put(log, "b", frame_id="B")
    assert sorted(landed(tmp_path, own.bootstrap, "repeats.")) == ["a", "b"]
    ledger = f"read_parquet('{tmp_path}/lake/deliveries/**/*.parquet')"
    assert duckdb.sql(f"SELECT sum(lines), sum(repeated) FROM {ledger}").fetchall() == [(4, 2)]


def test_a_full_spool_refuses_and_loses_nothing(tmp_path: Path, kafka: Access, kafka_prefix: str) -> None:
    """With Kafka away and the budget used up an append is refused; what was kept is forwarded later."""
    kept = 0
    with spooled_log_without_kafka(tmp_path, budget_bytes=600_000) as log, pytest.raises(LogFull):  # noqa: PT012
        while True:
            put(log, f"line {kept} " + os.urandom(20_000).hex())
            kept += 1
    assert kept > 3
    with spooled_log(tmp_path, kafka.bootstrap, kafka_prefix, budget_bytes=600_000) as log:
        until(lambda: log.state().is_direct, "forwarded")
        put(log, "after")
    found = landed(tmp_path, kafka.bootstrap, kafka_prefix)
    assert sorted(text.split()[1] if text != "after" else text for text in found) == sorted(
        [*(str(n) for n in range(kept)), "after"]
    )


def test_a_stop_that_is_asked_for_empties_the_spool(tmp_path: Path, kafka: Access, kafka_prefix: str) -> None:
    """On a dyno the disk goes with the process: what Kafka would take now is not left on it."""
    with spooled_log_without_kafka(tmp_path) as log:
        put(log, "a")
    shared = KafkaLog(KafkaConnection((kafka.bootstrap,), kafka_prefix))
    path = tmp_path / "log.db"
    log = SpooledLog(EmbeddedLog(path), shared, path, lambda *_, **__: None)
    log.close()
    assert landed(tmp_path, kafka.bootstrap, kafka_prefix) == ["a"]


def test_a_stop_waits_for_another_worker_that_forwards(tmp_path: Path, kafka: Access, kafka_prefix: str) -> None:
    """That one may have looked into the spool before the last batch of this one came."""
    with spooled_log_without_kafka(tmp_path) as log:
        put(log, "a")
    path = tmp_path / "log.db"
    with ExitStack() as other:
        assert other.enter_context(sole_forwarder(path))
        shared = KafkaLog(KafkaConnection((kafka.bootstrap,), kafka_prefix))
        leaving = threading.Thread(target=SpooledLog(EmbeddedLog(path), shared, path, lambda *_, **__: None).close)
        leaving.start()
        leaving.join(0.3)
        assert leaving.is_alive()
    leaving.join()
    assert in_kafka(kafka.bootstrap, prefix=kafka_prefix) == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from ingest.eventlog import forwarding
from ingest.eventlog.embedded import EmbeddedLog
from ingest.eventlog.kafka import connection
from ingest.eventlog.kafka.connection import KafkaConnection
from ingest.eventlog.kafka.log import KafkaLog
commit = EmbeddedLog.commit
def die(self, table, partition, offset):
    if table == "lines":
        os.kill(os.getpid(), signal.SIGKILL)
    commit(self, table, partition, offset)
EmbeddedLog.commit = die
forwarding.forward(EmbeddedLog(Path(sys.argv[1])), KafkaLog(KafkaConnection((sys.argv[2],), sys.argv[3])))
"""


def test_a_forwarder_killed_before_it_notes_what_it_wrote_doubles_nothing(
    tmp_path: Path, kafka: Access, kafka_prefix: str
) -> None:
    """The portion is written again after the restart, and landing keeps the first, hours later too."""
    with spooled_log_without_kafka(tmp_path) as log:
        for n in range(5):
            put(log, f"line {n}")
    command = [sys.executable, "-c", KILLED, str(tmp_path / "log.db"), kafka.bootstrap, kafka_prefix]
    assert subprocess.run(command, check=False, timeout=60, capture_output=True).returncode == -signal.SIGKILL
    assert in_kafka(kafka.bootstrap, prefix=kafka_prefix) == 5
    with spooled_log(tmp_path, kafka.bootstrap, kafka_prefix) as log:
        until(lambda: log.state().is_direct, "forwarded")
    assert in_kafka(kafka.bootstrap, prefix=kafka_prefix) == 10
    assert landed(tmp_path, kafka.bootstrap, kafka_prefix) == [f"line {n}" for n in range(5)]


def test_two_receivers_of_one_host_share_the_spool(tmp_path: Path, kafka: Access, kafka_prefix: str) -> None:
    """One of them forwards at a time, and what either spooled gets there once."""
    with (
        spooled_log(tmp_path, kafka.bootstrap, kafka_prefix) as one,
        spooled_log(tmp_path, kafka.bootstrap, kafka_prefix) as other,
    ):
        for log, name in ((one, "one"), (other, "other")):
            for n in range(3):
                put(log, f"{name} {n}")
        until(lambda: one.state().entries == 0 and one.state().is_direct and other.state().is_direct, "forwarded")
    expected = [f"{name} {n}" for name in ("one", "other") for n in range(3)]
    assert sorted(landed(tmp_path, kafka.bootstrap, kafka_prefix)) == expected


def test_entries_are_cut_for_a_broker_that_takes_100_kb(tmp_path: Path) -> None:
    """Nothing is lost, whether the topic tells its limit or the broker only refuses."""
    texts = [os.urandom(100).hex() + f" {n}" for n in range(3_000)] + ["long " + os.urandom(150_000).hex()]
    with broker(tmp_path, properties={"message.max.bytes": "100000"}) as small:
        place = KafkaConnection((small.bootstrap,), "small.")
        with closing(KafkaLog(place)) as log:
            store(log, [Delivery("shop", b"".join(map(frame, texts)), time.time_ns() // 1000)])
            assert log._topics is not None
            assert log._topics.entry_max_bytes == 100_000
        with closing(KafkaLog(place)) as log:
            log.connect()
            assert log._producer is not None
            log._producer._entry_max_bytes = 10_000_000  # as if it would not tell
            store(log, [Delivery("shop", b"".join(map(frame, texts)), time.time_ns() // 1000)])
        found = landed(tmp_path, small.bootstrap, "small.")
    assert sum(map(len, found)) == 2 * sum(map(len, texts))


def test_missing_topics_that_may_not_be_made_are_said_in_a_sentence(tmp_path: Path) -> None:
    """The receiver keeps everything meanwhile, and goes on by itself once somebody made them."""
    said: list[str] = []
    with restricted_broker(tmp_path, PREFIX) as strict, spooled_log(tmp_path, strict.bootstrap, said=said) as log:
        put(log, "kept")
        until(lambda: said, "the refusal is said")
        assert f"lacks the topics {PREFIX}drainlake.router" in said[0]
        assert "does not let this user make them" in said[0]
        from ingest.schema import TABLES

        for table in TABLES:
            strict.create_topic(f"{PREFIX}drainlake.{table}", partitions=2)
        until(lambda: log.state().is_direct, "forwarded")
        put(log, "after")
        assert landed(tmp_path, strict.bootstrap) == ["kept", "after"]


def test_a_user_that_may_only_look_is_said_in_a_sentence(tmp_path: Path) -> None:
    """Writing is refused: the sentence says what to allow."""
    with restricted_broker(tmp_path, PREFIX, "DESCRIBE") as strict:
        from ingest.schema import TABLES

        for table in TABLES:
            strict.create_topic(f"{PREFIX}drainlake.{table}")
        log = KafkaLog(KafkaConnection((strict.bootstrap,), PREFIX))
        with closing(log), pytest.raises(LogUnavailable, match="refuses access to a topic; allow this user"):
            store(log, [Delivery("shop", frame("x"), 0)])


@pytest.mark.parametrize("secured", SECURED, indirect=True)
def test_every_way_of_coming_in(secured: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS, client certificates, Heroku's private authority, passwords: entries go in and come out."""
    access = secured.access
    with closing(KafkaLog(connection_of(access))) as log:
        store(log, [Delivery("shop", frame("a"), time.time_ns() // 1000)])
        assert sum(lag.entries for lag in log.backlog()) == 2
    if access.password is not None:
        wrong = Sasl(access.user or "", "not it", access.mechanism or "")
        known = connection_of(access)
        monkeypatch.setattr(connection, "CONNECT_SECONDS", 1.0)  # it is refused again and again, for so long
        with closing(KafkaLog(KafkaConnection(known.servers, "", known.tls, wrong))) as log:
            with pytest.raises(LogUnavailable) as refusal:
                log.connect()
            assert "not it" not in str(refusal.value)
            assert access.password not in repr(known)


def connection_of(access: Access) -> KafkaConnection:
    """A connection as settings would make it."""
    text = {path: path.read_text() for path in (access.ca_path, access.certificate_path, access.key_path) if path}
    tls = None
    if access.ca_path:
        tls = Tls(
            text[access.ca_path],
            text[access.certificate_path] if access.certificate_path else None,
            text[access.key_path] if access.key_path else None,
            check_host=access.check_host,
        )
    sasl = Sasl(access.user or "", access.password, access.mechanism or "PLAIN") if access.password else None
    return KafkaConnection((access.bootstrap,), "", tls, sasl)
