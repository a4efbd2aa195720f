"""The receiver as Heroku meets it: a real process, real HTTP and TLS, real signals."""

from __future__ import annotations

import contextlib
import gzip
import random
import signal
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from ingest.credentials import CredentialStore
from tests.ingest.running import SECRET, fill, frame, land, numbered, post, readiness, receiver, stored, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.ingest.running import Running

NOTICE = "Error L10 (output buffer overflow): {count} messages dropped since 2026-11-23T13:14:00+00:00."


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One receiver for the tests that only post and look at the answer."""
    with receiver(tmp_path_factory.mktemp("receiver") / "log.db", "body_max_bytes=200_000") as running:
        yield running


def messages(log_path: Path) -> list[str]:
    """What stands in the table of plain lines."""
    tables = stored(log_path)
    return tables["lines"]["message"].to_list() if "lines" in tables else []


def test_an_acknowledged_line_is_in_the_log(tmp_path: Path) -> None:
    """204 is answered when the line is durable: it is there after kill -9."""
    with receiver(tmp_path / "log.db") as running:
        assert running.post(numbered(range(3))) == 204
        running.kill()
    assert messages(tmp_path / "log.db") == ["line 0", "line 1", "line 2"]


def test_headers_of_logplex_may_be_missing(shared: Running) -> None:
    """Private spaces send neither Frame-Id nor Drain-Token nor a count."""
    assert shared.post(frame("x")) == 204


def test_an_empty_body_is_acknowledged(shared: Running) -> None:
    """A delivery of nothing is no error."""
    assert shared.post(b"", Logplex_Msg_Count="0") == 204


@pytest.mark.parametrize("body", [b"\x00\xff\xfe", b"LINE of text\n", b"99999999999 <1>1 x", b"5 <1>1 " * 50, b"\n"])
def test_content_never_gets_an_error(shared: Running, body: bytes) -> None:
    """A 4xx would make Heroku drop the delivery, so odd bytes are stored and acknowledged."""
    assert shared.post(body) == 204


def test_what_is_no_frame_is_kept_with_its_exact_bytes(tmp_path: Path) -> None:
    """A bad frame costs only itself; its bytes are in `lines` with a defect."""
    with receiver(tmp_path / "log.db") as running:
        assert running.post(frame("before") + b"JUNK \xff" + frame("after")) == 204
    lines = stored(tmp_path / "log.db")["lines"]
    assert lines["message"].to_list() == ["before", "after", "JUNK \\xFF"]
    assert [defect is None for defect in lines["defect"]] == [True, True, False]


def test_wrong_credentials_are_refused(shared: Running) -> None:
    """Unknown app, wrong secret, another app's secret, no Basic: all 401."""
    assert shared.post(frame("x"), secret="wrong") == 401
    assert shared.post(frame("x"), app="blog") == 401
    assert shared.post(frame("x"), app="") == 401
    assert shared.post(frame("x"), Authorization="Bearer abc") == 401
    assert shared.post(frame("x"), Authorization="Basic !!!") == 401


def test_a_body_over_the_cap_is_refused(shared: Running) -> None:
    """413, by the declared length and, without one, by what arrives."""
    assert shared.post(b"x" * 200_001) == 413
    connection = shared.connect()
    connection.request("POST", "/logs", iter([b"x" * 150_000, b"x" * 60_000]), _authorized(), encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def _authorized() -> dict[str, str]:
    import base64

    return {"Authorization": "Basic " + base64.b64encode(f"shop:{SECRET}".encode()).decode()}


@pytest.mark.parametrize("largest", [1, 7, 300])
def test_a_delivery_that_arrives_in_pieces_is_whole(tmp_path: Path, largest: int) -> None:
    """However the network splits a request, byte by byte or at random, its frames are the same."""
    pick = random.Random(largest)
    body = numbered(range(5)) + b"JUNK" + frame("Pr\u00fcfung f\u00fcr \u4f60\u597d")
    head = f"POST /logs HTTP/1.1\r\nHost: x\r\nAuthorization: {_authorized()['Authorization']}\r\n"
    request = head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    with receiver(tmp_path / "log.db") as running:
        sender = socket.create_connection(("127.0.0.1", running.port))
        sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while request:
            size = pick.randint(1, largest)
            sender.sendall(request[:size])
            request = request[size:]
        assert sender.recv(100).startswith(b"HTTP/1.1 204 ")
        sender.close()
    wanted = [*(f"line {n}" for n in range(5)), "Pr\u00fcfung f\u00fcr \u4f60\u597d", "JUNK"]
    assert messages(tmp_path / "log.db") == wanted


def test_gzip_is_understood(tmp_path: Path) -> None:
    """A compressed body is stored as what it holds, several gzip members too."""
    with receiver(tmp_path / "log.db") as running:
        body = gzip.compress(numbered(range(2))) + gzip.compress(numbered(range(2, 4)))
        assert running.post(body, Content_Encoding="gzip") == 204
    assert messages(tmp_path / "log.db") == [f"line {n}" for n in range(4)]


def test_a_gzip_bomb_costs_no_more_than_a_large_body(shared: Running) -> None:
    """What decompresses to more than the cap is refused before it is inflated further."""
    assert shared.post(gzip.compress(bytes(50_000_000)), Content_Encoding="gzip") == 413


def test_broken_gzip_is_kept_as_it_came(tmp_path: Path) -> None:
    """Nothing is dropped for being odd."""
    with receiver(tmp_path / "log.db") as running:
        assert running.post(b"not gzip", Content_Encoding="gzip") == 204
        assert running.post(gzip.compress(numbered(range(9)))[:-9], Content_Encoding="gzip") == 204
    lines = stored(tmp_path / "log.db")["lines"]
    assert lines["message"][0] == "not gzip"
    assert lines["defect"].null_count() == 0


def test_an_unknown_encoding_is_refused(shared: Running) -> None:
    """415: nobody could ever read it."""
    assert shared.post(b"x", Content_Encoding="br") == 415


def test_it_serves_https_by_itself(tmp_path: Path) -> None:
    """With a certificate it speaks TLS, and refuses the old protocol versions."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    for number, pem in enumerate(certificate.cert_chain_pems):
        pem.write_to_path(tmp_path / "cert.pem", append=number > 0)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    options = f"tls_cert=Path({str(tmp_path / 'cert.pem')!r}), tls_key=Path({str(tmp_path / 'key.pem')!r})"
    with receiver(tmp_path / "log.db", options) as running:
        assert running.scheme == "https"
        assert running.post(numbered(range(2)), trust=trust) == 204
    assert messages(tmp_path / "log.db") == ["line 0", "line 1"]


def test_a_repeated_delivery_is_stored_once(tmp_path: Path) -> None:
    """The same Frame-Id again, with an L10 in front: only the notice is new."""
    body = numbered(range(5))
    notice = frame(NOTICE.format(count=7), "heroku", "logplex")
    with receiver(tmp_path / "log.db") as running:
        assert running.post(body, Logplex_Frame_Id="A", Logplex_Msg_Count="5") == 204
        assert running.post(notice + body, Logplex_Frame_Id="A", Logplex_Msg_Count="6") == 204
        assert running.post(notice + body, Logplex_Frame_Id="A", Logplex_Msg_Count="6") == 204
    tables = stored(tmp_path / "log.db")
    assert tables["lines"]["message"].to_list() == [f"line {n}" for n in range(5)]
    assert tables["platform"]["lines_dropped"].to_list() == [7]
    assert tables["deliveries"]["lines"].to_list() == [5, 6, 6]
    assert tables["deliveries"]["repeated"].to_list() == [0, 5, 6]


def test_another_number_of_lines_than_announced_is_taken_and_counted(tmp_path: Path) -> None:
    """A body cut between two frames shows by nothing else. A cut frame is a line, and a repeated line is one too."""
    body = numbered(range(5))
    with receiver(tmp_path / "log.db") as running:
        for announced, sent in (("5", body), ("6", body), ("4", body), ("5", body[:-3]), ("x", body), ("", body)):
            for frame_id in (announced, announced):  # and once more
                assert running.post(sent, Logplex_Frame_Id=frame_id, Logplex_Msg_Count=announced) == 204
        assert b"drainlake_miscounted_deliveries_total 4.0\n" in get(running, "/metrics")


def test_a_notice_rebuilt_for_the_next_try_is_new_only_if_it_says_something_new(tmp_path: Path) -> None:
    """Logplex writes the notice anew on each try: another header time is no news, another count is."""
    body = numbered(range(2))
    with receiver(tmp_path / "log.db") as running:
        for second, count in ((1, 7), (2, 7), (3, 9)):
            notice = frame(NOTICE.format(count=count), "heroku", "logplex", second)
            assert running.post(notice + body, Logplex_Frame_Id="A") == 204
    tables = stored(tmp_path / "log.db")
    assert tables["platform"]["lines_dropped"].to_list() == [7, 9]
    assert len(tables["lines"]) == 2


def test_a_frame_id_used_for_another_body_loses_nothing(tmp_path: Path) -> None:
    """A sender that always sends one Frame-Id is odd, but its lines are kept."""
    with receiver(tmp_path / "log.db") as running:
        for number in range(3):
            assert running.post(frame(f"line {number}"), Logplex_Frame_Id="same") == 204
    assert messages(tmp_path / "log.db") == ["line 0", "line 1", "line 2"]


def test_repeats_are_recognised_after_a_restart(tmp_path: Path) -> None:
    """The first try was stored, then the receiver died before it answered."""
    with receiver(tmp_path / "log.db") as running:
        assert running.post(numbered(range(3)), Logplex_Frame_Id="A") == 204
        running.kill()
    with receiver(tmp_path / "log.db") as running:
        assert running.post(numbered(range(3)), Logplex_Frame_Id="A") == 204
    assert len(messages(tmp_path / "log.db")) == 3


def test_the_same_delivery_twice_at_once_is_stored_once(tmp_path: Path) -> None:
    """A repeat that overtakes the first try's commit meets its mark."""
    body = numbered(range(200))
    with receiver(tmp_path / "log.db") as running:
        statuses: list[int] = []
        threads = [
            threading.Thread(target=lambda: statuses.append(running.post(body, Logplex_Frame_Id="A"))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses == [204] * 8
    assert len(messages(tmp_path / "log.db")) == 200


def test_many_drains_at_once_lose_and_double_nothing(tmp_path: Path) -> None:
    """Deliveries that share a batch keep their lines and their apps."""
    apps = {f"app-{n}": f"secret-{n}" for n in range(6)}
    drains = {app: (secret,) for app, secret in apps.items()}
    with receiver(tmp_path / "log.db", setup=f"drains = {drains!r}") as running:
        for app in apps:
            apps[app] = CredentialStore(running.log_path).add(app)

        def drain(app: str) -> None:
            connection = running.connect()
            for number in range(10):
                assert post(connection, frame(f"{app} {number}"), app, apps[app]) == 204
            connection.close()

        threads = [threading.Thread(target=drain, args=(app,)) for app in apps]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    lines = stored(tmp_path / "log.db")["lines"]
    found = sorted(zip(lines["app"], lines["message"], strict=True))
    assert found == sorted((app, f"{app} {n}") for app in apps for n in range(10))


def test_credentials_attached_later_open_the_door(tmp_path: Path) -> None:
    """`attach` works while the receiver runs, for the very next delivery: Heroku would take a 401 as final.

    Several secrets are valid until the older are retired.
    """
    with receiver(tmp_path / "log.db") as running:
        store = CredentialStore(running.log_path)
        first = store.add("blog")
        assert running.post(frame("x"), app="blog", secret=first) == 204
        time.sleep(0.01)  # the newest is told by its time
        second = store.add("blog")
        assert running.post(frame("x"), app="blog", secret=second) == 204
        assert running.post(frame("x"), app="blog", secret=first) == 204
        assert store.retire_older("blog") == 1
    with receiver(tmp_path / "log.db") as running:
        assert running.post(frame("x"), app="blog", secret=second) == 204
        assert running.post(frame("x"), app="blog", secret=first) == 401
    assert first.encode() not in (tmp_path / "log.db").read_bytes()


def test_it_stops_as_heroku_expects(tmp_path: Path) -> None:
    """On SIGTERM what is in flight is answered, what was answered is stored, and the exit code is 0."""
    with receiver(tmp_path / "log.db") as running:
        sent = socket.create_connection(("127.0.0.1", running.port))
        body = numbered(range(4))
        head = f"POST /logs HTTP/1.1\r\nHost: x\r\nAuthorization: {_authorized()['Authorization']}\r\n"
        sent.sendall(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body[:10])
        time.sleep(0.2)  # the request is being read now
        running.process.send_signal(signal.SIGTERM)
        _wait_until_refused(running.port)
        sent.sendall(body[10:])
        assert sent.recv(100).startswith(b"HTTP/1.1 204 ")
        sent.close()
        assert running.process.wait(timeout=30) == 0
    assert len(messages(tmp_path / "log.db")) == 4


def _wait_until_refused(port: int) -> None:
    """Return once nobody listens any more; the test's own timeout bounds the wait.

    A connection that is being made while the listening socket closes is reset.
    """
    with contextlib.suppress(ConnectionRefusedError, ConnectionResetError):
        while True:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            time.sleep(0.05)


def test_a_body_that_never_ends_is_answered_in_time(tmp_path: Path) -> None:
    """Heroku gives up after 5 s; the answer to a stalled request is 503 within 4."""
    with receiver(tmp_path / "log.db") as running:
        stalled = socket.create_connection(("127.0.0.1", running.port))
        head = f"POST /logs HTTP/1.1\r\nHost: x\r\nAuthorization: {_authorized()['Authorization']}\r\n"
        begun = time.monotonic()
        stalled.sendall(head.encode() + b"Content-Length: 100\r\n\r\n1")
        stalled.settimeout(10)
        assert stalled.recv(100).startswith(b"HTTP/1.1 503 ")
        assert time.monotonic() - begun < 5  # what Heroku waits: the one time that is part of the contract
        stalled.close()


def test_a_log_that_is_blocked_is_answered_in_time(tmp_path: Path) -> None:
    """Another process holds the log's write lock: 503 before Heroku gives up, and all is well afterwards."""
    import sqlite3

    with receiver(tmp_path / "log.db") as running:
        assert running.post(frame("before")) == 204
        blocker = sqlite3.connect(tmp_path / "log.db", isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        assert running.post(frame("meanwhile")) == 503
        blocker.execute("ROLLBACK")
        blocker.close()
        assert running.post(frame("after")) == 204
    assert messages(tmp_path / "log.db") == ["before", "after"]


def test_a_full_budget_refuses_and_recovers(tmp_path: Path) -> None:
    """When the disk budget is used up 503 is answered, nothing is half stored, and landing makes room again."""
    with receiver(tmp_path / "log.db", "spool_max_bytes=600_000") as running:
        refused = fill(running)
        assert running.post(refused) == 503
        assert readiness(running) == (503, b"full\n")
        land(tmp_path / "log.db")
        until(lambda: readiness(running) == (200, b"ready\n"))  # though nothing is sent that would show it
        assert running.post(refused) == 204


def test_a_full_disk_refuses_and_recovers(tmp_path: Path) -> None:
    """Writes that fail with EFBIG or ENOSPC give 503; when there is room again the receiver goes on by itself."""
    limit = tmp_path / "limit"
    setup = f"""
import resource, signal, threading, time
def watch():
    limited = False
    while True:
        wanted = Path({str(limit)!r}).exists()
        if wanted != limited:
            limited = wanted
            size = 1 if wanted else resource.RLIM_INFINITY
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        time.sleep(0.01)
threading.Thread(target=watch, daemon=True).start()
"""
    with receiver(tmp_path / "log.db", setup=setup) as running:
        assert running.post(frame("before")) == 204
        limit.touch()
        time.sleep(1)
        assert running.post(frame("meanwhile")) == 503
        assert readiness(running) == (503, b"full\n")
        limit.unlink()
        until(lambda: readiness(running) == (200, b"ready\n"))
        assert running.post(frame("after")) == 204
    assert messages(tmp_path / "log.db") == ["before", "after"]


def test_health_readiness_and_metrics_answer(shared: Running) -> None:
    """What load balancers and Prometheus ask."""
    for path, content in (("/healthz", b"ok"), ("/readyz", b"ready"), ("/metrics", b"drainlake_lines_total")):
        assert content in get(shared, path)


def get(running: Running, path: str) -> bytes:
    """What it answers, which is 200."""
    with contextlib.closing(running.connect()) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.read()


def _frames_of(message: bytes, count: int, source: bytes = b"app") -> bytes:
    counted = b"<190>1 2026-11-23T13:15:33.512345+00:00 host %b web.1 - %b" % (source, message)
    return b"%d %b" % (len(counted), counted) * count


HOSTILE = {
    "ordinary lines": lambda: numbered(range(200_000)),
    "blanks": lambda: _frames_of(b" " * 9000, 1700),
    "query parameters": lambda: _frames_of(b"?a=1&" * 1800, 1700),
    "tiny frames": lambda: b"5 <0>1 " * 1_200_000,
    "junk": lambda: b"<" * 16_000_000,
    "bytes that are not UTF-8": lambda: _frames_of(b"\xff" * 9000, 1700),
    "one line that is not UTF-8": lambda: _frames_of(b"\xff" * 9_900_000, 1),
    "measures": lambda: _frames_of(b"sample#a=1 " * 800, 1800, b"heroku"),
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_no_body_makes_it_outgrow_its_memory(tmp_path: Path, body: Callable[[], bytes]) -> None:
    """The largest body of the worst content leaves the receiver under 400 MB, and is answered."""
    with receiver(tmp_path / "log.db") as running:
        assert running.post(body()[: 16 << 20]) in {204, 503}
        while running.post(numbered(range(1))) != 204:  # it waits until the one before is stored
            pass
        status = (Path("/proc") / str(running.process.pid) / "status").read_text()
        (peak_kb,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
        assert peak_kb < 400 << 10
