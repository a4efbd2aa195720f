"""What a receiver does beside deliveries: the address it tells, targets that are nearly right, SIGHUP."""

from __future__ import annotations

import contextlib
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from tests.ingest.abuse import POST
from tests.ingest.running import frame, receiver, stored

if TYPE_CHECKING:
    from pathlib import Path


def _has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as tried:
        tried.bind(("::1", 0))
        return True
    return False


@pytest.mark.skipif(not _has_ipv6(), reason="this host has no IPv6")
def test_the_address_it_tells_can_be_used_as_it_is(tmp_path: Path) -> None:
    """An IPv6 address stands in brackets in a URL."""
    options = "host='::1'"
    with receiver(tmp_path / "log.db", options) as running, socket.create_connection(("::1", running.port)) as sender:
        sender.sendall(POST + b"Content-Length: 0\r\n\r\n")
        assert sender.recv(1000).startswith(b"HTTP/1.1 204 ")


def test_a_slash_at_the_end_loses_no_delivery(tmp_path: Path) -> None:
    """Logplex follows no redirect: it tries three times, then the delivery is lost."""
    body = frame("behind a slash")
    request = POST.replace(b"/logs", b"/logs/", 1) + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with receiver(tmp_path / "log.db") as running, socket.create_connection(("127.0.0.1", running.port)) as sender:
        sender.sendall(request)
        assert sender.recv(1000).startswith(b"HTTP/1.1 204 ")
        sender.sendall(b"GET /metrics/ HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        assert sender.recv(1000).startswith(b"HTTP/1.1 404 ")  # and no redirect to where the request says
    assert stored(tmp_path / "log.db")["lines"]["message"].to_list() == ["behind a slash"]


def test_nothing_is_acknowledged_into_a_log_that_was_deleted(tmp_path: Path) -> None:
    """The open file takes every write, and all of it is gone with the process: refused, it is at least counted."""
    with receiver(tmp_path / "log.db") as running:
        assert running.post(frame("before")) == 204
        for path in tmp_path.iterdir():
            path.unlink()
        assert running.post(frame("after")) == 503
    with receiver(tmp_path / "log.db") as running:
        assert running.post(frame("anew")) == 204


def test_reloading_without_a_certificate_ends_nothing(tmp_path: Path) -> None:
    """`systemctl reload` sends SIGHUP, also where a front keeps the certificate; by default it kills."""
    with receiver(tmp_path / "log.db") as running:
        running.process.send_signal(signal.SIGHUP)
        assert running.post(frame("x")) == 204
        assert running.stop() == 0
