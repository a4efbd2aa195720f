"""HTTP on one connection: uvicorn's protocol with limits, and without patience for what no drain would send.

What a connection does, in order: a header within its time, size and number of lines; then, for POST, credentials are
looked at *before* a byte of the body is kept; then the answer. After an answer that came before the request had ended,
and after a refusal, the connection is *deaf*: what still comes is thrown away unparsed for a moment, so that the peer
can read the answer, then it is closed. No request is parsed while another is being answered: a drain sends one at a
time, and requests sent ahead would be held in memory without limit.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from ingest.credentials import claim
from ingest.http import connections, framing
from ingest.http.body_memory import BodyMemory, Reservation
from ingest.http.exchange import SCOPE_KEY, Exchange, MalformedBody, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from ingest.credentials import Doorkeeper
    from ingest.http.connections import Connections, Guest
    from ingest.http.slowdown import Slowdown

LINGER_STRANGER_SECONDS: Final = 1.0
LINGER_KNOWN_SECONDS: Final = 4.0  # a drain whose body is too large sends all of it before it reads the answer
LINGER_STRANGER_MAX_BYTES: Final = 256 << 10  # a delivery of Logplex has 100 KB
_GENTLE: Final = frozenset({"idle", "answered"})


@dataclass
class Edge:
    """What all connections share."""

    connections: Connections
    slowdown: Slowdown
    doorkeeper: Doorkeeper
    body_max_bytes: int
    count_closed: Callable[[str], None]  # by reason
    bodies: BodyMemory = field(default_factory=BodyMemory)
    is_parting: bool = False  # answers say that the connection closes


class _Refused(Exception):  # noqa: N818
    """Raised inside the parser's callbacks to stop it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _is_gone(reason: str) -> None:
    """What is left to do for a connection that is closed already."""


def _reason(error: httptools.HttpParserError) -> str:
    """Why the parser stopped. A function, as a variable in the caller would close a circle by the traceback."""
    cause = error.__context__
    return cause.reason if isinstance(cause, _Refused) else "malformed"


class Connection(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *, edge: Edge, guest: Guest, **given: Any) -> None:
        super().__init__(**given)
        # A parser of its own: uvicorn's is told to let data after `Connection: close` pass.
        self.parser = httptools.HttpRequestParser(self)
        self.edge = edge
        self.guest = guest
        self.is_up = False
        self.is_deaf = False
        self.cycle: Exchange | None = None  # type: ignore[assignment]
        self._thrown_away_bytes = 0
        self._fed_bytes = 0  # since a header ended, or a piece of a body came
        self._header_bytes = 0
        self._header_lines = 0

    # From the transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """TCP and TLS are up; the time for the header runs since the connection was accepted."""
        super().connection_made(transport)
        self.is_up = True
        self.guest.end = self.expel
        self.guest.late = "header_time"

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self.edge.connections.leave(self.guest)
        # Nothing may hold this object in a circle: with TLS it holds some 200 KB of buffers, of which Python's garbage
        # collector, which counts objects, knows nothing.
        self.guest.end = _is_gone
        super().connection_lost(exc)
        self.cycle = None

    def eof_received(self) -> None:
        """The peer has sent all it will; the transport closes by itself."""

    def data_received(self, data: bytes) -> None:
        """Bytes of a request, or what is thrown away after one."""
        if self.is_deaf:
            self._throw_away(data)
            return
        if self.guest.is_idle:
            self.guest.expect(self.loop.time() + connections.HEADER_SECONDS, "header_time")
        self._fed_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse("upgrade")
        except httptools.HttpParserError as error:
            self._refuse(_reason(error))
        else:
            if self._fed_bytes > framing.HEADER_MAX_BYTES:
                self._refuse("header_size")

    # From the parser

    def on_message_begin(self) -> None:
        """A request begins."""
        if self.cycle is not None and not self.cycle.response_complete:
            raise _Refused("pipelined")
        super().on_message_begin()
        self._header_bytes = self._header_lines = 0

    def on_url(self, url: bytes) -> None:
        """A part of the target."""
        super().on_url(url)
        self._count_header(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A line of the header, or of the trailer, which nobody needs."""
        self._count_header(len(name) + len(value))
        if self.cycle is None or self.cycle.response_complete:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The header is whole: refuse it, or begin to answer."""
        self._fed_bytes = 0
        method, version = self.parser.get_method(), self.parser.get_http_version()
        if reason := framing.defect(method, version, self.url, self.headers):
            raise _Refused(reason)
        if self.parser.should_upgrade():
            raise _Refused("upgrade")
        target = httptools.parse_url(self.url)
        self.scope["method"] = method.decode("ascii")
        self.scope["http_version"] = version
        self.scope["raw_path"] = target.path
        self.scope["path"] = unquote(target.path.decode("ascii"))
        self.scope["query_string"] = target.query or b""
        self.guest.expect(self.loop.time() + connections.REQUEST_SECONDS, "request_time")
        self.cycle = self._exchange(version)
        self._start_asgi_task(self.cycle, self.app)

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._fed_bytes = 0
        if self.cycle is not None:
            self.cycle.add(body)

    def on_message_complete(self) -> None:
        """The request has ended."""
        self._fed_bytes = 0
        if self.cycle is not None:
            self.cycle.end()

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        self._header_lines += 1
        if self._header_bytes > framing.HEADER_MAX_BYTES or self._header_lines > framing.HEADER_LINES_MAX:
            raise _Refused("header_size")

    def _exchange(self, version: str) -> Exchange:
        made = Exchange(
            self,
            Reservation(self.edge.bodies),
            self.edge.body_max_bytes,
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        self.scope[SCOPE_KEY] = made  # type: ignore[typeddict-unknown-key]
        if self.scope["method"] == "POST":
            self._judge(made)
            length = next((value for name, value in self.headers if name == b"content-length"), b"0")
            made.announce(int(length))
        return made

    def _judge(self, made: Exchange) -> None:
        """Look at the credentials, before the body."""
        authorization = next((value for name, value in self.headers if name == b"authorization"), b"")
        made.claim = claim(authorization)
        if made.claim is not None and self.edge.doorkeeper.admits(made.claim):
            made.verdict = Verdict.GOOD
            self.admit()
            return
        if made.claim is not None and self.edge.doorkeeper.enter():
            made.verdict = Verdict.UNKNOWN
            made.is_waiting = True
        self.flow.pause_reading()

    # From the receiver, and for it

    def admit(self) -> None:
        """Good credentials were shown."""
        if not self.guest.is_known:
            ousted = self.edge.connections.admit(self.guest)
            if ousted is not None:
                ousted.end("crowded")

    def deafen(self) -> None:
        """Take nothing more of the request in; the answer is still to come."""
        self.is_deaf = True
        self.flow.pause_reading()

    def expel(self, reason: str) -> None:
        """Close: with the bytes that are still to be sent where nothing is wrong, else at once."""
        if self.transport.is_closing():
            self.transport.abort()  # it did not finish closing in its time
            return
        self.edge.count_closed(reason)
        if reason in _GENTLE:
            self._close()
        else:
            self.transport.abort()

    def shutdown(self) -> None:
        """The server stops: close unless something is being answered."""
        if self.cycle is None or self.cycle.response_complete:
            self._close()
        else:
            self.cycle.keep_alive = False

    def on_response_complete(self) -> None:
        """An answer is out."""
        self.server_state.total_requests += 1
        if self.cycle is not None and self.cycle.is_early:
            self._linger()
        elif self.transport.is_closing():
            self.guest.expect(self.loop.time() + connections.CLOSE_SECONDS, "close_time")
        else:
            self.flow.resume_reading()
            is_known = self.guest.is_known
            seconds = connections.IDLE_KNOWN_SECONDS if is_known else connections.IDLE_STRANGER_SECONDS
            self.guest.expect(self.loop.time() + seconds, "idle", is_idle=True)

    # Ends

    def _refuse(self, reason: str) -> None:
        """The parser stopped: answer with a status of the 400s, late, or let the answer in progress be the last."""
        self.deafen()
        self.edge.count_closed(reason)
        if self.cycle is None or self.cycle.response_complete:
            self._refuse_late(framing.status(reason))
        elif not self.cycle.is_whole:
            self.cycle.fail(MalformedBody)

    def _refuse_late(self, status: int) -> None:
        now = self.loop.time()
        delay = self.edge.slowdown.enter(self.guest.address, now)
        if delay is None:
            self.loop.call_soon(self.transport.abort)  # not while uvloop's TLS is still reading: it would go on
            return
        self.guest.expect(now + delay + connections.CLOSE_SECONDS, "close_time")
        self.loop.call_later(delay, self._answer_refusal, status)

    def _answer_refusal(self, status: int) -> None:
        self.edge.slowdown.leave()
        if self.transport.is_closing():
            return
        self.transport.write(STATUS_LINE[status] + b"content-length: 0\r\nconnection: close\r\n\r\n")
        self._linger()

    def _linger(self) -> None:
        """The last answer is out: throw away what comes until the peer closes, or a moment has passed."""
        if self.transport.is_closing():
            return
        seconds = LINGER_KNOWN_SECONDS if self.guest.is_known else LINGER_STRANGER_SECONDS
        self.is_deaf = True
        self.guest.expect(self.loop.time() + seconds, "answered")
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()

    def _throw_away(self, data: bytes) -> None:
        self._thrown_away_bytes += len(data)
        if not self.guest.is_known and self._thrown_away_bytes > LINGER_STRANGER_MAX_BYTES:
            self._close()

    def _close(self) -> None:
        self.guest.expect(self.loop.time() + connections.CLOSE_SECONDS, "close_time")
        self.transport.close()
