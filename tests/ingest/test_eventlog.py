"""The contract of an event log, for every implementation: what ``contract`` promises, each promise by a test."""

from __future__ import annotations

import multiprocessing
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest
from kafka import KafkaProducer

from ingest.eventlog import embedded
from ingest.eventlog.contract import AlreadyHeld, EventLog, LogFull, Mark, NewEntry
from ingest.eventlog.embedded import EmbeddedLog
from ingest.eventlog.kafka import log as kafka_log
from ingest.eventlog.kafka.connection import KafkaConnection
from ingest.eventlog.kafka.log import KafkaLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.kafka.access import Access

OpenLog = "Callable[[], EventLog]"


@pytest.fixture(params=["embedded", "kafka"])
def open_log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], EventLog]]:
    """Opens the same log again and again; what a test leaves open is closed behind it."""
    opened: list[EventLog] = []

    def made() -> EventLog:
        if request.param == "embedded":
            return EmbeddedLog(tmp_path / "log.db")
        kafka = request.getfixturevalue("kafka")
        return KafkaLog(KafkaConnection((kafka.bootstrap,), request.getfixturevalue("kafka_prefix")))

    def open_one() -> EventLog:
        opened.append(made())
        return opened[-1]

    yield open_one
    for log in opened:
        log.close()


def entry(number: int, table: str = "router", rows: int = 10, size: int = 100) -> NewEntry:
    """An entry that can be told from others."""
    return NewEntry(table, "shop", rows, b"%06d" % number + bytes(size))


def place_of(log: EventLog, table: str = "router") -> str:
    """The partition that the entries of ``entry`` lie in: all are of one app."""
    filled = [name for name in log.all_partitions(table) if log.end(table, name) >= 0]
    return filled[0] if filled else log.all_partitions(table)[0]


def numbers(log: EventLog, table: str = "router", after: int = -1, **limits: int) -> list[int]:
    """The numbers of the entries that a read gives."""
    limits = {"rows_max": 10**9, "bytes_max": 10**9, **limits}
    found = log.read(table, place_of(log, table), after, **limits)
    return [int(each.payload[:6]) for each in found]


def test_entries_come_back_in_order(open_log: Callable[[], EventLog]) -> None:
    """What was appended is read in the order of the appends, tables apart."""
    log = open_log()
    for number in range(5):
        log.append([entry(number), entry(number + 100, "access")])
    assert numbers(log) == [0, 1, 2, 3, 4]
    assert numbers(log, "access") == [100, 101, 102, 103, 104]
    assert numbers(log, "php") == []


def test_offsets_grow_across_openings(open_log: Callable[[], EventLog]) -> None:
    """An entry appended after a restart lies behind all before it."""
    for number in range(3):
        log = open_log()
        log.append([entry(number)])
        log.close()
    log = open_log()
    offsets = [each.offset for each in log.read("router", place_of(log), -1, rows_max=99, bytes_max=9999)]
    assert offsets == sorted(set(offsets))
    assert numbers(log) == [0, 1, 2]


def test_the_identity_stays(open_log: Callable[[], EventLog]) -> None:
    """The same log is known by the same identity for ever."""
    assert open_log().identity("router") == open_log().identity("router")


def test_a_read_keeps_its_limits_but_gives_at_least_one_entry(open_log: Callable[[], EventLog]) -> None:
    """A lander's memory is bounded by rows and bytes; a single large entry still comes."""
    log = open_log()
    for number in range(6):
        log.append([entry(number, rows=10, size=1000)])
    assert numbers(log, rows_max=30) == [0, 1, 2]
    assert numbers(log, bytes_max=2500) == [0, 1]
    assert numbers(log, rows_max=1) == [0]


def test_a_read_goes_on_where_one_before_ended(open_log: Callable[[], EventLog]) -> None:
    """Portion by portion, also when entries arrive meanwhile, and from any offset again."""
    log = open_log()
    for number in range(3):
        log.append([entry(number)])
    place = place_of(log)
    first = log.read("router", place, -1, rows_max=20, bytes_max=10**9)
    log.append([entry(3)])
    rest = log.read("router", place, first[-1].offset, rows_max=10**9, bytes_max=10**9)
    assert [int(each.payload[:6]) for each in first + rest] == [0, 1, 2, 3]
    assert log.read("router", place, rest[-1].offset, rows_max=9, bytes_max=9) == []
    assert numbers(log, after=first[0].offset) == [1, 2, 3]


def test_an_entry_keeps_what_is_known_of_it(open_log: Callable[[], EventLog]) -> None:
    """App, rows, and when it was appended."""
    log = open_log()
    begun = time.time()
    log.append([NewEntry("php", "blog", 3, b"000007"), entry(8, "php")])
    found = {
        each.app: each
        for name in log.all_partitions("php")
        for each in log.read("php", name, -1, rows_max=99, bytes_max=999)
    }
    assert (found["blog"].rows, found["shop"].rows) == (3, 10)
    assert begun - 5 < found["blog"].appended_at < time.time() + 5


def test_an_app_stays_in_the_partition_that_kafka_chooses_for_its_key(kafka: Access, kafka_prefix: str) -> None:
    """As with any producer, and with every version: the tries of a delivery must lie in one partition."""
    apps = [f"app-{number}" for number in range(9)]
    connection = KafkaConnection((kafka.bootstrap,), kafka_prefix)
    with closing(KafkaLog(connection)) as log:
        log.append([NewEntry("php", app, 1, b"x") for app in apps])
        with closing(connection.client(KafkaProducer)) as plain:
            sent = {app: plain.send(connection.topic("php"), b"y", key=app.encode()).get(10).partition for app in apps}
        for number in range(4):
            found = log.read("php", f"p{number}", -1, rows_max=99, bytes_max=9999)
            assert {each.app for each in found} == {app for app, place in sent.items() if place == number}


def test_entries_can_be_found_by_the_time_of_their_append(open_log: Callable[[], EventLog]) -> None:
    """Whoever has to look back reads only what is young enough."""
    log = open_log()
    for number in range(3):
        log.append([entry(number)])
        time.sleep(0.02)
    place = place_of(log)
    second = log.read("router", place, -1, rows_max=10**9, bytes_max=10**9)[1]
    assert numbers(log, after=log.before("router", place, second.appended_at)) == [1, 2]
    assert numbers(log, after=log.before("router", place, time.time() + 60)) == []
    assert numbers(log, after=log.before("router", place, 0)) == [0, 1, 2]


def test_the_low_watermark_is_remembered(open_log: Callable[[], EventLog]) -> None:
    """A position is below all entries at first and survives a restart; tables have their own."""
    log = open_log()
    log.append([entry(0), entry(1, "access")])
    (found,) = log.read("router", place_of(log), -1, rows_max=1, bytes_max=1)
    place = found.partition
    assert place in log.partitions("router")
    assert log.position("router", place) < found.offset
    log.commit("router", place, found.offset)
    begun = time.time()
    log.close()
    log = open_log()
    assert place in log.partitions("router")
    assert log.position("router", place) == found.offset
    assert log.position("access", place) < log.end("access", place_of(log, "access"))
    landed_at = log.last_landed_at()
    assert landed_at is not None
    assert begun - 5 < landed_at < begun + 5


def test_the_backlog_counts_what_is_not_landed(open_log: Callable[[], EventLog]) -> None:
    """Entries above the low watermark, by table and partition."""
    log = open_log()
    assert list(log.backlog()) == []
    assert log.last_landed_at() is None
    log.append([entry(0), entry(1), entry(2, "php", rows=3)])
    assert {lag.table: lag.entries for lag in log.backlog()} == {"router": 2, "php": 1}
    place = place_of(log)
    assert place in log.partitions("router")
    first = log.read("router", place, -1, rows_max=1, bytes_max=1)[0]
    log.commit("router", place, first.offset)
    assert {lag.table: lag.entries for lag in log.backlog()} == {"router": 1, "php": 1}
    assert all(lag.oldest_appended_at is not None and lag.lost == 0 for lag in log.backlog())


def test_a_marked_piece_is_held_once(open_log: Callable[[], EventLog]) -> None:
    """An append with a known mark stores nothing of itself and says which marks are known."""
    log = open_log()
    log.append([entry(0)], [Mark(b"a"), Mark(b"b")])
    with pytest.raises(AlreadyHeld) as answer:
        log.append([entry(1)], [Mark(b"b"), Mark(b"c")])
    assert answer.value.digests == {b"b"}
    assert numbers(log) == [0]
    log.append([entry(2)], [Mark(b"c")])
    assert numbers(log) == [0, 2]


def test_marks_that_kafka_s_appender_forgets_too_early_are_counted(
    kafka: Access, kafka_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest go first; one that no try of Heroku's can meet any more is no loss."""
    monkeypatch.setattr(kafka_log, "MARKS_MAX", 2)
    with closing(KafkaLog(KafkaConnection((kafka.bootstrap,), kafka_prefix))) as log:
        log.append([], [Mark(b"a"), Mark(b"b"), Mark(b"c")])
        assert (log.held([Mark(b"a"), Mark(b"b"), Mark(b"c")]), log.forgotten_marks) == ([b"b", b"c"], 1)
        monkeypatch.setattr(kafka_log, "MARKS_SECONDS", 0.0)
        log.append([], [Mark(b"d")])
        assert (log.held([Mark(b"b"), Mark(b"d")]), log.forgotten_marks) == ([b"d"], 1)


def test_an_append_of_nothing_is_allowed(open_log: Callable[[], EventLog]) -> None:
    """A delivery whose pieces are all held brings no entry."""
    open_log().append([], [])


def test_appends_from_many_threads_all_arrive(open_log: Callable[[], EventLog]) -> None:
    """One log object serves several threads."""
    log = open_log()
    threads = [threading.Thread(target=log.append, args=([entry(number)],)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers(log)) == list(range(20))


def _append_in_a_process(path: Path, first: int) -> None:
    log = EmbeddedLog(path)
    for number in range(first, first + 25):
        log.append([entry(number)])


def test_appends_from_several_processes_all_arrive(tmp_path: Path) -> None:
    """Receivers on one host share the embedded log."""
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_append_in_a_process, args=(tmp_path / "log.db", n * 25)) for n in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    log = EmbeddedLog(tmp_path / "log.db")
    assert sorted(numbers(log)) == list(range(75))
    log.close()


def test_a_log_that_several_make_at_once_is_one(tmp_path: Path) -> None:
    """Two receivers can start in the same second; none may see the tables without the log's identity."""
    for number in range(10):
        path, start = tmp_path / f"{number}.db", threading.Barrier(8)

        def identity(path: Path = path, start: threading.Barrier = start) -> str:
            start.wait()
            with closing(EmbeddedLog(path)) as log:
                return log.identity("router")

        with ThreadPoolExecutor(8) as threads:
            assert len({each.result() for each in [threads.submit(identity) for _ in range(8)]}) == 1


def test_a_log_without_identity_gets_one(tmp_path: Path) -> None:
    """An older drainlake that was killed while it made the file left such a one."""
    EmbeddedLog(tmp_path / "log.db").close()
    with closing(sqlite3.connect(tmp_path / "log.db", isolation_level=None)) as connection:
        connection.execute("DELETE FROM log")
    with closing(EmbeddedLog(tmp_path / "log.db")) as log, closing(EmbeddedLog(tmp_path / "log.db")) as again:
        assert log.identity("router") == again.identity("router") != ""


def test_every_commit_waits_for_the_disk(tmp_path: Path) -> None:
    """WAL with synchronous=FULL: what was appended survives a power cut."""
    log = EmbeddedLog(tmp_path / "log.db")
    log.close()
    connection = embedded.connect(tmp_path / "log.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    connection.close()


def test_an_older_copy_of_the_log_never_gives_an_offset_twice(tmp_path: Path) -> None:
    """After a restore from backup, new entries lie behind those the lake may hold of the lost log."""
    log = EmbeddedLog(tmp_path / "log.db")
    log.append([entry(0)])
    log.close()
    backup = (tmp_path / "log.db").read_bytes()
    log = EmbeddedLog(tmp_path / "log.db")
    log.append([entry(number) for number in range(1, 50)])
    lost_end = log.end("router", "e0")
    log.close()
    (tmp_path / "log.db").write_bytes(backup)
    restored = EmbeddedLog(tmp_path / "log.db")
    restored.append([entry(50)])
    assert restored.end("router", "e0") > lost_end
    restored.close()


def test_an_append_never_falls_below_a_low_watermark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that opened the log long ago appends behind what others appended, landed and deleted meanwhile."""
    early = EmbeddedLog(tmp_path / "log.db")
    monkeypatch.setattr(embedded.time, "time_ns", lambda: 4_000_000_000_000_000_000)  # its clock is ahead
    late = EmbeddedLog(tmp_path / "log.db")
    monkeypatch.undo()
    late.append([entry(0)])
    late.commit("router", "e0", late.end("router", "e0"))
    connection = embedded.connect(tmp_path / "log.db")
    connection.execute("DELETE FROM entries")
    connection.close()
    early.append([entry(1)])
    assert numbers(early, after=early.position("router", "e0")) == [1]
    early.commit("router", "e0", 1)  # a late lander cannot move the watermark back
    assert numbers(early, after=early.position("router", "e0")) == [1]


def test_landed_entries_make_room_before_an_append_is_refused(tmp_path: Path) -> None:
    """The budget counts what waits; what is landed goes first, oldest first, and what is not landed never."""
    log = EmbeddedLog(tmp_path / "log.db", size_max_bytes=2_000_000)
    appended = 0
    with pytest.raises(LogFull, match="budget of 2000000 bytes"):  # noqa: PT012 - which append is refused is not said
        while True:
            log.append([entry(appended, size=100_000)])
            appended += 1
    assert numbers(log) == list(range(appended))
    landed = log.read("router", "e0", 0, rows_max=100, bytes_max=10**9)[9].offset
    log.commit("router", "e0", landed)
    log.append([entry(500, size=100_000)])
    assert numbers(log)[-1] == 500
    assert set(range(10, appended)) <= set(numbers(log))
    log.close()


def test_a_log_that_refused_a_batch_has_no_room_until_the_batch_fits(tmp_path: Path) -> None:
    """Else it would take back that it is full, and refuse the next delivery of that size: Heroku loses each of them."""
    with closing(EmbeddedLog(tmp_path / "log.db", size_max_bytes=2_000_000)) as log:
        assert log.has_room()
        appended = 0
        with suppress(LogFull):
            while True:
                log.append([entry(appended, size=300_000)])
                appended += 1
        assert not log.has_room()
        log.commit("router", "e0", log.read("router", "e0", 0, rows_max=100, bytes_max=10**9)[0].offset)
        assert log.has_room()
        log.append([entry(appended, size=300_000)])
        log.commit("router", "e0", log.read("router", "e0", 0, rows_max=100, bytes_max=10**9)[-1].offset)
        with pytest.raises(LogFull):
            log.append([entry(number, size=300_000) for number in range(10)])
        assert log.has_room()  # nothing waits: no batch could find more


def test_the_newest_marks_outlive_a_clock_that_jumps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two tries of a delivery a host's clock can be set right by years; older marks go, those never do."""
    monkeypatch.setattr(embedded, "KEEP_MARKS_MIN", 3)
    monkeypatch.setattr(embedded, "TRIM_EVERY_SECONDS", 0.0)
    with closing(EmbeddedLog(tmp_path / "log.db")) as log:
        for number in range(5):
            log.append([], [Mark(b"%d" % number)])
        log.append([], [Mark(b"import", lasting=True)])
        monkeypatch.setattr(embedded.time, "time", lambda: 4_000_000_000.0)
        log.append([])
        marks = [*(Mark(b"%d" % number) for number in range(5)), Mark(b"import")]
        assert log.held(marks) == [b"2", b"3", b"4", b"import"]
        log.append([], [Mark(b"5")])
        log.append([])
        assert log.held(marks) == [b"3", b"4", b"import"]


def test_a_refused_append_leaves_nothing_behind(tmp_path: Path) -> None:
    """An error in the middle of an append rolls all of it back."""
    log = EmbeddedLog(tmp_path / "log.db")
    log.append([entry(0)], [Mark(b"a")])
    with pytest.raises(LogFull):
        log.append([entry(1)], [Mark(b"b"), Mark(b"b")])  # the second breaks the key, as a full disk would
    assert numbers(log) == [0]
    log.append([entry(2)], [Mark(b"b")])
    assert numbers(log) == [0, 2]
    log.close()


def test_a_file_that_is_no_log_is_refused(tmp_path: Path) -> None:
    """Something else under the log's name is left alone."""
    (tmp_path / "log.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        EmbeddedLog(tmp_path / "log.db")
    assert (tmp_path / "log.db").read_bytes().startswith(b"this is no")
