"""The receiver: ``POST /logs`` in, durable entries out. Thin: authenticate, read, hand over, answer.

The connection has looked at the credentials before this is called (``ingest.http``); here they are answered for.
A refusal of credentials is answered late and closes the connection, and the body is never read.

What Heroku does on each answer decides the answers. 204 only when the delivery is durable. A 4xx drops the
delivery for good, so content never gets one; 401, 413, 415 and, for the receiver's own drain, 403 remain. A 5xx is
tried twice more at once and then dropped, so 503 is for a stopping process, a full disk and a delivery that could not
be stored in time only. While the log is full ``/readyz`` is false, and where nothing asks for that nobody can connect
after a while (``ingest.door``): Heroku uses up no try then.
Heroku gives up after 5 s; no answer is later than ``REPLY_MAX_SECONDS``.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import logging
import sqlite3
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ingest.deliveries import LASTING_PREFIX, Delivery
from ingest.eventlog.contract import LogFull
from ingest.eventlog.spooled import SpooledLog
from ingest.fates import Fates
from ingest.groupcommit import GroupCommit, Overloaded
from ingest.http import requestbody
from ingest.http.body_memory import BodiesFull
from ingest.http.exchange import Exchange, MalformedBody, TooLarge, Verdict, exchange
from ingest.http.slowdown import Slowdown
from ingest.http.unauthorized import Unauthorized
from ingest.loops import OwnDrains, request_id_of
from ingest.oplog import tell
from ingest.room import Room

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from ingest.credentials import Doorkeeper
    from ingest.eventlog.contract import LocalAppender
    from ingest.metrics import Metrics
    from ingest.workers import Limits

REPLY_MAX_SECONDS: Final = 4.0
_REPLY_MARGIN_SECONDS: Final = 0.3  # for the answer itself to be written in time on a busy host
_HEADER_MAX_CHARACTERS: Final = 200
_CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="drainlake"'}
_METRICS_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="drainlake"'}
EXPOSED_TIMES: Final = 10  # a second: writing the metrics takes milliseconds, and without a token anyone may ask
WATCHED_TIMES: Final = 3  # that often within that time: more than a start that waits for the receiver does
WATCHED_SECONDS: Final = 120.0
_REFUSALS: Final[dict[type[Exception], int]] = {
    TooLarge: 413,
    requestbody.UnknownEncoding: 415,
    MalformedBody: 400,
    **dict.fromkeys((TimeoutError, LogFull, Overloaded, BodiesFull, ClientDisconnect), 503),
}


class Receiver:
    """The ASGI application and what it holds on to while it runs."""

    def __init__(
        self,
        log: LocalAppender,
        doorkeeper: Doorkeeper,
        *,
        body_max_bytes: int,
        allowed: Limits,
        metrics: Metrics,
        metrics_token: str | None = None,
    ) -> None:
        self._log = log
        self._doorkeeper = doorkeeper
        self._body_max_bytes = body_max_bytes
        self._waiting_max_bytes = allowed.waiting_bytes
        self._metrics_digest = None if metrics_token is None else _digest(metrics_token.encode())
        self.slowdown = Slowdown(allowed.delayed)
        self.metrics = metrics
        if isinstance(log, SpooledLog):
            self.metrics.watch_spool(log.state)
        self._unauthorized = Unauthorized()
        self._stopping = False
        self._own_drains = OwnDrains()
        self.fates = Fates()
        self.room = Room(log, self.fates)
        self._refusing = False
        self._ready_asked_at: deque[float] = deque(maxlen=WATCHED_TIMES)
        self._exposed_at: deque[float] = deque(maxlen=EXPOSED_TIMES)
        self._exposition = (b"", "")
        self._commit: GroupCommit
        self.app = Starlette(
            routes=[
                Route("/logs", self._logs, methods=["POST"]),
                Route("/logs/", self._logs, methods=["POST"]),  # Logplex follows no redirect: it would drop it
                Route("/healthz", self._healthz),
                Route("/readyz", self._readyz),
                Route("/metrics", self._expose),
            ],
            lifespan=self._lifespan,
        )
        self.app.router.redirect_slashes = False  # the Host header, which anybody can choose, would name the place

    @property
    def is_watched(self) -> bool:
        """Whether something asks again and again if this is ready, as load balancers do."""
        asked = self._ready_asked_at
        return len(asked) == WATCHED_TIMES and time.monotonic() - asked[0] < WATCHED_SECONDS

    def stop(self) -> None:
        """From now on say that this is not ready; deliveries are still taken."""
        self._stopping = True

    def refuse(self) -> None:
        """From now on take no deliveries."""
        self._stopping = self._refusing = True

    def tell_what_is_due(self, now: float) -> None:
        """Say in drainlake's own log what gathered since the last time."""
        if notice := self._unauthorized.due(now):
            tell("serve", "unauthorized", notice.sentence, level=logging.WARNING, about="", **notice.fields)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        self._commit = GroupCommit(self._log, self.metrics.stored, self._waiting_max_bytes, self._own_drains)
        self.metrics.watch_waiting(lambda: self._commit.waiting_bytes)
        learning = asyncio.create_task(self._doorkeeper.keep_learning())
        yield
        learning.cancel()
        await self._commit.close()

    async def _logs(self, request: Request) -> Response:
        started = time.monotonic()
        response = await self._answer(request, exchange(request))
        seconds = time.monotonic() - started
        self.metrics.answered(response.status_code, seconds if response.status_code != 401 else None)
        return response

    async def _answer(self, request: Request, on: Exchange) -> Response:
        deadline = asyncio.get_running_loop().time() + REPLY_MAX_SECONDS - _REPLY_MARGIN_SECONDS
        try:
            async with asyncio.timeout_at(deadline):
                if not await self._admits(on):
                    return await self._unauthorised(on, self._reason(on), _CHALLENGE)
                if self._refusing:
                    return self._refused("stopping", 503)
                if self._own_drains.know(on.app_name, request.headers.get("logplex-drain-token")):
                    return self._refused("loop", 403)
                body = await requestbody.read(request, self._body_max_bytes)
                on.reservation.release()  # from here on group commit counts it
                await self._commit.store(_delivery(request, on.app_name, body))
        except tuple(_REFUSALS) as refusal:
            kind = next(kind for kind in _REFUSALS if isinstance(refusal, kind))
            return self._refused(kind.__name__, _REFUSALS[kind], str(refusal) if kind is LogFull else "")
        self.fates.stored()
        return Response(status_code=204)

    def _refused(self, reason: str, status: int, cause: str = "") -> Response:
        self.metrics.refused(reason)
        self.fates.refused(reason, cause)
        return Response(status_code=status)

    async def _admits(self, on: Exchange) -> bool:
        if on.verdict is Verdict.UNKNOWN and on.claim is not None:
            with contextlib.suppress(sqlite3.Error):  # what was known before is all there is
                await self._doorkeeper.learn()
            on.settle()
            if self._doorkeeper.admits(on.claim):
                on.verdict = Verdict.GOOD
                on.connection.admit()
        return on.verdict is Verdict.GOOD

    def _reason(self, on: Exchange) -> str:
        """Why credentials were refused, for the counter and for drainlake's own log."""
        if on.claim is None:
            reason, app = "no_credentials", None
        elif self._doorkeeper.knows(on.claim.app):
            reason, app = "wrong_secret", on.claim.app
        else:
            reason, app = "unknown_app", None
        self._unauthorized.note(reason, app)
        self.tell_what_is_due(time.monotonic())
        return reason

    async def _unauthorised(self, on: Exchange, reason: str, challenge: dict[str, str]) -> Response:
        """401, late. When too many wait already, the connection is closed without a word."""
        self.metrics.unauthorized(reason)
        on.refuse()
        delay = self.slowdown.enter(on.connection.guest.address, time.monotonic())
        if delay is None:
            on.connection.expel("unauthorized")
        else:
            try:
                await asyncio.sleep(delay)
            finally:
                self.slowdown.leave()
        return Response(status_code=401, headers=challenge)

    async def _healthz(self, _request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _readyz(self, _request: Request) -> Response:
        if self._stopping:
            return PlainTextResponse("stopping\n", status_code=503)
        self._ready_asked_at.append(time.monotonic())
        if self.room.full_seconds and not await self.room.is_there():
            return PlainTextResponse("full\n", status_code=503)
        return PlainTextResponse("ready\n")

    async def _expose(self, request: Request) -> Response:
        if self._metrics_digest is not None:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            given = _digest(token.encode()) if scheme.lower() == "bearer" else b""
            if not hmac.compare_digest(given, self._metrics_digest):
                return await self._unauthorised(exchange(request), "metrics", _METRICS_CHALLENGE)
            exchange(request).connection.admit()
        now = time.monotonic()
        if not self._exposition[0] or len(self._exposed_at) < EXPOSED_TIMES or now - self._exposed_at[0] > 1.0:
            self._exposed_at.append(now)
            self._exposition = await run_in_threadpool(self.metrics.exposition)  # it reads files
        text, content_type = self._exposition
        return Response(text, media_type=content_type)


def _digest(token: bytes) -> bytes:
    """Compared in place of the token, so that its length does not show either."""
    return hashlib.sha256(token).digest()


def _delivery(request: Request, app: str, body: bytes) -> Delivery:
    return Delivery(
        app,
        body,
        time.time_ns() // 1000,
        frame_id=_frame_id(request.headers.get("logplex-frame-id")),
        drain_token=_short(request.headers.get("logplex-drain-token")),
        announced=_count(request.headers.get("logplex-msg-count", "")),
        request_id=request_id_of(request.headers.get("x-request-id")),
    )


def _short(value: str | None) -> str | None:
    return value[:_HEADER_MAX_CHARACTERS] if value else None


def _frame_id(value: str | None) -> str | None:
    """A sender cannot claim the ids of imported files, whose marks never expire."""
    short = _short(value)
    return short.removeprefix(LASTING_PREFIX) if short else None


def _count(value: str) -> int | None:
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 9 else None
