"""Where deliveries go: a URL over HTTP/1.1 with keep-alive, or a file of JSON lines.

The HTTP client is as narrow as Logplex's: one request in flight, no redirects, only replies that state their
length, and a reply line that has a blank after the status. A receiver that passes here does not lean on a
friendlier client.
"""

from __future__ import annotations

import base64
import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, Self
from urllib.parse import unquote, urlsplit

from ingest.simulator.delivery_file import as_line
from ingest.simulator.framing import drain_token, headers

if TYPE_CHECKING:
    from ingest.simulator.framing import Delivery

CONNECT_SECONDS: Final = 3.0
REQUEST_SECONDS: Final = 5.0
REPLY_HEAD_MAX_BYTES: Final = 65_536
REPLY_BODY_MAX_BYTES: Final = 1_048_576


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one POST: a status, or the problem ('timeout', 'socket error', 'unparsable reply',
    'unreachable'); ``ms`` from the first byte sent to the end of the reply, ``detail`` why unreachable."""

    status: int | None
    problem: str
    ms: float
    detail: str = ""

    @property
    def outcome(self) -> str:
        """The status as text, or the problem: the key the ledger counts under."""
        return self.problem if self.status is None else str(self.status)


class Target(Protocol):
    """A place that takes deliveries one at a time."""

    def post(self, delivery: Delivery) -> Reply:
        """Sends one delivery and waits for the answer; never raises for what the far side does."""
        ...

    def close(self) -> None:
        """Gives the connection or file back."""
        ...


@dataclass(frozen=True, slots=True)
class DrainUrl:
    """A drain URL taken apart; user and password are percent-decoded."""

    secure: bool
    host: str
    port: int
    path: str
    authority: str
    authorization: str | None

    @classmethod
    def parse(cls, url: str) -> Self:
        """Reads ``http(s)://user:password@host:port/path?query``. ValueError says what to write instead."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{parts.scheme or 'no scheme'}: not a drain URL; write http(s)://user:secret@host/logs")
        secure = parts.scheme == "https"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        authority = parts.netloc.rpartition("@")[2]
        return cls(
            secure,
            parts.hostname,
            parts.port or (443 if secure else 80),
            path,
            authority,
            _basic(parts.username, parts.password),
        )


def _basic(user: str | None, password: str | None) -> str | None:
    if user is None:
        return None
    pair = f"{unquote(user)}:{unquote(password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


class HttpTarget:
    """Posts deliveries over one kept-alive connection.

    ``verify`` is off by default because Logplex does not check the certificates of HTTPS drains; with it on,
    ``ca_file`` may name the authority to trust.
    """

    def __init__(
        self, url: str, *, token: str | None = None, verify: bool = False, ca_file: Path | None = None
    ) -> None:
        self._url = DrainUrl.parse(url)
        self._token = token or drain_token(url)
        self._tls = _tls(verify, ca_file) if self._url.secure else None
        self._socket: socket.socket | None = None
        self.connections = 0
        """How many connections were opened; 1 as long as keep-alive holds."""

    def post(self, delivery: Delivery) -> Reply:
        """See :class:`Target`. 'unreachable': no connection came about, which is not a try to Logplex."""
        try:
            open_socket = self._socket or self._connect()
        except OSError as error:
            return Reply(None, "unreachable", 0.0, str(error))
        self._socket = open_socket
        started = time.perf_counter()
        reply = _exchange(open_socket, self._request(delivery))
        if not reply.keep:
            self.close()
        return Reply(reply.status, reply.problem, (time.perf_counter() - started) * 1000)

    def close(self) -> None:
        """Closes the connection; the next post opens a new one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _request(self, delivery: Delivery) -> bytes:
        fields = headers(self._url.authority, self._url.authorization, self._token, delivery)
        head = "".join(f"{name}: {value}\r\n" for name, value in fields)
        return f"POST {self._url.path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + delivery.body

    def _connect(self) -> socket.socket:
        plain = socket.create_connection((self._url.host, self._url.port), timeout=CONNECT_SECONDS)
        self.connections += 1
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return self._tls.wrap_socket(plain, server_hostname=self._url.host) if self._tls else plain
        except OSError:
            plain.close()
            raise


def _tls(verify: bool, ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int | None
    problem: str
    keep: bool


_UNPARSABLE: Final = _Answer(None, "unparsable reply", keep=False)


def _exchange(open_socket: socket.socket, request: bytes) -> _Answer:
    """Sends and reads within one deadline, so that a reply that trickles in does not hold the drain up."""
    deadline = time.monotonic() + REQUEST_SECONDS
    try:
        open_socket.settimeout(REQUEST_SECONDS)
        open_socket.sendall(request)
        return _read_reply(open_socket, deadline)
    except TimeoutError:
        return _Answer(None, "timeout", keep=False)
    except OSError:
        return _Answer(None, "socket error", keep=False)


def _receive(open_socket: socket.socket, deadline: float) -> bytes:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    open_socket.settimeout(left)
    data = open_socket.recv(65_536)
    if not data:
        raise ConnectionResetError
    return data


def _read_reply(open_socket: socket.socket, deadline: float) -> _Answer:
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        if len(data) > REPLY_HEAD_MAX_BYTES:
            return _UNPARSABLE
        data += _receive(open_socket, deadline)
    status, length, keep = _parse_head(data[:end])
    if status is None or length > REPLY_BODY_MAX_BYTES:
        return _UNPARSABLE
    body_bytes = len(data) - end - 4
    while body_bytes < length:
        body_bytes += len(_receive(open_socket, deadline))
    # Bytes past the reply would be read as the start of the next one.
    return _Answer(status, "", keep and body_bytes == length and 200 <= status < 300)


def _parse_head(head: bytes) -> tuple[int | None, int, bool]:
    """Status (None if Logplex could not read it), length of the body, and whether the connection lives on."""
    first, *rest = head.split(b"\r\n")
    readable = first.startswith((b"HTTP/1.1 ", b"HTTP/1.0 ")) and first[9:12].isdigit() and first[12:13] == b" "
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in rest)}
    length = fields.get(b"content-length", b"0")
    if not readable or b"transfer-encoding" in fields or not length.isdigit():
        return None, 0, False
    keep = fields.get(b"connection", b"").lower() != b"close" and first.startswith(b"HTTP/1.1")
    return int(first[9:12]), int(length), keep


class FileTarget:
    """Writes deliveries to a file as JSON lines."""

    def __init__(self, path: Path, *, token: str | None = None) -> None:
        self._token = token or drain_token(path.name)
        self._file = path.open("w", encoding="utf-8", newline="\n")

    def post(self, delivery: Delivery) -> Reply:
        """Appends the delivery; a file takes everything, so the answer is always 204."""
        self._file.write(as_line(dict(headers("drain.example.org", None, self._token, delivery)), delivery.body))
        return Reply(204, "", 0.0)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def target(to: str | Path, *, token: str | None = None, verify: bool = False, ca_file: Path | None = None) -> Target:
    """The target a command line names: text with ``://`` is a URL, all else a file path."""
    if isinstance(to, str) and "://" in to:
        return HttpTarget(to, token=token, verify=verify, ca_file=ca_file)
    return FileTarget(Path(to), token=token)
