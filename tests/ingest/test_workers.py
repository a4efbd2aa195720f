"""What several workers of one receiver share: limits, figures, connections, and one embedded log."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import server
from ingest.batch import store
from ingest.deliveries import Delivery
from ingest.eventlog.contract import AlreadyHeld, LogFull, NewEntry
from ingest.eventlog.embedded import EmbeddedLog
from ingest.figures import colleagues
from ingest.figures.adding import add_up
from ingest.figures.board import FIGURES_MAX_BYTES, Board, make_memory
from ingest.figures.colleagues import Colleagues
from ingest.figures.exposition import single
from ingest.http.body_memory import LARGE_MAX_BYTES, BodiesFull, BodyMemory, Reservation
from ingest.metrics import Metrics
from ingest.workers import Limits, limits
from tests.ingest.running import frame

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prometheus_client import Metric

    from ingest.eventlog.contract import Mark

MIB = 1 << 20


@pytest.mark.parametrize(
    ("workers", "body_max_bytes", "want"),
    [
        (1, 16 * MIB, Limits(1000, 200, 48 * MIB, 48 * MIB)),
        (2, 12 * MIB, Limits(500, 100, 24 * MIB, 24 * MIB)),
        (8, 3 * MIB, Limits(125, 25, 6 * MIB, 6 * MIB)),
        (8, 12 * MIB, Limits(125, 25, 16 * MIB + 1, 12 * MIB)),
        (8, 36 * MIB, Limits(125, 25, 48 * MIB, 36 * MIB)),
    ],
    ids=["one", "two", "eight", "eight with room for the largest body", "eight with the largest body there may be"],
)
def test_limits_are_divided_but_the_largest_body_finds_room(workers: int, body_max_bytes: int, want: Limits) -> None:
    """Together the workers hold what one would, unless a body that is taken would then be refused for ever."""
    assert limits(1000, body_max_bytes, workers) == want


@pytest.mark.parametrize("workers", [1, 2, 3, 64])
def test_the_largest_body_that_settings_allow_finds_room(workers: int) -> None:
    """One byte more would be answered 503 for ever: `BodiesFull`, however little else arrives."""
    allowed = limits(1000, LARGE_MAX_BYTES, workers)
    reservation = Reservation(BodyMemory(allowed.arriving_bytes))
    reservation.take(LARGE_MAX_BYTES)
    with pytest.raises(BodiesFull):
        reservation.take(1)
    assert allowed.waiting_bytes >= LARGE_MAX_BYTES


@pytest.fixture
def memory() -> Iterator[int]:
    """Memory for two workers."""
    descriptor = make_memory(2)
    yield descriptor
    os.close(descriptor)


def test_figures_are_read_whole_while_they_are_written(memory: int) -> None:
    """Whoever reads through a mapping of its own sees one of the writings, never parts of two."""
    writer, reader = Board(memory, 2), Board(memory, 2)
    assert reader.read(0) is None
    writings = [bytes([number]) * (90_000 + number) for number in range(200)]
    assert writer.write(0, writings[0], 0.0)
    seen, enough = set(), threading.Event()

    def write() -> None:
        while not enough.is_set():
            for each in writings:
                writer.write(0, each, 0.0)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        for _ in range(200_000):  # as many as it takes, however little time this thread is given
            if (found := reader.read(0)) is not None:
                assert found in writings
                seen.add(found)
            if len(seen) > 10:
                break
        enough.set()
        writing.result()
    assert reader.read(0) == writings[-1]
    assert len(seen) > 10
    assert reader.read(1) is None


def test_figures_that_are_too_large_are_not_written(memory: int) -> None:
    """What was there stays."""
    board = Board(memory, 2)
    assert board.write(1, b"small", 0.0)
    assert not board.write(1, bytes(FIGURES_MAX_BYTES + 1), 0.0)
    assert board.read(1) == b"small"


KILLED_WRITER = """
import sys
from ingest.figures.board import Board
board = Board(int(sys.argv[1]), 2)
print(flush=True)
number = 0
while True:
    number += 1
    board.write(0, b"%d " % number * 30_000, 0.0)
"""


def test_a_worker_killed_while_it_writes_leaves_whole_figures(memory: int) -> None:
    """The half that is being written is not the one that is named."""
    board, pick = Board(memory, 2), random.Random(7)
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", KILLED_WRITER, str(memory)], stdout=subprocess.PIPE, pass_fds=(memory,)
        ) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(pick.uniform(0.02, 0.1))
            writer.send_signal(signal.SIGKILL)
        found = board.read(0)
        assert found is not None
        assert len(set(found.split())) == 1


@given(st.lists(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 9)), max_size=4), max_size=4))
def test_counters_of_workers_add_up(rows: list[list[tuple[str, int]]]) -> None:
    """By series; nothing is left out."""
    figures = [[single("counter", "drainlake_x", "One.", value, app=app) for app, value in row] for row in rows]
    found = {s.labels["app"]: s.value for each in add_up(figures) for s in each.samples}
    everything = [pair for row in rows for pair in row]
    assert found == {app: sum(value for other, value in everything if other == app) for app, _ in everything}


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("drainlake_waiting_bytes", 5),
        ("drainlake_spool_bytes", 3),
        ("drainlake_certificate_expiry_timestamp_seconds", 2),
        ("drainlake_app_last_delivery_timestamp_seconds", 3),
        ("drainlake_spool_direct", 2),
    ],
)
def test_gauges_of_workers_are_brought_together_by_what_they_say(name: str, want: float) -> None:
    """What each holds is added; what all read at one place is not."""
    [family] = add_up([[single("gauge", name, "One.", value)] for value in (3, 2)])
    assert [sample.value for sample in family.samples] == [want]


def _value(families: Sequence[Metric], name: str, **labels: str) -> float | None:
    found = [s.value for each in families for s in each.samples if s.name == name and s.labels == labels]
    return found[0] if found else None


def test_every_worker_shows_the_whole_and_no_counter_goes_back(memory: int) -> None:
    """Whichever is asked: what another counted since it last published is shown later, never taken back."""
    counts = [0, 0]

    def own(row: int) -> Iterator[Metric]:
        yield single("counter", "drainlake_acknowledged", "One.", counts[row])

    workers = [Colleagues(Board(memory, 2), number, "1") for number in (1, 2)]
    shown, pick = [], random.Random(3)
    for _ in range(40):
        counts[pick.randrange(2)] += 1
        row = pick.randrange(2)
        shown.append(_value(workers[row].whole(lambda row=row: own(row)), "drainlake_acknowledged_total"))  # type: ignore[misc]
    assert all(before <= after for before, after in pairwise(shown) if before is not None and after is not None)
    workers[1].publish(lambda: own(1))
    assert _value(workers[0].whole(lambda: own(0)), "drainlake_acknowledged_total") == sum(counts)


def test_a_worker_goes_on_from_what_the_one_before_it_counted(memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own figures of the process begin anew, and gauges of a dead one are left out until then."""

    def own(acknowledged: int) -> list[Metric]:
        return [
            single("counter", "drainlake_acknowledged", "One.", acknowledged),
            single("gauge", "drainlake_waiting_bytes", "One.", 70),
        ]

    board = Board(memory, 2)
    Colleagues(board, 1, "1").publish(lambda: own(5))
    monkeypatch.setattr(colleagues, "SILENT_SECONDS", 0.0)
    other = Colleagues(board, 2, "1")
    while_dead = other.whole(lambda: own(1))
    assert _value(while_dead, "drainlake_acknowledged_total") == 6
    assert _value(while_dead, "drainlake_waiting_bytes") == 70
    assert _value(while_dead, "process_resident_memory_bytes", process="serve-1") is None
    assert _value(while_dead, "drainlake_stuck_after_timestamp_seconds", process="serve-1") is not None
    monkeypatch.undo()
    successor = Colleagues(board, 1, "1")
    again = successor.whole(lambda: own(2))
    assert _value(again, "drainlake_acknowledged_total") == 8
    assert _value(again, "drainlake_waiting_bytes") == 140
    assert _value(again, "drainlake_worker_starts_total", process="serve-1") == 2


def test_a_connection_is_left_to_the_worker_with_fewer(memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless that one has not shown up for a while."""
    ours, board = Colleagues(Board(memory, 2), 1, "1"), Board(memory, 2)
    Colleagues(board, 2, "1").publish(list)
    board.hold(1, 4)
    assert [ours.is_our_turn(count) for count in (3, 4, 5)] == [True, True, False]
    monkeypatch.setattr(colleagues, "SILENT_SECONDS", 0.0)
    assert ours.is_our_turn(5)


def test_the_figures_of_a_receiver_pass_through_the_board(memory: int) -> None:
    """All families that a worker has are read back, with their values."""
    metrics = [Metrics(version="1", colleagues=Colleagues(Board(memory, 2), number, "1")) for number in (1, 2)]
    for each in metrics:
        each.answered(204, 0.02)
    metrics[1].publish()
    text = metrics[0].exposition()[0].decode()
    for line in (
        "drainlake_acknowledged_total 2.0",
        'drainlake_reply_seconds_bucket{le="0.025"} 2.0',
        "drainlake_reply_seconds_count 2.0",
        'drainlake_worker_starts_total{process="serve-2"} 1.0',
    ):
        assert f"\n{line}" in text


def test_figures_that_cannot_be_read_do_not_end_a_worker(memory: int, caplog: pytest.LogCaptureFixture) -> None:
    """The spool's file may be damaged: it is said, and the worker lives on and is seen to."""
    metrics = Metrics(version="1", colleagues=Colleagues(Board(memory, 2), 1, "1"))
    with contextlib.closing(sqlite3.connect(":memory:")) as spool:
        metrics.watch_spool(lambda: spool.execute("SELECT * FROM entries").fetchone())
        server._publish(metrics)
    assert "no such table: entries" in caplog.text
    board = Board(memory, 2)
    assert board.read(0) is None
    assert board.silent_seconds(0, time.monotonic()) < 60


class Busy:
    """A log into which another worker puts one of the pieces before each append."""

    def __init__(self) -> None:
        self.held: set[bytes] = set()

    def append(self, entries: Sequence[NewEntry], marks: Sequence[Mark] = ()) -> None:
        """Hold one more piece."""
        assert entries
        if new := [mark.digest for mark in marks if mark.digest not in self.held]:
            self.held.add(new[0])
            raise AlreadyHeld(new[:1])


def test_pieces_that_another_worker_stores_meanwhile_are_taken_out_one_after_another() -> None:
    """However many: the batch is answered, not failed, when none is left."""
    deliveries = [Delivery("shop", frame(f"line {n}"), 1_700_000_000_000_000, frame_id=str(n)) for n in range(8)]
    counts = store(Busy(), deliveries)
    assert (counts.lines, counts.repeated) == (8, 8)


APPENDING = """
import sys
from pathlib import Path
from ingest.eventlog.contract import Mark, NewEntry
from ingest.eventlog.embedded import EmbeddedLog
log, name = EmbeddedLog(Path(sys.argv[1])), sys.argv[2]
for number in range(10**9):
    one = f"{name} {number}"
    log.append([NewEntry(t, one, 1, b"x" * 3000) for t in ("lines", "deliveries")], [Mark(one.encode())])
    print(one, flush=True)
"""


class Follower(threading.Thread):
    """Reads forward and commits, as landing does, until it is told that no more comes."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.read: list[tuple[int, str]] = []
        self.is_last = threading.Event()

    def run(self) -> None:
        """Read everything above what was read."""
        with contextlib.closing(EmbeddedLog(self.path)) as log:
            while True:
                is_last = self.is_last.is_set()
                after = self.read[-1][0] if self.read else -1
                found = log.read("lines", "e0", after, rows_max=50, bytes_max=MIB)
                self.read += [(entry.offset, entry.app) for entry in found]
                if found:
                    with contextlib.suppress(LogFull):  # it is this one's turn the next time
                        log.commit("lines", "e0", found[-1].offset)
                elif is_last:
                    return


def test_several_processes_append_and_who_reads_forward_sees_no_gap(tmp_path: Path) -> None:
    """Three at once, two of them killed: what was acknowledged was read once, in order, while it was written."""
    path, folder = tmp_path / "log.db", tmp_path
    EmbeddedLog(path).close()
    follower = Follower(path)
    follower.start()
    said = [(folder / str(number)).open("w+") for number in range(3)]
    processes = [
        subprocess.Popen([sys.executable, "-c", APPENDING, str(path), f"app{number}"], stdout=out)
        for number, out in enumerate(said)
    ]
    while any((folder / str(number)).read_text().count("\n") < 20 for number in range(3)):
        time.sleep(0.02)
    for process in processes:
        process.kill()
        process.wait()
        time.sleep(0.2)
    follower.is_last.set()
    follower.join()
    acknowledged = [line for out in said for line in Path(out.name).read_text().splitlines()]
    for out in said:
        out.close()
    apps = [app for _, app in follower.read]
    offsets = [offset for offset, _ in follower.read]
    assert offsets == sorted(set(offsets))
    assert len(set(apps)) == len(apps)
    assert set(acknowledged) <= set(apps)
    with contextlib.closing(EmbeddedLog(path)) as log:
        everything = log.read("lines", "e0", -1, rows_max=10**9, bytes_max=10**12)
    assert [(entry.offset, entry.app) for entry in everything] == follower.read


def test_a_log_that_another_process_keeps_is_refused_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a wait with a limit, and well again once it is let go."""
    monkeypatch.setattr("ingest.eventlog.embedded.BUSY_SECONDS", 0.1)
    entry = NewEntry("lines", "shop", 1, b"x")
    with contextlib.closing(EmbeddedLog(tmp_path / "log.db")) as log:
        with contextlib.closing(EmbeddedLog(tmp_path / "log.db")) as other:
            other._connection.execute("BEGIN IMMEDIATE")
            with pytest.raises(LogFull, match="locked"):
                log.append([entry])
        log.append([entry])
        assert len(log.read("lines", "e0", -1, rows_max=9, bytes_max=999)) == 1
