"""``serve --workers``: several processes at one address, killed, stopped and asked, with landing beside them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import polars as pl
import psutil
import pytest

from drainlake import workers
from drainlake.errors import WrongUse
from drainlake.settings import parse, with_workers
from drainlake.supervisor import Supervisor
from drainlake.workers import Watch, place_of, worker_at
from ingest.eventlog.embedded import EmbeddedLog
from ingest.figures.board import Board, make_memory
from ingest.workers import Worker
from tests.drainlake.receivers import free_port
from tests.ingest.running import Running, crew, frame, post, stored
from tests.ingest.test_receiver_kills import Sender
from transforms.landing import land_once
from transforms.locallake import LocalLake

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.drainlake.conftest import Cli


def _until(holds: Callable[[], object], what: str) -> None:
    """Wait for something; the limit only ends a test that has failed."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.02)


def _workers(running: Running) -> list[psutil.Process]:
    return psutil.Process(running.process.pid).children()


def _ask(running: Running, path: str) -> str:
    with contextlib.closing(running.connect()) as connection:
        connection.request("GET", path)
        return connection.getresponse().read().decode()


def _shown(running: Running, series: str) -> float:
    """A figure as any of the workers shows it."""
    return next(float(line.split()[-1]) for line in _ask(running, "/metrics").splitlines() if line.startswith(series))


def _held(worker: psutil.Process, port: int) -> int:
    """Connections to the port that a process has accepted."""
    found = worker.net_connections("tcp")
    return sum(each.status == psutil.CONN_ESTABLISHED and each.laddr.port == port for each in found)


def _land_until(stop: threading.Event, home: Path) -> None:
    """Land again and again, as ``drainlake land`` does."""
    with contextlib.closing(EmbeddedLog(home / "log.db")) as log:
        while not stop.wait(0.05) or not log.is_landed():
            land_once(log, LocalLake(home / "lake"), file_rows=10_000)


class Patient(Sender):
    """A drain that connects again when its worker died, and repeats what was not answered."""

    def send(self, running: Running, stop: threading.Event) -> None:
        """Send until it is told to stop."""
        while not stop.is_set():
            super().send(running, stop)


def test_workers_killed_under_load_lose_and_double_nothing_and_landing_follows(tmp_path: Path) -> None:
    """Each is killed in turn while drains send; the port stays, figures go on, and the lake has each line once."""
    senders = [Patient(f"drain {n}") for n in range(4)]
    stop, stop_landing = threading.Event(), threading.Event()
    with crew(tmp_path, 2) as running, ThreadPoolExecutor(5) as pool:
        sending = [pool.submit(sender.send, running, stop) for sender in senders]
        landing = pool.submit(_land_until, stop_landing, tmp_path)
        for _ in range(2):
            before = _workers(running)
            done = [sender.number for sender in senders]
            _until(lambda done=done: all(s.number > n + 3 for s, n in zip(senders, done, strict=True)), "they send")  # type: ignore[misc]
            before[0].kill()
            _until(lambda before=before: len(set(_workers(running)) - set(before)) == 1, "another one")  # type: ignore[misc]
        _until(lambda: _shown(running, "drainlake_worker_starts_total") > 1, "it publishes")
        stop.set()
        for each in sending:
            each.result()
        for sender in senders:
            sender.repeat(running)
        assert _shown(running, "drainlake_acknowledged_total") > len(senders)
        assert running.stop() == 0
        stop_landing.set()
        landing.result()
    acknowledged = Counter(line for sender in senders for line in sender.acknowledged)
    assert Counter(stored(tmp_path / "log.db")["lines"]["message"]) == acknowledged
    assert Counter(pl.read_parquet(tmp_path / "lake/lines/**/*.parquet")["message"]) == acknowledged


def test_one_address_several_processes(tmp_path: Path) -> None:
    """Connections are spread, a delivery at two workers is one, figures are those of all, SIGHUP harms nobody.

    A stuck worker holds up no connection, and a killed parent leaves nobody at the port.
    """
    with crew(tmp_path, 2) as running, contextlib.ExitStack() as stack:
        drains = [stack.enter_context(contextlib.closing(running.connect())) for _ in range(8)]
        for drain in drains:
            assert post(drain, frame("hello")) == 204
        workers = _workers(running)
        assert sorted(_held(worker, running.port) for worker in workers) == [4, 4]
        workers[0].suspend()
        for _ in range(3):  # it is the stuck one's turn
            drains.append(stack.enter_context(contextlib.closing(running.connect())))
            assert post(drains[-1], frame("hello")) == 204
        workers[0].resume()
        with ThreadPoolExecutor(len(drains)) as pool:
            answers = pool.map(lambda drain: post(drain, frame("twice"), Logplex_Frame_Id="one"), drains)
            assert list(answers) == [204] * 11
        running.process.send_signal(signal.SIGHUP)
        time.sleep(0.05)
        assert [post(drain, frame("hello")) for drain in drains] == [204] * 11
        _until(lambda: _shown(running, "drainlake_acknowledged_total") == 33, "the whole")
        _until(lambda: _shown(running, 'drainlake_lines_total{fate="repeated"}') == 10, "the whole")
        assert _workers(running) == workers
        running.process.kill()
        assert psutil.wait_procs(workers, timeout=30)[1] == []
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", running.port)).close()
            raise AssertionError("somebody listens still")
    assert Counter(stored(tmp_path / "log.db")["lines"]["message"]) == {"hello": 22, "twice": 1}


def test_nobody_can_connect_before_a_worker_is_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waited in the kernel's queue would use up Heroku's tries; here no worker ever gets ready."""
    settings = parse({"DRAINLAKE_HOME": str(tmp_path), "PORT": str(free_port())})
    settings.log.write_bytes(b"not SQLite " * 1000)
    monkeypatch.setattr("drainlake.workers.FAILURES_MAX", 1)
    monkeypatch.setenv("DRAINLAKE_HOME", str(tmp_path))
    ended = threading.Event()

    def connected() -> int:
        found = 0
        while not ended.wait(0.02):
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection((settings.host, settings.port)).close()
                found += 1
        return found

    with ThreadPoolExecutor(1) as pool:
        connecting = pool.submit(connected)
        try:
            assert workers.run(settings, 2) == 1
        finally:
            ended.set()
        assert connecting.result() == 0


def test_children_that_die_at_once_again_and_again_end_the_parent(tmp_path: Path) -> None:
    """Each is started so many times and no more; the exit code is 1, and it is said."""
    said: list[str] = []
    supervisor = Supervisor(lambda event, *_, **__: said.append(event), failures_max=2)
    for name in ("one", "other"):
        supervisor.add(name, ["--home", str(tmp_path / "nothing-here"), "tail"])
    assert supervisor.run() == 1
    assert Counter(said) == {"child_died": 4, "child_restarted": 2, "given_up": 1}


def test_a_stuck_worker_is_killed_and_another_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what it holds, the right to write to the log for one, is held for ever: all others would answer 503."""
    board, said = Board(make_memory(2), 2), []
    watch = Watch(board, looks_max=3)
    monkeypatch.setattr("drainlake.supervisor.POLL_SECONDS", 0.02)
    supervisor = Supervisor(lambda event, *_, **__: said.append(event), failures_max=2, is_stuck=watch.is_stuck)
    supervisor.add("worker 1", ["--home", str(tmp_path), "serve"])
    environment = {"DRAINLAKE_HOME": str(tmp_path), "PORT": str(free_port())}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert supervisor.run() == 1
    assert said == ["child_stuck", "child_died", "child_restarted", "child_stuck", "child_died", "given_up"]


def test_a_child_killed_by_a_signal_without_a_name_is_started_again(tmp_path: Path) -> None:
    """Real-time signals have none; the supervisor says the number and lives on."""
    said: list[str] = []

    def tell(event: str, sentence: str, **_: object) -> None:
        said.append(sentence)
        if event == "child_restarted":
            os.kill(os.getpid(), signal.SIGTERM)

    supervisor = Supervisor(tell)
    supervisor.add("receiver", ["--home", str(tmp_path), "serve"])
    number = signal.SIGRTMIN + 1
    killing = threading.Thread(target=lambda: _until(lambda: _kill_child(tmp_path, number), "a child"))
    killing.start()
    assert supervisor.run() == 0
    killing.join()
    assert said[0] == f"receiver ended with signal {number}; it starts again in 1 s."


def _kill_child(home: Path, number: int) -> bool:
    """Whether the one of this home was there to be killed; others have children in this process, too."""
    found = [child for child in psutil.Process().children() if str(home) in child.cmdline()]
    for child in found:
        child.send_signal(number)
    return bool(found)


def test_a_worker_is_stuck_when_it_shows_no_life_look_after_look() -> None:
    """It is said once in so many looks; life, and another process in its place, begin the count anew."""
    board = Board(make_memory(2), 2)
    watch = Watch(board, looks_max=3)

    def looks(pid: int) -> list[bool]:
        return [watch.is_stuck("worker 2", pid) for _ in range(3)]

    assert looks(1) == [False] * 3
    board.live(1, 5.0)
    assert looks(1) == [False] * 3
    assert looks(2) == [False] * 3
    board.live(0, 6.0)  # another one's
    assert looks(2) == [True, False, False]
    assert looks(2) == [True, False, False]


def test_up_passes_the_number_on_and_killed_leaves_nobody(cli: Cli) -> None:
    """Its receiver has two workers; after ``kill -9`` of ``up`` these grandchildren end, too."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    up = cli.start("up", "--workers", "2", PORT=str(port))
    try:
        found: list[psutil.Process] = []

        def workers() -> list[psutil.Process]:
            found[:] = psutil.Process(up.pid).children(recursive=True)
            return [each for each in found if "--worker" in each.cmdline()]

        _until(lambda: len(workers()) == 2, "two workers")
        up.kill()
        assert psutil.wait_procs(found, timeout=30)[1] == []
    finally:
        up.kill()
        up.communicate()


def test_a_worker_s_place_is_read_as_it_was_written() -> None:
    """On the command line of a child."""
    worker = Worker(2, 4, 7, 8)
    assert worker_at(place_of(worker)) == worker
    with pytest.raises(ValueError, match="unpack"):
        worker_at("1,2")


def test_too_few_connections_for_the_workers_are_refused() -> None:
    """Whether the number comes from the setting or from the option, which wins."""
    few = {"DRAINLAKE_CONNECTIONS_MAX": "30"}
    assert with_workers(parse({**few, "DRAINLAKE_WORKERS": "2"}), None).workers == 2
    assert with_workers(parse({**few, "DRAINLAKE_WORKERS": "2"}), 3).workers == 3
    with pytest.raises(WrongUse, match="DRAINLAKE_WORKERS=4"):
        parse({**few, "DRAINLAKE_WORKERS": "4"})
    with pytest.raises(WrongUse, match="DRAINLAKE_CONNECTIONS_MAX=30"):
        with_workers(parse(few), 4)
