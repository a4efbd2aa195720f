"""One request and its answer on a connection, as the receiver sees it through ASGI's scope.

The body arrives here piece by piece and is handed out whole: the receiver's task wakes once per delivery. A body is
kept only if the header showed credentials; any other is never read.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Final, cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from ingest.http.body_memory import BodiesFull

if TYPE_CHECKING:
    from starlette.requests import Request
    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent

    from ingest.credentials import Claim
    from ingest.http.body_memory import Reservation
    from ingest.http.protocol import Connection

SCOPE_KEY: Final = "drainlake.exchange"


class MalformedBody(Exception):  # noqa: N818
    """The body's framing is broken: where the request ends is unknown."""


class TooLarge(Exception):  # noqa: N818
    """The body, or what it decompresses to, is over the limit."""


class Verdict(enum.Enum):
    """What the header's credentials are worth."""

    GOOD = "good"
    UNKNOWN = "unknown"  # secrets may have been added since they were read
    BAD = "bad"


class Exchange(RequestResponseCycle):
    """uvicorn's cycle, with the body's limits and an answer that may come before the body."""

    def __init__(self, connection: Connection, reservation: Reservation, body_max_bytes: int, **cycle: Any) -> None:
        super().__init__(**cycle)
        self.connection = connection
        self.reservation = reservation
        self.claim: Claim | None = None
        self.verdict = Verdict.BAD
        self.is_waiting = False  # in the doorkeeper's count, until it is settled
        self.is_early = False  # the answer began before the request had ended
        self._body_max_bytes = body_max_bytes
        self._pieces: list[bytes] = []
        self._size = 0
        self._failure: type[Exception] | None = None  # an instance would hold this object by its traceback
        self._is_handed_out = False

    @property
    def app_name(self) -> str:
        """The app that the request's credentials are for; empty without any."""
        return self.claim.app if self.claim is not None else ""

    @property
    def is_whole(self) -> bool:
        """Whether the request has ended."""
        return not self.more_body

    def announce(self, count: int) -> None:
        """The body's length is known before it comes."""
        if self.verdict is not Verdict.GOOD:
            return
        if count > self._body_max_bytes:
            self.fail(TooLarge)
            return
        try:
            self.reservation.take(count)
        except BodiesFull:
            self.fail(BodiesFull)

    def add(self, piece: bytes) -> None:
        """A piece of the body came."""
        if self.verdict is Verdict.BAD or self._failure is not None or self.response_complete:
            return
        self._size += len(piece)
        if self._size > self._body_max_bytes:
            self.fail(TooLarge)
            return
        try:
            self.reservation.use(len(piece))
        except BodiesFull:
            self.fail(BodiesFull)
        else:
            self._pieces.append(piece)

    def end(self) -> None:
        """The request has ended."""
        self.more_body = False
        self.message_event.set()

    def fail(self, failure: type[Exception]) -> None:
        """There will be no body; whoever waits for it gets this."""
        if self._failure is None:
            self._failure = failure
            self._let_go()
        self.message_event.set()

    def refuse(self) -> None:
        """The credentials are worth nothing: what came of the body goes, and no more is read."""
        self.verdict = Verdict.BAD
        self._let_go()
        self.connection.deafen()

    def settle(self) -> None:
        """The verdict waits for nothing any more; more than once does no harm."""
        if self.is_waiting:
            self.is_waiting = False
            self.connection.edge.doorkeeper.leave()

    def _let_go(self) -> None:
        self._pieces.clear()
        self.reservation.release()

    async def run_asgi(self, app: Any) -> None:
        """Answer the request."""
        try:
            await super().run_asgi(app)
        finally:
            self.settle()
            self._let_go()
            # Else the two would hold each other until the garbage collector comes.
            self.scope.pop(SCOPE_KEY, None)  # type: ignore[typeddict-item]

    async def receive(self) -> ASGIReceiveEvent:
        """The whole body, once; then the end of the connection. Raises what :meth:`fail` was given."""
        if self.waiting_for_100_continue and self._failure is None and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        self.flow.resume_reading()
        while not (self._ready() or self.disconnected or self.response_complete):
            await self.message_event.wait()
            self.message_event.clear()
        if self._failure is not None:
            raise self._failure
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        pieces, self._pieces = self._pieces, []
        self._is_handed_out = True
        return {"type": "http.request", "body": b"".join(pieces), "more_body": False}

    def _ready(self) -> bool:
        return self._failure is not None or (self.is_whole and not self._is_handed_out)

    async def send(self, message: ASGISendEvent) -> None:
        """Send a part of the answer; one that comes before the request has ended closes the connection."""
        if self.response_started:
            await super().send(message)
            return
        self.is_early = not self.is_whole or self.connection.is_deaf
        if self.is_early or self.connection.edge.is_parting:
            self.keep_alive = False  # which is said in the answer's header
        await super().send(message)
        if self.is_early:
            # Closing at once with bytes of the request unread would reset the connection and may destroy the answer
            # on its way: the connection lingers instead, and closes itself.
            self.keep_alive = True


def exchange(request: Request) -> Exchange:
    """The exchange that a request belongs to."""
    return cast("Exchange", request.scope[SCOPE_KEY])
