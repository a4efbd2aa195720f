"""The body of a POST, decompressed, within its size limit."""

from __future__ import annotations

import gzip
import io
import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from starlette.requests import Request

_PLAIN: Final = frozenset({"", "identity"})
_GZIP: Final = frozenset({"gzip", "x-gzip"})


class TooLarge(Exception):  # noqa: N818
    """The body, or what it decompresses to, is over the limit."""


class UnknownEncoding(Exception):  # noqa: N818
    """The body has a content encoding that is not known here."""


async def read(request: Request, size_max_bytes: int) -> bytes:
    """The decompressed body. Bytes that claim to be gzip and are not are returned as they came.

    Raises :class:`TooLarge`, :class:`UnknownEncoding` and what ``request.stream`` raises.
    """
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in _PLAIN | _GZIP:
        raise UnknownEncoding
    if int(request.headers.get("content-length", 0)) > size_max_bytes:
        raise TooLarge
    body = await _collect(request, size_max_bytes)
    return body if encoding in _PLAIN else _gunzip(body, size_max_bytes)


async def _collect(request: Request, size_max_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > size_max_bytes:
            raise TooLarge
        chunks.append(chunk)
    return b"".join(chunks)


def _gunzip(octets: bytes, size_max_bytes: int) -> bytes:
    """All members of a gzip file. Never inflates past the limit, so a bomb costs no more than a large body.

    What is broken or cut short is kept as it came, like any other bytes that cannot be read.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(octets)) as members:
            inflated = members.read(size_max_bytes + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return octets
    if len(inflated) > size_max_bytes:
        raise TooLarge
    return inflated
