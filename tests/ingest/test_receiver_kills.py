"""``kill -9`` of the receiver at named points and at random moments under load: acknowledged means kept, once."""

from __future__ import annotations

import contextlib
import http.client
import random
import threading
from typing import TYPE_CHECKING

import pytest

from tests.ingest.running import frame, numbered, post, receiver, stored

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ingest.running import Running

KILL_ONCE = """
import os, signal
from ingest.eventlog import embedded
append = embedded.EmbeddedLog.append
class Dying(embedded.EmbeddedLog):
    def append(self, entries, marks=()):
        {before}
        append(self, entries, marks)
        {after}
import ingest.server
ingest.server.EmbeddedLog = Dying
"""
DIE = "os.kill(os.getpid(), signal.SIGKILL)"
INSIDE = """
import os, signal
from ingest.eventlog import embedded
def dying(connection, now=None, **_):
    pass
original = embedded.EmbeddedLog._make_room
def inside(self, connection, now, more_bytes):
    connection.execute("INSERT INTO entries VALUES (1, 'lines', 'shop', 1, 0, x'00')")
    os.kill(os.getpid(), signal.SIGKILL)
embedded.EmbeddedLog._make_room = inside
"""
POINTS = {
    "before the append": KILL_ONCE.format(before=DIE, after="pass"),
    "inside the transaction": INSIDE,
    "after the append, before the answer": KILL_ONCE.format(before="pass", after=DIE),
}


@pytest.mark.parametrize("setup", POINTS.values(), ids=POINTS)
def test_a_delivery_that_was_not_answered_comes_again_and_is_stored_once(tmp_path: Path, setup: str) -> None:
    """The receiver dies on the first try of a delivery; Heroku's next try brings each line exactly once."""
    body = numbered(range(10))
    with receiver(tmp_path / "log.db") as running:
        assert running.post(numbered(range(100, 103)), Logplex_Frame_Id="A") == 204
    with receiver(tmp_path / "log.db", setup=setup) as running:
        with pytest.raises((http.client.HTTPException, OSError)):
            running.post(body, Logplex_Frame_Id="B")
        running.process.wait(timeout=30)
    with receiver(tmp_path / "log.db") as running:
        assert running.post(body, Logplex_Frame_Id="B") == 204
    found = stored(tmp_path / "log.db")["lines"]["message"].to_list()
    assert sorted(found) == sorted(f"line {n}" for n in [*range(10), *range(100, 103)])


class Sender:
    """A drain that sends one delivery at a time and repeats what was not answered."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.acknowledged: list[str] = []
        self.number = 0

    def send(self, running: Running, stop: threading.Event) -> None:
        """Send until the receiver is gone."""
        try:
            with contextlib.closing(running.connect()) as connection:
                while not stop.is_set():
                    lines = [f"{self.name} {self.number} {n}" for n in range(20)]
                    body, frame_id = b"".join(map(frame, lines)), f"{self.name}-{self.number}"
                    assert post(connection, body, Logplex_Frame_Id=frame_id) == 204
                    self.acknowledged += lines
                    self.number += 1
        except (http.client.HTTPException, OSError):
            return

    def repeat(self, running: Running) -> None:
        """Send once more what was not answered."""
        lines = [f"{self.name} {self.number} {n}" for n in range(20)]
        assert running.post(b"".join(map(frame, lines)), Logplex_Frame_Id=f"{self.name}-{self.number}") == 204
        self.acknowledged += lines


def test_kills_at_random_moments_under_load_lose_and_double_nothing(tmp_path: Path) -> None:
    """Five sudden deaths while four drains send: every acknowledged line is stored exactly once."""
    pick = random.Random(20261123)
    senders = [Sender(f"drain {n}") for n in range(4)]
    for _ in range(5):
        with receiver(tmp_path / "log.db") as running:
            stop = threading.Event()
            threads = [threading.Thread(target=sender.send, args=(running, stop)) for sender in senders]
            for thread in threads:
                thread.start()
            stop.wait(pick.uniform(0.3, 1.2))  # the moment of death
            running.kill()
            for thread in threads:
                thread.join()
    with receiver(tmp_path / "log.db") as running:  # what was not answered comes again
        for sender in senders:
            sender.repeat(running)
    found = stored(tmp_path / "log.db")["lines"]["message"].to_list()
    assert sorted(found) == sorted(line for sender in senders for line in sender.acknowledged)
    assert len(found) > 200


def test_torn_last_pages_of_the_log_cost_only_what_was_not_acknowledged(tmp_path: Path) -> None:
    """A power cut can tear the end of the write-ahead log: SQLite drops the torn transaction, the rest stays."""
    log = tmp_path / "log.db"
    with receiver(log) as running:
        for number in range(5):
            assert running.post(frame(f"line {number}")) == 204
        running.kill()
    wal = tmp_path / "log.db-wal"
    whole = wal.read_bytes()
    # Bytes of a transaction that was being written when the power went: garbage behind the last commit.
    wal.write_bytes(whole + whole[-4096:-1000] + bytes(777))
    assert sorted(stored(log)["lines"]["message"]) == [f"line {n}" for n in range(5)]
    with receiver(log) as running:
        assert running.post(frame("line 5")) == 204
    assert sorted(stored(log)["lines"]["message"]) == [f"line {n}" for n in range(6)]
