"""An app with known behaviour and the router before it, in one small server; its log is what Heroku's router writes."""

from __future__ import annotations

import asyncio
import itertools
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator


def router_line(ended: datetime, path: str, service_ms: int, status: int = 200, number: int = 0) -> str:
    """A line as `heroku logs` prints it of a request that ended then."""
    level, reason = ("error", ' code=H13 desc="Connection closed"') if status >= 500 else ("info", "")
    return (
        f'{ended.isoformat(timespec="microseconds")} heroku[router]: at={level}{reason} method=GET path="{path}" '
        f'host=shop.example.com request_id=r{number} fwd="203.0.113.8" dyno=web.1 connect=0ms '
        f"service={service_ms}ms status={status} bytes=5 protocol=http1.1 tls=false\n"
    )


@dataclass
class SlowApp:
    """Serves on a port of its own while entered.

    At most ``workers`` requests are worked on at once, each for ``work_seconds``; the others wait, and the router's
    time counts that too. Every ``error_every``-th answer is a 500. A request needs ``way_seconds`` from the generator
    to the router, more or less by a half, before anything is counted.
    """

    workers: int = 1000
    work_seconds: float = 0.05
    error_every: int = 0
    way_seconds: float = 0.0
    lines: list[str] = field(default_factory=list)
    port: int = 0

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._numbers = itertools.count(1)
        self._free = asyncio.Semaphore(self.workers)
        self._server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024))
        self.port = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(timeout=30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=30)
        self._loop.close()

    async def _end(self) -> None:
        # The generator has ended. What it left to be accepted must be served before the server closes: asyncio leaks a
        # connection that it accepts in the same turn.
        for _ in range(3):
            await asyncio.sleep(0)
        while rest := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(rest, timeout=20)
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            number = next(self._numbers)
            await asyncio.sleep(self.way_seconds * (0.5 + number * 0.618 % 1))
            status = await self._work(head.split(" ")[1], number)
            writer.write(f"HTTP/1.0 {status} Any\r\nContent-Length: 5\r\n\r\nhello".encode())
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # ab is at its end and leaves
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _work(self, path: str, number: int) -> int:
        began = asyncio.get_running_loop().time()
        async with self._free:
            await asyncio.sleep(self.work_seconds)
        status = 500 if self.error_every and number % self.error_every == 0 else 200
        service_ms = int(1000 * (asyncio.get_running_loop().time() - began))
        self.lines.append(router_line(datetime.now(UTC), path, service_ms, status, number))
        return status


def a_minute_of(per_second: int, at_once: int, service_ms: int, path: str, minute: datetime) -> Iterator[str]:
    """Lines of a minute in which so many requests a second begin, and once so many are in flight."""
    began = minute.replace(second=0, microsecond=0) + timedelta(milliseconds=service_ms)
    gap = timedelta(seconds=1 / per_second)
    for number in range(60 * per_second):
        yield router_line(began + number * gap, path, service_ms, number=number)
    # Together at an instant at which, with the others, they are as many as shall be.
    others = service_ms * per_second // 1000
    for number in range(at_once - others):
        yield router_line(began + timedelta(seconds=30), path, service_ms, number=-number)
