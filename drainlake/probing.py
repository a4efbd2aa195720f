"""Asking a site itself whether it compresses: one GET that offers encodings, and one that does not.

Only the host that the user named is asked: redirects are not followed. Paths come from logs, so strangers chose them;
they are sent percent-encoded, in the request line only. Each answer is bounded in time and size.
"""

from __future__ import annotations

import http.client
import io
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

from drainlake import __version__, site_files

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence

    from _typeshed import WriteableBuffer

ANSWER_SECONDS: Final = 10.0
BODY_MAX_BYTES: Final = 20 << 20
PAUSE_SECONDS: Final = 0.1
SILENCES_MAX: Final = 3
OFFER: Final = "gzip, br, zstd"
ENCODINGS: Final = frozenset({"gzip", "br", "zstd", "deflate"})
AGENT: Final = f"drainlake/{__version__} (is it compressed?)"
_READ_BYTES: Final = 1 << 16


@dataclass(frozen=True)
class Site:
    """Where to ask: ``http`` or ``https``, a host, and its port."""

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Site:
        """The site of a URL such as ``https://shop.example.com``; raises ValueError for any other text."""
        url = urlsplit(text)
        extra = url.username is not None or url.path not in {"", "/"} or url.query or url.fragment
        odd = url.port == 0 or " " in url.netloc or not url.netloc.isprintable()
        if url.scheme not in {"http", "https"} or not url.hostname or extra or odd:
            raise ValueError("must be a site, such as https://shop.example.com, without path or password")
        return cls(url.scheme, url.hostname, url.port or (443 if url.scheme == "https" else 80))

    def connect(self) -> http.client.HTTPConnection:
        """A connection that is opened with the first request."""
        kind = http.client.HTTPSConnection if self.scheme == "https" else http.client.HTTPConnection
        connection = kind(self.host, self.port, timeout=ANSWER_SECONDS)
        connection.response_class = _Answer
        return connection


class _Received(io.RawIOBase):
    """What a socket receives until the answer's time is over; then TimeoutError, however little comes at a time."""

    def __init__(self, received: socket.socket) -> None:
        self._socket = received
        self._raw = received.makefile("rb", buffering=0)
        self._until = time.monotonic() + ANSWER_SECONDS

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """An answer whose head, body and trailers come within ``ANSWER_SECONDS`` in all."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp.close()
        self.fp = io.BufferedReader(_Received(sock))


class NoAnswer(Exception):  # noqa: N818 - its text is shown in the place of an answer
    """The site gave no answer that tells anything."""


class Silence(NoAnswer):
    """It gave none at all."""


def ask_all(site: Site, paths: Sequence[str], show: Callable[[int], None]) -> Iterator[dict[str, Any]]:
    """What the site answers, path after path; ends early when it is silent three times in a row."""
    silent = 0
    for number, path in enumerate(paths):
        if number:
            time.sleep(PAUSE_SECONDS)
        fact, answered = ask(site, path)
        yield fact
        show(number + 1)
        silent = 0 if answered else silent + 1
        if silent == SILENCES_MAX:
            return


def ask(site: Site, path: str) -> tuple[dict[str, Any], bool]:
    """``path``, ``answer``, ``plain_bytes`` and ``compressed_bytes`` of one path, and whether there was an answer.

    ``answer`` is 'uncompressed', one of ``ENCODINGS``, or says why neither is known; then both sizes are None. Of an
    uncompressed answer the compressed size is computed.
    """
    fact: dict[str, Any] = {"path": path, "answer": "", "plain_bytes": None, "compressed_bytes": None}
    try:
        encoding, body = _get(site, path, OFFER)
        if encoding in ENCODINGS:
            return fact | {
                "answer": encoding,
                "plain_bytes": _plain_bytes(site, path),
                "compressed_bytes": len(body),
            }, True
        if encoding != "identity":
            raise NoAnswer(f"encoding {encoding[:20]}")
        if len(body) <= site_files.FILE_MIN_BYTES:
            raise NoAnswer(f"{len(body)} bytes only")
    except NoAnswer as error:
        return fact | {"answer": str(error)}, not isinstance(error, Silence)
    packed = site_files.packed_bytes([body])
    return fact | {"answer": "uncompressed", "plain_bytes": len(body), "compressed_bytes": packed}, True


def _plain_bytes(site: Site, path: str) -> int | None:
    try:
        encoding, body = _get(site, path, "identity")
    except NoAnswer:
        return None
    return len(body) if encoding == "identity" else None


def _get(site: Site, path: str, offer: str) -> tuple[str, bytes]:
    """The content encoding and the body of a whole answer with status 200; raises :class:`NoAnswer` for any other."""
    connection = site.connect()
    try:
        headers = {"Accept-Encoding": offer, "User-Agent": AGENT, "Connection": "close"}
        connection.request("GET", quote(path, safe="/!$&'()*+,;=:@~"), headers=headers)
        response = connection.getresponse()
        if response.status != 200:
            raise NoAnswer(f"status {response.status}")
        encoding = response.getheader("Content-Encoding", "identity").strip().lower().removeprefix("x-")
        return encoding, _body(response)
    except TimeoutError:
        raise Silence("no answer in time") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Silence(f"no answer ({type(error).__name__})") from None
    finally:
        connection.close()


def _body(response: http.client.HTTPResponse) -> bytes:
    body = bytearray()
    while some := response.read1(_READ_BYTES):
        body += some
        if len(body) > BODY_MAX_BYTES:
            raise NoAnswer("too large")
    if response.length:
        raise NoAnswer("cut off")
    return bytes(body)
