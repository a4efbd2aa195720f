"""The body of a POST, decompressed, within its size limit and the memory for all bodies.

Little is inflated at once on the event loop, and much by a few threads, piece by piece: a bomb holds up no other
request, each piece counts before the next is made, and whoever gave up waiting is not inflated any further.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from ingest.http.exchange import TooLarge, exchange

if TYPE_CHECKING:
    from starlette.requests import Request

    from ingest.http.body_memory import Reservation

_PLAIN: Final = frozenset({"", "identity"})
_GZIP: Final = frozenset({"gzip", "x-gzip"})
_AT_ONCE_BYTES: Final = 64 << 10  # about 0.2 ms
_PIECE_BYTES: Final = 1 << 20
_THREADS_MAX: Final = 2
_THREADS: Final = ThreadPoolExecutor(_THREADS_MAX, thread_name_prefix="inflate")
_TURNS: Final = asyncio.Semaphore(_THREADS_MAX)  # the others wait with their compressed bytes only


class UnknownEncoding(Exception):  # noqa: N818
    """The body has a content encoding that is not known here."""


async def read(request: Request, size_max_bytes: int) -> bytes:
    """The decompressed body. Bytes that claim to be gzip and are not are returned as they came.

    Raises :class:`TooLarge`, :class:`UnknownEncoding`, ``BodiesFull`` and what ``request.stream`` raises.
    """
    encoding = ",".join(request.headers.getlist("content-encoding")).strip().lower()
    if encoding not in _PLAIN | _GZIP:
        raise UnknownEncoding
    body = b""
    async for piece in request.stream():
        body = piece or body  # it comes whole; the last piece is empty
    return body if encoding in _PLAIN else await _gunzip(body, size_max_bytes, exchange(request).reservation)


async def _gunzip(octets: bytes, size_max_bytes: int, reservation: Reservation) -> bytes:
    """All members of a gzip file. Never inflates past the limit, so a bomb costs no more than a large body.

    What is broken or cut short is kept as it came, like any other bytes that cannot be read.
    """
    try:
        return await _inflate(octets, size_max_bytes, reservation)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return octets


async def _inflate(octets: bytes, size_max_bytes: int, reservation: Reservation) -> bytes:
    members = gzip.GzipFile(fileobj=io.BytesIO(octets))
    pieces: list[bytes] = []
    size = 0

    def keep(piece: bytes) -> None:
        nonlocal size
        reservation.use(len(piece))
        pieces.append(piece)
        size += len(piece)
        if size > size_max_bytes:
            raise TooLarge

    # Both sizes count: empty members take their time, though nothing comes out of them.
    if len(octets) <= _AT_ONCE_BYTES:
        keep(members.read(_AT_ONCE_BYTES))
        if size < _AT_ONCE_BYTES:
            return pieces[0]
    loop = asyncio.get_running_loop()
    async with _TURNS:
        while piece := await loop.run_in_executor(_THREADS, members.read, _PIECE_BYTES):
            keep(piece)
    return b"".join(pieces)
