"""The stop as load balancers see it."""

from __future__ import annotations

import contextlib
import signal
import socket
from typing import TYPE_CHECKING

from tests.ingest.running import frame, post, readiness, receiver, stored

if TYPE_CHECKING:
    from pathlib import Path


PATIENT = "import ingest.server; ingest.server.LEAVE_SECONDS = 60.0"


def test_while_a_load_balancer_looks_away_slowly_deliveries_are_still_taken(tmp_path: Path) -> None:
    """Readiness goes first; deliveries that still come, on old and new connections, are stored and told to close."""
    with receiver(tmp_path / "log.db", setup=PATIENT) as running, contextlib.closing(running.connect()) as drain:
        assert [readiness(running)[0] for _ in range(3)] == [200] * 3
        assert post(drain, frame("before")) == 204
        running.process.send_signal(signal.SIGTERM)
        while readiness(running)[0] == 200:
            pass
        kept = drain.sock
        assert post(drain, frame("on the kept connection")) == 204
        assert kept.fileno() == -1  # the answer said that the connection closes
        assert running.post(frame("on a new connection")) == 204
        running.process.send_signal(signal.SIGTERM)  # again: do not wait
        assert running.process.wait(timeout=30) == 0
    assert len(stored(tmp_path / "log.db")["lines"]) == 3


WORKER = """
import ingest.server
from ingest.figures.board import make_memory
from ingest.http.listener import bind
from ingest.workers import Worker
ingest.server.LEAVE_SECONDS = 1.0
listener = bind("127.0.0.1", 0)
"""


def test_a_worker_that_is_asked_twice_still_takes_deliveries_for_a_while(tmp_path: Path) -> None:
    """Its parent asks it, and so does systemd, or Heroku: that is no impatience."""
    worker = "worker=Worker(1, 1, listener.fileno(), make_memory(1))"
    with receiver(tmp_path / "log.db", options=worker, setup=WORKER) as running:
        assert [readiness(running)[0] for _ in range(3)] == [200] * 3
        for _ in range(2):
            running.process.send_signal(signal.SIGTERM)
            while readiness(running)[0] == 200:
                pass
        assert running.post(frame("on a new connection")) == 204
        assert running.process.wait(timeout=30) == 0


def test_without_a_load_balancer_it_stops_listening_at_once(tmp_path: Path) -> None:
    """Logplex that cannot connect keeps its messages and uses up no try: nothing is won by waiting."""
    with receiver(tmp_path / "log.db", setup=PATIENT) as running:
        assert readiness(running)[0] == 200  # once, as whoever starts it asks
        assert running.stop() == 0
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", running.port)).close()
            raise AssertionError("it still listens")


def test_strangers_do_not_hold_up_the_stop(tmp_path: Path) -> None:
    """Half a header, an idle connection and a refusal that waits: the stop takes none of their time limits."""
    with receiver(tmp_path / "log.db") as running, contextlib.ExitStack() as stack:
        for octets in (b"", b"POST /logs HTTP/1.1\r\n", b"garbage\r\n", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"):
            stranger = stack.enter_context(socket.create_connection(("127.0.0.1", running.port)))
            stranger.sendall(octets)
        assert running.post(frame("x")) == 204
        assert running.stop() == 0
