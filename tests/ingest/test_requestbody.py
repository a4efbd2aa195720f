"""Bodies are inflated where they hold up nobody."""

from __future__ import annotations

import asyncio
import gzip
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from starlette.requests import Request

from ingest.http import requestbody
from ingest.http.body_memory import BodyMemory, Reservation
from ingest.http.exchange import SCOPE_KEY

if TYPE_CHECKING:
    from collections.abc import MutableMapping


def test_a_body_of_many_empty_members_lets_others_go_on() -> None:
    """It holds nothing, so a limit on what comes out never ends it; looking through it takes seconds all the same."""

    async def inflate() -> tuple[bytes, int]:
        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": gzip.compress(b"") * 50_000, "more_body": False}

        exchange = SimpleNamespace(reservation=Reservation(BodyMemory()))
        scope = {"type": "http", "headers": [(b"content-encoding", b"gzip")], SCOPE_KEY: exchange}
        reading = asyncio.create_task(requestbody.read(Request(scope, receive), 1 << 24))
        turns = 0
        while not reading.done():
            turns += 1
            await asyncio.sleep(0)
        return await reading, turns

    body, turns = asyncio.run(inflate())
    assert body == b""
    assert turns > 10
