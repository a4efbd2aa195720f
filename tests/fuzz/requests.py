"""Targets at the door: compressed bodies and credentials in the header of a request."""

from __future__ import annotations

import asyncio
import base64
import gzip
import io
import zlib
from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request

from ingest.credentials import Doorkeeper, claim
from ingest.http import requestbody
from ingest.http.body_memory import BodyMemory, Reservation
from ingest.http.exchange import SCOPE_KEY, TooLarge

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

BODY_MAX_BYTES: Final = 1 << 20
APP, SECRET = "shop", "a-secret-of-the-shop"


class _NoStore:
    """A store that keeps no credentials: those of the settings count alone."""

    def digests(self) -> dict[str, list[bytes]]:
        return {}


@lru_cache(1)
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


def _receive(octets: bytes) -> Callable[[], Awaitable[MutableMapping[str, Any]]]:
    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": octets, "more_body": False}

    return receive


def inflated(data: bytes) -> None:
    """A gzip body is what Python's own gzip makes of it, or comes as it was; it stays within the limit."""
    on = SimpleNamespace(reservation=Reservation(BodyMemory()))
    scope = {"type": "http", "headers": [(b"content-encoding", b"gzip")], SCOPE_KEY: on}
    try:
        found = _loop().run_until_complete(requestbody.read(Request(scope, _receive(data)), BODY_MAX_BYTES))
    except TooLarge:
        assert _gunzip(data, BODY_MAX_BYTES + 1) is not None
        return
    assert len(found) <= max(BODY_MAX_BYTES, len(data))
    wanted = _gunzip(data, BODY_MAX_BYTES + 1)
    assert found == (data if wanted is None else wanted)


def _gunzip(data: bytes, size_max_bytes: int) -> bytes | None:
    """At most so many bytes of what the data holds; None if it is broken before."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as members:
            return members.read(size_max_bytes)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return None


@lru_cache(1)
def _doorkeeper() -> Doorkeeper:
    return Doorkeeper(_NoStore(), {APP: [SECRET]})  # type: ignore[arg-type]


def authorized(data: bytes) -> None:
    """Any bytes as ``Authorization`` are no claim or one; the app's secret alone is let in."""
    found = claim(data)
    if found is not None and _doorkeeper().admits(found):
        assert base64.b64decode(data.partition(b" ")[2]) == f"{APP}:{SECRET}".encode()
