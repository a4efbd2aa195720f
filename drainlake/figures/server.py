"""``/metrics`` and ``/healthz`` of a process that serves nothing else: small, in threads of its own, bounded.

A connection brings one request and has ``REQUEST_SECONDS`` for it in all, so that one who sends a byte now and then
holds nothing; no more than ``CONNECTIONS_MAX`` are held, and one beyond is closed at once and counted.
"""

from __future__ import annotations

import hmac
import socket
import socketserver
import threading
import time
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple

from prometheus_client import CONTENT_TYPE_LATEST

from drainlake.errors import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drainlake.values import Secret

CONNECTIONS_MAX: Final = 16
REQUEST_SECONDS: Final = 5.0
HEAD_MAX_BYTES: Final = 8 << 10
_PLAIN: Final = "text/plain; charset=utf-8"


class Shown(NamedTuple):
    """What the server shows. ``trouble`` says why ``/healthz`` is 503, or None; ``token`` None lets everyone read."""

    exposition: Callable[[], bytes]
    trouble: Callable[[], str | None]
    token: Secret | None = None


class _Answer(NamedTuple):
    status: HTTPStatus
    body: bytes
    content_type: str = _PLAIN


class MetricsServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Listens from the beginning; ``refused`` counts connections that were closed because too many were open."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 4 * CONNECTIONS_MAX  # the standard library's 5 would make one that is to be refused wait

    def __init__(self, host: str, port: int, shown: Shown) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.shown = shown
        self.refused = 0
        self._room = threading.BoundedSemaphore(CONNECTIONS_MAX)
        super().__init__((host, port), _Handler)

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """Answer in a thread, if there is room for one."""
        if not self._room.acquire(blocking=False):
            self.refused += 1
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._room.release()
            raise

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """Make room again in the end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: who asks can make each of these happen as often as he likes."""


@contextmanager
def serving(host: str, port: int, shown: Shown) -> Iterator[MetricsServer]:
    """Serve until the block ends; raises :class:`Failure` when the port is taken."""
    try:
        server = MetricsServer(host, port, shown)
    except OSError as error:
        raise Failure(
            f"DRAINLAKE_METRICS_PORT={port} cannot be listened on at {host}: {error.strerror or error}.",
            "another DRAINLAKE_METRICS_PORT for each process of a host, or none: the receiver shows all of its home",
        ) from None
    thread = threading.Thread(target=server.serve_forever, args=(0.2,), name="metrics", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        """Read one request, answer it, close."""
        connection: socket.socket = self.request
        server = self.server
        assert isinstance(server, MetricsServer)
        deadline = time.monotonic() + REQUEST_SECONDS
        with suppress(OSError):
            head = _read_head(connection, deadline)
            connection.settimeout(REQUEST_SECONDS)
            connection.sendall(_bytes(answer(head, server.shown)))


def _read_head(connection: socket.socket, deadline: float) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head and len(head) <= HEAD_MAX_BYTES:
        connection.settimeout(max(deadline - time.monotonic(), 0.001))
        received = connection.recv(HEAD_MAX_BYTES)
        if not received:
            break
        head += received
    return head


def answer(head: bytes, shown: Shown) -> _Answer:
    """The answer to a request's head."""
    request, _, rest = head.partition(b"\r\n")
    words = request.split(b" ")
    if b"\r\n\r\n" not in head or len(words) != 3 or not words[2].startswith(b"HTTP/1."):
        return _Answer(HTTPStatus.BAD_REQUEST, b"this is no HTTP/1.1 request\n")
    if words[0] != b"GET":
        return _Answer(HTTPStatus.METHOD_NOT_ALLOWED, b"only GET\n")
    path = words[1].partition(b"?")[0]
    if path == b"/healthz":
        trouble = shown.trouble()
        return _Answer(HTTPStatus.SERVICE_UNAVAILABLE, f"{trouble}\n".encode()) if trouble else _Answer(_OK, b"ok\n")
    if path != b"/metrics":
        return _Answer(HTTPStatus.NOT_FOUND, b"/metrics or /healthz\n")
    if shown.token is not None and not _carries(rest, shown.token):
        return _Answer(HTTPStatus.UNAUTHORIZED, b"a Bearer token is needed\n")
    return _Answer(_OK, shown.exposition(), CONTENT_TYPE_LATEST)


_OK: Final = HTTPStatus.OK


def _carries(headers: bytes, token: Secret) -> bool:
    """Whether the first Authorization header holds the token; compared in constant time."""
    for line in headers.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"authorization":
            scheme, _, given = value.strip().partition(b" ")
            return scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), token.reveal().encode())
    return False


def _bytes(made: _Answer) -> bytes:
    challenge = b"WWW-Authenticate: Bearer\r\n" if made.status is HTTPStatus.UNAUTHORIZED else b""
    return (
        f"HTTP/1.1 {made.status.value} {made.status.phrase}\r\nContent-Type: {made.content_type}\r\n"
        f"Content-Length: {len(made.body)}\r\nConnection: close\r\n".encode()
        + challenge
        + b"\r\n"
        + made.body
    )
