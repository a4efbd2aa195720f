"""A real HTTP proxy before the S3 server that makes answers go wrong: wrong statuses, delays, broken connections.

Requests go through byte for byte, their Host header too, which S3 signatures cover. Each fault counts down the
requests it still hits; ``seen`` lists what came by, with the status of the answer (0: none).
"""

from __future__ import annotations

import http.client
import socket
import struct
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends a reset
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding"}


class Seen(NamedTuple):
    """A request that came by, and the status of its answer."""

    method: str
    path: str
    status: int


@dataclass
class Fault:
    """What happens to the next ``times`` requests of a method (any, if None).

    ``status`` None breaks the connection. ``passes_on``: the store does the work before the answer goes wrong.
    ``delay_seconds`` alone, with ``status`` 200, lets the store's own answer come late.
    """

    times: int
    method: str | None
    status: int | None
    passes_on: bool = False
    delay_seconds: float = 0.0


class FaultProxy:
    """Serves on loopback while entered; ``endpoint`` is its address."""

    def __init__(self, upstream: str) -> None:
        self._upstream = urlsplit(upstream).netloc
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self.seen: list[Seen] = []
        self.before_answer: Callable[[str, str], None] | None = None  # called with method and path of each request
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(
        self,
        status: int,
        times: int = 1,
        method: str | None = None,
        *,
        passes_on: bool = False,
        delay_seconds: float = 0.0,
    ) -> None:
        """Answer the next requests with a status of ours; ``passes_on``: after the store has done the work."""
        self._add(Fault(times, method, status, passes_on, delay_seconds))

    def reset(self, times: int = 1, method: str | None = None, *, passes_on: bool = False) -> None:
        """Break the connection of the next requests instead of answering them."""
        self._add(Fault(times, method, None, passes_on))

    def delay(self, seconds: float, times: int = 1, method: str | None = None) -> None:
        """Let the store's own answers come late."""
        self._add(Fault(times, method, 200, passes_on=True, delay_seconds=seconds))

    def count(self, method: str) -> int:
        """How many requests of a method came by."""
        return sum(request.method == method for request in self.seen)

    def _add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def _next_fault(self, method: str) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.times > 0 and fault.method in {None, method}:
                    fault.times -= 1
                    return fault
        return None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(_Handler):
            def do_GET(self) -> None:
                proxy._serve(self)

            do_PUT = do_POST = do_HEAD = do_DELETE = do_GET  # noqa: N815 - http.server's names

        return Handler

    def _serve(self, request: _Handler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        fault = self._next_fault(request.command)
        if self.before_answer:
            self.before_answer(request.command, request.path)
        answer = self._ask(request, body) if fault is None or fault.passes_on else None
        time.sleep(fault.delay_seconds if fault else 0)
        if fault and fault.status is None:
            self.seen.append(Seen(request.command, request.path, 0))
            request.break_off()
        else:
            status, headers, data = (
                answer
                if answer and (fault is None or fault.delay_seconds)
                else (fault.status if fault and fault.status else 500, [], b"<Error><Code>Made</Code></Error>")
            )
            self.seen.append(Seen(request.command, request.path, status))
            request.pass_back(status, headers, data)

    def _ask(self, request: _Handler, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self._upstream, timeout=60)
        connection.putrequest(request.command, request.path, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP]
        return answer.status, headers, data


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def break_off(self) -> None:
        """End the connection with a reset instead of an answer."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.connection.close()

    def pass_back(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Send an answer; a client that does not wait for it any more is no error."""
        try:
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() != "content-length" or self.command == "HEAD":
                    self.send_header(name, value)
            if self.command != "HEAD":
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else body)
        except OSError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing on stderr."""
