"""The HTTP client and the file, against real sockets."""

from __future__ import annotations

import base64
import json
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from ingest.simulator import targets
from ingest.simulator.framing import Delivery, frame
from tests.ingest.simulator.servers import http_server, raw_server

RAW_REPLIES = [
    json.loads(line) for line in Path(__file__).with_name("data").joinpath("raw_replies.jsonl").read_text().splitlines()
]


def delivery(number: int = 1, message: bytes = b"hello\n") -> Delivery:
    """One message in a delivery."""
    return Delivery(f"{number:032X}", 1, frame(190, "2026-11-23T13:15:50Z", "app", "web.1", message))


def test_a_post_carries_path_query_credentials_and_body() -> None:
    """User-info is percent-decoded, the query string is kept."""
    with http_server() as server:
        target = targets.HttpTarget(server.url, token="d.1")
        reply = target.post(delivery())
        target.close()
    (got,) = server.requests
    assert (reply.status, reply.outcome) == (204, "204")
    assert got.path == "/logs?app=shop"
    assert got.header("Authorization") == "Basic " + base64.b64encode(b"shop:s/cret").decode()
    assert got.header("Logplex-Drain-Token") == "d.1"
    assert got.header("Host") == server.url.rpartition("@")[2].partition("/")[0]
    assert got.body == delivery().body


def test_all_posts_use_one_connection() -> None:
    """Keep-alive, as Logplex does; a connection per post would hide idle-timeout faults of a receiver."""
    with http_server() as server:
        target = targets.HttpTarget(server.url)
        for number in range(20):
            assert target.post(delivery(number)).status == 204
        target.close()
    assert (target.connections, server.connections, len(server.requests)) == (1, 1, 20)


def test_a_failed_post_closes_the_connection() -> None:
    """Logplex opens a new one for the next try."""
    with http_server() as server:
        server.statuses = [503, 204, 204]
        target = targets.HttpTarget(server.url)
        assert [target.post(delivery()).status for _ in range(3)] == [503, 204, 204]
        target.close()
    assert target.connections == 2


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """An authority nobody trusts by default."""
    return trustme.CA()


@pytest.fixture
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    """A certificate of that authority for 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def test_https_needs_no_trusted_certificate_by_default(server_tls: ssl.SSLContext) -> None:
    """Logplex does not verify the certificates of HTTPS drains."""
    with http_server(server_tls) as server:
        target = targets.HttpTarget(server.url)
        assert target.post(delivery(message=b"x" * 300_000)).status == 204
        target.close()
    assert server.requests[0].body == delivery(message=b"x" * 300_000).body


def test_https_verifies_when_asked_to(server_tls: ssl.SSLContext, authority: trustme.CA, tmp_path: Path) -> None:
    """With verification the authority must be known; without a known one no connection comes about."""
    known = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(known))
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(str(stranger))
    with http_server(server_tls) as server:
        trusting = targets.HttpTarget(server.url, verify=True, ca_file=known)
        assert trusting.post(delivery()).status == 204
        trusting.close()
        doubting = targets.HttpTarget(server.url, verify=True, ca_file=stranger)
        reply = doubting.post(delivery())
    assert reply.problem == "unreachable"
    assert "CERTIFICATE_VERIFY_FAILED" in reply.detail


@pytest.mark.parametrize("case", RAW_REPLIES, ids=[case["raw"][:40] or "closed" for case in RAW_REPLIES])
def test_replies_are_read_as_narrowly_as_logplex_reads_them(case: dict[str, Any]) -> None:
    """No chunks, a blank after the status, and the length stated; anything else is a failed try."""
    with raw_server(case["raw"].encode()) as url:
        target = targets.HttpTarget(url)
        assert target.post(delivery()).outcome == case["outcome"]
        kept = target._socket is not None
        target.close()
    assert kept == case["kept"]


def test_a_silent_receiver_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logplex gives up after five seconds; here after a tenth, so that nobody waits."""
    monkeypatch.setattr(targets, "REQUEST_SECONDS", 0.1)
    with raw_server(b"HTTP/1.1 204 ", hang=True) as url:
        target = targets.HttpTarget(url)
        assert target.post(delivery()).outcome == "timeout"


def test_a_closed_port_is_unreachable() -> None:
    """Without a connection Logplex counts no try, so this must differ from a socket error."""
    with raw_server(b"HTTP/1.1 204 \r\n\r\n") as url:
        target = targets.HttpTarget(url)
        target.post(delivery())
        target.close()
    assert target.post(delivery()).outcome == "unreachable"


@pytest.mark.parametrize("url", ["ftp://host/logs", "http:///logs", "logs.example.org/logs", "http://h:99999/"])
def test_what_is_no_drain_url_is_refused(url: str) -> None:
    """A wrong URL must fail before the first line is lost."""
    with pytest.raises(ValueError, match=r"drain URL|Port"):
        targets.HttpTarget(url)


def test_a_file_holds_one_delivery_a_line(tmp_path: Path) -> None:
    """Text where the body is UTF-8, base64 where it is not; headers always."""
    target = targets.target(tmp_path / "deliveries.jsonl", token="d.9")
    assert target.post(delivery(1, "é\n".encode())).status == 204
    assert target.post(delivery(2, b"caf\xff\n")).status == 204
    target.close()
    first, second = (json.loads(line) for line in (tmp_path / "deliveries.jsonl").read_text("utf-8").splitlines())
    assert first["text"].encode() == delivery(1, "é\n".encode()).body
    assert base64.b64decode(second["b64"]) == delivery(2, b"caf\xff\n").body
    assert first["headers"]["Logplex-Frame-Id"] == delivery(1).frame_id
    assert second["headers"]["Logplex-Drain-Token"] == "d.9"
    assert "text" not in second


def test_the_target_of_a_command_line_is_a_url_or_a_path(tmp_path: Path) -> None:
    """Only text with :// is a URL."""
    http = targets.target("https://u:p@host/logs")
    file = targets.target(str(tmp_path / "out"))
    file.close()
    assert isinstance(http, targets.HttpTarget)
    assert isinstance(file, targets.FileTarget)
