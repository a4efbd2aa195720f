"""Targets at the door: compressed bodies and credentials in the header of a request."""

from __future__ import annotations

import asyncio
import base64
import gzip
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request

from ingest import requestbody
from ingest.credentials import Doorkeeper
from ingest.receiver import Receiver

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
    scope = {"type": "http", "headers": [(b"content-encoding", b"gzip")]}
    try:
        found = _loop().run_until_complete(requestbody.read(Request(scope, _receive(data)), BODY_MAX_BYTES))
    except requestbody.TooLarge:
        assert _gunzip(data, BODY_MAX_BYTES + 1) is not None
        return
    assert len(found) <= max(BODY_MAX_BYTES, len(data))
    wanted = _gunzip(data, BODY_MAX_BYTES + 1)
    assert found == (data if wanted is None else wanted)


def _gunzip(data: bytes, size_max_bytes: int) -> bytes | None:
    """At most so many bytes of what the data holds; None if it is broken before."""
    import io

    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as members:
            return members.read(size_max_bytes)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return None


@lru_cache(1)
def _receiver() -> Receiver:
    receiver = Receiver(None, Doorkeeper(_NoStore(), {APP: [SECRET]}), body_max_bytes=1024)  # type: ignore[arg-type]
    receiver.stop()  # whoever is let in is told 503; nothing is stored
    return receiver


def authorized(data: bytes) -> None:
    """Any bytes as ``Authorization`` are answered: with 401, but for the app's secret."""
    statuses: list[int] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        statuses.extend([message["status"]] if message["type"] == "http.response.start" else [])

    scope = {
        "type": "http", "method": "POST", "path": "/logs", "query_string": b"", "http_version": "1.1",
        "headers": [(b"authorization", data)], "client": ("127.0.0.1", 1), "scheme": "http", "root_path": "",
    }  # fmt: skip
    _loop().run_until_complete(_receiver().app(scope, _receive(b""), send))
    assert statuses in ([401], [503])
    if statuses == [503]:
        assert base64.b64decode(data.partition(b" ")[2]) == f"{APP}:{SECRET}".encode()
