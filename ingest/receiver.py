"""The receiver: ``POST /logs`` in, durable entries out. Thin: authenticate, read, hand over, answer.

What Heroku does on each answer decides the answers. 204 only when the delivery is durable. A 4xx drops the
delivery for good, so content never gets one; 401, 413 and 415 remain. A 5xx is tried twice more at once and then
dropped, so 503 is for a stopping process, a full disk and a delivery that could not be stored in time only.
Heroku gives up after 5 s; no answer is later than ``REPLY_MAX_SECONDS``.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ingest import requestbody
from ingest.deliveries import LASTING_PREFIX, Delivery
from ingest.eventlog.contract import LogFull
from ingest.eventlog.spooled import SpooledLog
from ingest.groupcommit import GroupCommit, Overloaded
from ingest.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from ingest.credentials import Doorkeeper
    from ingest.eventlog.contract import Appender

REPLY_MAX_SECONDS: Final = 4.0
_REPLY_MARGIN_SECONDS: Final = 0.3  # for the answer itself to be written in time on a busy host
_HEADER_MAX_CHARACTERS: Final = 200
_CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="drainlake"'}


class Receiver:
    """The ASGI application and what it holds on to while it runs."""

    def __init__(self, log: Appender, doorkeeper: Doorkeeper, *, body_max_bytes: int) -> None:
        self._log = log
        self._doorkeeper = doorkeeper
        self._body_max_bytes = body_max_bytes
        self._metrics = Metrics()
        if isinstance(log, SpooledLog):
            self._metrics.watch_spool(log.state)
        self._stopping = False
        self._commit: GroupCommit
        self.app = Starlette(
            routes=[
                Route("/logs", self._logs, methods=["POST"]),
                Route("/healthz", self._healthz),
                Route("/readyz", self._readyz),
                Route("/metrics", self._expose),
            ],
            lifespan=self._lifespan,
        )

    def stop(self) -> None:
        """From now on refuse: readiness first, then new deliveries."""
        self._stopping = True

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        self._commit = GroupCommit(self._log, self._metrics.stored)
        self._metrics.watch_waiting(lambda: self._commit.waiting_bytes)
        yield
        await self._commit.close()

    async def _logs(self, request: Request) -> Response:
        started = time.monotonic()
        response = await self._answer(request)
        self._metrics.answered(response.status_code, time.monotonic() - started)
        return response

    async def _answer(self, request: Request) -> Response:
        app = self._authenticated(request)
        if app is None:
            return Response(status_code=401, headers=_CHALLENGE)
        if self._stopping:
            return Response(status_code=503)
        deadline = asyncio.get_running_loop().time() + REPLY_MAX_SECONDS - _REPLY_MARGIN_SECONDS
        try:
            async with asyncio.timeout_at(deadline):
                body = await requestbody.read(request, self._body_max_bytes)
                await self._commit.store(_delivery(request, app, body))
        except requestbody.TooLarge:
            return Response(status_code=413)
        except requestbody.UnknownEncoding:
            return Response(status_code=415)
        except (TimeoutError, LogFull, Overloaded, ClientDisconnect) as refusal:
            self._metrics.refused(type(refusal).__name__)
            return Response(status_code=503)
        return Response(status_code=204)

    def _authenticated(self, request: Request) -> str | None:
        """The app whose credentials the request carries."""
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            app, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        except ValueError:  # no base64, no ASCII, or no UTF-8
            return None
        return app if colon and self._doorkeeper.admits(app, secret) else None

    async def _healthz(self, _request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _readyz(self, _request: Request) -> Response:
        if self._stopping:
            return PlainTextResponse("stopping\n", status_code=503)
        return PlainTextResponse("ready\n")

    async def _expose(self, _request: Request) -> Response:
        text, content_type = self._metrics.exposition()
        return Response(text, media_type=content_type)


def _delivery(request: Request, app: str, body: bytes) -> Delivery:
    return Delivery(
        app,
        body,
        time.time_ns() // 1000,
        frame_id=_frame_id(request.headers.get("logplex-frame-id")),
        drain_token=_short(request.headers.get("logplex-drain-token")),
        announced=_count(request.headers.get("logplex-msg-count", "")),
    )


def _short(value: str | None) -> str | None:
    return value[:_HEADER_MAX_CHARACTERS] if value else None


def _frame_id(value: str | None) -> str | None:
    """A sender cannot claim the ids of imported files, whose marks never expire."""
    short = _short(value)
    return short.removeprefix(LASTING_PREFIX) if short else None


def _count(value: str) -> int | None:
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 9 else None
