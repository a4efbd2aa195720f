"""Clients that mean harm, many in one process, for ``bench_hostile``: each begins again as soon as it was thrown out.

They send to 127.0.0.1 only, and stop by themselves.

    python -m tests.benchmarks.hostile_clients PORT SECONDS CLIENTS FIRST_ADDRESS plain|tls
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
import json
import ssl
import sys
from collections import Counter
from typing import TYPE_CHECKING

import uvloop

from tests.ingest.abuse import AUTH, CASES, POST

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

HEAD = b"POST /logs HTTP/1.1\r\nHost: x\r\n"
GUESS = HEAD + b"Authorization: Basic c2hvcDp3cm9uZw==\r\n"
BOMB = gzip.compress(bytes(100_000_000), 9)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def guesses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Wrong secrets with a whole delivery behind them."""
    writer.write(GUESS + b"Content-Length: 20000\r\n\r\n" + bytes(20_000))
    await reader.read()


async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Slowloris: a header that never ends."""
    writer.write(HEAD)
    while not reader.at_eof() and not writer.is_closing():
        await asyncio.sleep(0.5)
        writer.write(b"X: y\r\n")
        await writer.drain()


async def drips_a_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A body without credentials that never ends."""
    writer.write(HEAD + b"Expect: 100-continue\r\nContent-Length: 10000000\r\n\r\n")
    while not reader.at_eof() and not writer.is_closing():
        writer.write(bytes(1000))
        await writer.drain()
        await asyncio.sleep(0.1)


async def holds(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Half open: a connection that says nothing."""
    await reader.read()


async def leaves(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Connects, with TLS shakes hands, and goes."""


async def floods_header(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A header of 1 MB."""
    writer.write(HEAD + b"X: " + bytes(1_000_000).replace(b"\0", b"a"))
    await reader.read()


async def garbles(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Whatever the tests of abuse know, one after the other."""
    writer.write(next(ABUSE))
    await reader.read()


async def pipelines(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ten thousand requests sent ahead."""
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 10_000)
    await reader.read()


async def bombs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Bombs, with good credentials."""
    writer.write(POST + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB)
    await reader.read()


KINDS: tuple[Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], ...] = (
    guesses, drips, drips_a_body, holds, leaves, floods_header, garbles, pipelines, guesses, bombs,
)  # fmt: skip
ABUSE = itertools.cycle([octets for octets, _ in CASES.values() if AUTH not in octets])
PATIENCE_SECONDS = 30.0


async def _attack(number: int, port: int, address: str, tls: ssl.SSLContext | None, done: Counter[str]) -> None:
    kind = KINDS[number % len(KINDS)]
    while True:
        writer = None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, local_addr=(address, 0))
                await kind(reader, writer)
        except (OSError, TimeoutError):
            await asyncio.sleep(0.01)  # where nobody accepts, asking again at once would only measure this client
        finally:
            if writer is not None:
                with contextlib.suppress(OSError, RuntimeError):
                    writer.transport.abort()
        done[kind.__name__] += 1


async def main(port: int, seconds: float, clients: int, first_address: int, *, is_tls: bool) -> None:
    """Attack for some seconds; print what was done as JSON."""
    tls = ssl._create_unverified_context() if is_tls else None
    done: Counter[str] = Counter()
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # being thrown out is what they are here for
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            for number in range(clients):
                address = f"127.0.{first_address}.{number % 20 + 1}"
                group.create_task(_attack(number, port, address, tls, done))
    print(json.dumps(done))


if __name__ == "__main__":
    given = [float(text) for text in sys.argv[1:5]]
    uvloop.run(main(int(given[0]), given[1], int(given[2]), int(given[3]), is_tls=sys.argv[5] == "tls"))
