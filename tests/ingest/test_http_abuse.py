"""What strangers send instead of deliveries: it is answered and closed, and good drains are served meanwhile."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import re
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.ingest.abuse import AUTH, CASES, POST
from tests.ingest.running import frame, numbered, post, receiver, stored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.ingest.running import Running

SHORT = """
from ingest.http import connections
connections.HEADER_SECONDS = connections.HANDSHAKE_SECONDS = connections.IDLE_STRANGER_SECONDS = 0.5
"""


def exchange(port: int, octets: bytes, address: str = "127.0.0.1") -> bytes:
    """Send bytes, and read until the other side closes; a connection that stays open fails the test."""
    with socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(address, 0)) as sender:
        got = b""
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            sender.sendall(octets)
            while more := sender.recv(65536):
                got += more
        return got


@pytest.fixture(scope="module")
def abused(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, bytes]]:
    """The answer to each case: all are sent at once, each from an address of its own, while a drain delivers."""
    log_path = tmp_path_factory.mktemp("abuse") / "log.db"
    with receiver(log_path) as running, contextlib.closing(running.connect()) as drain, ThreadPoolExecutor(30) as pool:
        answers = [
            pool.submit(exchange, running.port, octets, f"127.0.1.{number}")
            for number, (octets, _) in enumerate(CASES.values(), 1)
        ]
        sent = 0
        while not all(answer.done() for answer in answers):
            assert post(drain, frame(f"line {sent}")) == 204
            sent += 1
        yield dict(zip(CASES, [answer.result() for answer in answers], strict=True))
        assert running.stop() == 0
    assert stored(log_path)["lines"]["message"].to_list() == [f"line {number}" for number in range(sent)]


@pytest.mark.parametrize("case", CASES)
def test_abuse_is_answered_once_and_closed(abused: dict[str, bytes], case: str) -> None:
    """One answer with the right status, no invitation to send more, then the end; nothing of it is stored."""
    _, status = CASES[case]
    assert re.findall(rb"HTTP/1\.1 (\d+) ", abused[case]) == [b"%d" % status]
    assert b"connection: close" in abused[case].lower()


def test_a_good_delivery_in_chunks_or_by_invitation_is_stored(tmp_path: Path) -> None:
    """Strictness costs no client that keeps to the standard."""
    body = frame("by chunks")
    chunked = POST + b"Transfer-Encoding: Chunked\r\n\r\n%x;a=b\r\n%b\r\n0\r\nX: y\r\n\r\n" % (len(body), body)
    invited = POST + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body)
    with receiver(tmp_path / "log.db") as running, socket.create_connection(("127.0.0.1", running.port)) as sender:
        sender.sendall(chunked)
        assert sender.recv(1000).startswith(b"HTTP/1.1 204 ")
        sender.sendall(b"\r\n" + invited)
        assert sender.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sender.sendall(body)
        assert sender.recv(1000).startswith(b"HTTP/1.1 204 ")
    assert stored(tmp_path / "log.db")["lines"]["message"].to_list() == ["by chunks"] * 2


SILENT = {
    "nothing": b"",
    "a header that never ends": b"POST /logs HTTP/1.1\r\nHost: x\r\n",
    "an idle connection": b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "an idle connection, and half a header": b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /",
}


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A receiver that waits half a second, with places for 20 connections."""
    folder = tmp_path_factory.mktemp("impatient")
    with receiver(folder / "log.db", "connections_max=20", SHORT) as running:
        yield running


@pytest.mark.parametrize("octets", SILENT.values(), ids=SILENT)
def test_whoever_says_nothing_is_closed(impatient: Running, octets: bytes) -> None:
    """Open connections and headers that drip in are bounded in time."""
    exchange(impatient.port, octets)


def test_a_header_that_drips_in_does_not_win_time(impatient: Running) -> None:
    """The time runs from the first byte, not from the last."""
    with socket.create_connection(("127.0.0.1", impatient.port)) as dripping:
        dripping.sendall(b"POST /logs HTTP/1.1\r\n")
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            while True:
                dripping.sendall(b"X: y\r\n")  # ends only when the receiver closes, or by the test's own limit
                time.sleep(0.2)


def test_a_drain_may_be_idle_where_a_stranger_may_not(impatient: Running) -> None:
    """Logplex keeps a connection for minutes between deliveries."""
    with contextlib.closing(impatient.connect()) as drain:
        assert post(drain, frame("before")) == 204
        local = drain.sock.getsockname()
        time.sleep(2.5)  # several times what a stranger gets
        assert post(drain, frame("after")) == 204
        assert drain.sock.getsockname() == local


def test_more_strangers_than_places_do_not_keep_a_drain_out(tmp_path: Path) -> None:
    """Past the limit strangers go first, the oldest first: drains come in, and those that are in stay."""
    with receiver(tmp_path / "log.db", "connections_max=20") as running, contextlib.ExitStack() as stack:
        drain = stack.enter_context(contextlib.closing(running.connect()))
        assert post(drain, frame("line 0")) == 204
        local = drain.sock.getsockname()
        strangers = [
            stack.enter_context(socket.create_connection(("127.0.0.1", running.port), timeout=20)) for _ in range(60)
        ]
        for stranger in strangers:
            with contextlib.suppress(OSError):
                stranger.sendall(b"POST /logs HTTP/1.1\r\n")
        assert running.post(frame("line 1")) == 204
        assert post(drain, frame("line 2")) == 204
        assert drain.sock.getsockname() == local
        with contextlib.suppress(ConnectionResetError):
            assert strangers[0].recv(1) == b""  # the oldest was closed; a reset says the same
        held = _metric(running, "drainlake_connections_closed_total", reason="crowded")
        assert held >= 40
    assert len(stored(tmp_path / "log.db")["lines"]) == 3


def test_running_out_of_descriptors_stops_nothing(tmp_path: Path) -> None:
    """When no file can be opened strangers go, and it accepts again."""
    setup = """
import resource
from ingest.http import acceptor
acceptor.DESCRIPTORS_RESERVED = -1000
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
"""
    with receiver(tmp_path / "log.db", setup=setup) as running, contextlib.ExitStack() as stack:
        for _ in range(60):
            stack.enter_context(socket.create_connection(("127.0.0.1", running.port)))
        assert running.post(frame("line")) == 204
        assert _metric(running, "drainlake_connections_closed_total", reason="descriptors") > 0


def test_wrong_secrets_are_answered_later_and_later_and_good_ones_at_once(tmp_path: Path) -> None:
    """One address guesses on many connections while its good drain delivers: the guesses wait, the drain does not."""
    guess = b"POST /logs HTTP/1.1\r\nHost: x\r\nAuthorization: Basic c2hvcDp3cm9uZw==\r\nContent-Length: 0\r\n\r\n"
    with receiver(tmp_path / "log.db") as running, contextlib.closing(running.connect()) as drain:
        with ThreadPoolExecutor(20) as pool:
            guesses = [pool.submit(exchange, running.port, guess) for _ in range(20)]
            sent = 0
            while not all(each.done() for each in guesses):
                assert post(drain, frame("line")) == 204
                sent += 1
        assert [each.result()[:12] for each in guesses] == [b"HTTP/1.1 401"] * 20
        assert sent > 0
        assert _metric(running, "drainlake_unauthorized_total", reason="wrong_secret") == 20
        running.process.kill()
        assert running.process.stderr is not None
        said = [line for line in running.process.stderr if "credentials" in line]
    assert len(said) == 1  # and not one line per request
    assert "shop" in said[0]


def test_too_many_refusals_at_a_time_are_not_answered(tmp_path: Path) -> None:
    """What waits is bounded: beyond that the connection is closed without a word, and a drain is served."""
    setup = "from ingest.http import slowdown; slowdown.FIRST_SECONDS = slowdown.DELAY_MAX_SECONDS = 2.0"
    with receiver(tmp_path / "log.db", "connections_max=10", setup) as running, ThreadPoolExecutor(8) as pool:
        guess = b"POST /logs HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
        guesses = [pool.submit(exchange, running.port, guess) for _ in range(8)]
        assert running.post(frame("line")) == 204
        answers = sorted(each.result()[:12] for each in guesses)
    assert answers == [b""] * 3 + [b"HTTP/1.1 401"] * 5


def test_metrics_ask_for_their_token(tmp_path: Path) -> None:
    """With a token set nobody reads the metrics without it, not even a drain."""
    with receiver(tmp_path / "log.db", "metrics_token='t0ken'") as running:
        for authorization, status in ((None, 401), ("Bearer wrong", 401), ("Bearer t0ken", 200)):
            connection = running.connect()
            connection.request("GET", "/metrics", headers={"Authorization": authorization} if authorization else {})
            assert connection.getresponse().status == status
            connection.close()
        assert exchange(running.port, b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + AUTH + b"\r\n").startswith(
            b"HTTP/1.1 401 "
        )


def test_bombs_of_a_drain_hold_up_no_other(tmp_path: Path) -> None:
    """Bombs with good credentials: each gets 413, memory stays bounded, and deliveries between them are stored."""
    bomb = gzip.compress(bytes(100_000_000), 1)
    with receiver(tmp_path / "log.db") as running, ThreadPoolExecutor(10) as pool:
        bombs = [pool.submit(running.post, bomb, Content_Encoding="gzip") for _ in range(20)]
        sent = 0
        with contextlib.closing(running.connect()) as drain:
            while not all(each.done() for each in bombs):
                assert post(drain, frame("line")) == 204
                sent += 1
        assert {each.result() for each in bombs} <= {413, 503}  # 503: waited too long for its turn
        assert _peak_mb(running) < 400
    assert len(stored(tmp_path / "log.db")["lines"]) == sent


def test_large_bodies_at_the_same_time_stay_within_memory(tmp_path: Path) -> None:
    """Bodies that are arriving are bounded together: what is too much gets 503, ordinary deliveries still come in."""
    head = POST + b"Content-Length: 16000000\r\n\r\n"
    with receiver(tmp_path / "log.db") as running, contextlib.ExitStack() as stack:
        senders = [
            stack.enter_context(socket.create_connection(("127.0.0.1", running.port), timeout=20)) for _ in range(30)
        ]
        for sender in senders:
            sender.sendall(head + b"\n" * 100_000)
        assert running.post(numbered(range(1000))) == 204
        answers = [sender.recv(12) for sender in senders]
        assert answers == [b"HTTP/1.1 503"] * 30  # two stalled, 28 were too many
        assert _metric(running, "drainlake_refusals_total", reason="BodiesFull") == 28
        assert running.post(numbered(range(100_000))) == 204  # and all of it is free again
        assert _peak_mb(running) < 400


COUNT_ON_SIGNAL = """
import gc, signal, sys
from ingest.http.protocol import Connection
gc.disable()
def count(*_):
    print("held:", sum(type(each) is Connection for each in gc.get_objects()), file=sys.stderr, flush=True)
signal.signal(signal.SIGUSR1, count)
"""


def test_closed_connections_are_freed_without_the_garbage_collector(tmp_path: Path) -> None:
    """With TLS each holds 200 KB that the collector does not see: one circle of references, and memory only grows."""
    with receiver(tmp_path / "log.db", setup=COUNT_ON_SIGNAL) as running:
        assert running.post(frame("good")) == 204
        assert running.post(frame("x"), secret="wrong") == 401
        for number, (octets, _) in enumerate(CASES.values(), 1):
            exchange(running.port, octets, f"127.0.1.{number}")
        assert running.process.stderr is not None
        held = "-1"
        while held != "0":  # the last one may still be closing; the test's own limit ends a wait in vain
            running.process.send_signal(signal.SIGUSR1)
            (held,) = re.findall(r"held: (\d+)", next(line for line in running.process.stderr if "held" in line))
            time.sleep(0.2)


def _metric(running: Running, name: str, **labels: str) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    wanted = ",".join(f'{label}="{value}"' for label, value in labels.items())
    found = re.search(rf"^{name}\{{{wanted}\}} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def _peak_mb(running: Running) -> int:
    status = (Path("/proc") / str(running.process.pid) / "status").read_text()
    (peak_kb,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    return peak_kb >> 10
