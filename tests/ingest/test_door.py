"""A receiver whose log is full: 503 at first, then nobody can connect, and all is well when there is room."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from ingest.http.acceptor import Acceptor
from tests.ingest.running import crew, fill, frame, land, post, readiness, receiver, until

if TYPE_CHECKING:
    import http.client
    from pathlib import Path

    from tests.ingest.running import Running

BUDGET_BYTES = 600_000
SOON = "import ingest.door; ingest.door.FULL_SECONDS = 1.0"


def is_refused(running: Running) -> bool:
    """Whether nobody can connect."""
    try:
        running.post(frame("knock"))
    except ConnectionError:
        return True
    return False


def test_nobody_can_connect_while_the_log_is_full(tmp_path: Path) -> None:
    """Connections that are there get 503 and close; with room again the next delivery is stored."""
    options = f"spool_max_bytes={BUDGET_BYTES}"
    with receiver(tmp_path / "log.db", options, setup=SOON) as running, contextlib.closing(running.connect()) as drain:
        drain.connect()
        fill(running)
        assert running.post(frame("at first it is an answer")) == 503
        until(lambda: is_refused(running))
        assert post(drain, frame("on a kept connection")) == 503
        assert drain.sock is None or drain.sock.fileno() == -1
        land(tmp_path / "log.db")
        until(lambda: not is_refused(running))
        assert running.post(frame("after")) == 204
        assert running.stop() == 0


def test_it_stops_while_nobody_can_connect(tmp_path: Path) -> None:
    """A stop is a stop, whether the door is open or not."""
    options = f"spool_max_bytes={BUDGET_BYTES}"
    with receiver(tmp_path / "log.db", options, setup=SOON) as running:
        fill(running)
        until(lambda: is_refused(running))
        assert running.stop() == 0


def test_where_a_load_balancer_asks_the_door_stays_open(tmp_path: Path) -> None:
    """It sees that the receiver is not ready; deliveries that come all the same are answered."""
    options = f"spool_max_bytes={BUDGET_BYTES}"
    with receiver(tmp_path / "log.db", options, setup=SOON) as running:
        for _ in range(3):
            assert readiness(running)[0] == 200
        fill(running)
        until(lambda: readiness(running)[0] == 503)
        time.sleep(2)
        assert running.post(frame("all the same")) == 503


def test_a_door_that_two_workers_shut_at_once_opens_for_all() -> None:
    """Each may find the log full before it sees that the other one has. Who connects afterwards is listened to."""

    async def shut_and_open() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        doors = [_door(each) for each in (listener, listener.dup())]
        assert [door.shut() for door in doors] == [True, True]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(listener.getsockname())
        for door in doors:
            door.reopen()
        with socket.create_connection(listener.getsockname()):
            accepted, _ = listener.accept()
            accepted.setblocking(False)
            with accepted, pytest.raises(BlockingIOError):  # nothing has come yet, which is not the end
                accepted.recv(1)
        for door in doors:
            door.stop()

    asyncio.run(shut_and_open())


def _door(listener: socket.socket) -> Acceptor:
    door = Acceptor(listener, SimpleNamespace(is_parting=False), None, lambda _: None, lambda _: True)  # type: ignore[arg-type]
    door.start()
    return door


def test_workers_shut_and_open_one_door(tmp_path: Path) -> None:
    """They share the socket: one that finds the log full shuts it for all, and each takes deliveries again."""
    with crew(tmp_path, 2, DRAINLAKE_SPOOL_MAX_BYTES=str(BUDGET_BYTES), DRAINLAKE_BODY_MAX_BYTES="200000") as running:
        fill(running)
        until(lambda: is_refused(running))
        land(tmp_path / "log.db")
        until(lambda: not is_refused(running))
        kept: list[http.client.HTTPConnection] = [running.connect() for _ in range(8)]
        assert [post(drain, frame(f"after {number}")) for number, drain in enumerate(kept)] == [204] * 8
        for drain in kept:
            drain.close()
        assert running.stop() == 0
