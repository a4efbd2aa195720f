"""How DuckDB reads a lake on S3: through its own httpfs where that is installed, else through a file system of ours.

Nothing is ever installed: where ``LOAD httpfs`` works it is used, with a secret in memory. Elsewhere DuckDB reads by a
registered fsspec file system, which lists, and reads ranges. (The ones of obstore and s3fs do not do: DuckDB finds
no files through the first, and the second brings a client of its own.)

A file of the lake can be replaced while a query reads it, and stays readable all the same: a new version keeps the
bytes of the one before at their places for a while. That needs a footer that is whole, so size and end of an object
are fetched in one request and belong together. They are as new as the listing that found the file, or newer: an older
end of a file beside a younger file would be a lake that never was. It also makes httpfs' check for changed objects
needless, and harmful, since it fails the query.
"""

from __future__ import annotations

import fnmatch
import glob
import re
import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import SEEK_CUR, SEEK_END, RawIOBase, UnsupportedOperation
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

import duckdb
from fsspec import AbstractFileSystem

from queries.literals import literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Buffer

TAIL_BYTES: Final = 64 << 10  # the footer of a full file takes some 45 KB
TAILS_MAX: Final = 512
TAIL_THREADS: Final = 16  # a query reads all footers first, and each costs a round trip
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Found(Protocol):
    """An object of a listing."""

    @property
    def key(self) -> str:
        """Its key, counted from the prefix."""

    @property
    def version(self) -> str:
        """What differs when the content does."""


class Piece(Protocol):
    """Bytes of an object from ``start`` on, the whole object's size, and its version."""

    @property
    def data(self) -> bytes:
        """The bytes."""

    @property
    def start(self) -> int:
        """Where they begin."""

    @property
    def size_bytes(self) -> int:
        """The size of the whole object."""

    @property
    def version(self) -> str:
        """What differs when the content does."""


class Objects(Protocol):
    """The objects under the lake's prefix. Its errors say in one sentence what is wrong; many threads use it."""

    @property
    def place(self) -> str:
        """The prefix as ``s3://bucket/prefix``."""

    @property
    def endpoint(self) -> str | None:
        """``http(s)://host:port`` of a store other than Amazon's."""

    @property
    def region(self) -> str:
        """The region that requests are signed for."""

    def credentials(self) -> tuple[str, str, str | None]:
        """Access key, secret key and session token as they are now."""

    def below(self, folder: str) -> Sequence[Found]:
        """All objects below a folder."""

    def children(self, folder: str) -> tuple[Sequence[str], Sequence[Found]]:
        """The folders and the objects right in a folder."""

    def tail(self, key: str, size_bytes: int) -> Piece:
        """The end of an object."""

    def range(self, key: str, start: int, end: int) -> bytes:
        """Bytes [start, end) of an object."""


def make_readable(connection: duckdb.DuckDBPyConnection, objects: Objects) -> None:
    """Let a connection and its cursors read ``s3://`` paths of the lake; the secret stays in memory."""
    # DuckDB's cache keeps one size a path. Of two queries at once the older one would take the size of a version that
    # the younger one has met, and look for its footer there.
    connection.execute("SET GLOBAL enable_external_file_cache = false")
    if _loads_httpfs(connection):
        connection.execute(secret_statement(objects))
        # A replaced file keeps the bytes of the version before: reading on is right, failing is not.
        connection.execute("SET GLOBAL unsafe_disable_etag_checks = true")
    elif "s3" not in connection.list_filesystems():
        connection.register_filesystem(LakeFiles(objects))


def _loads_httpfs(connection: duckdb.DuckDBPyConnection) -> bool:
    with suppress(duckdb.Error):
        connection.execute("LOAD httpfs")
        return True
    return False


def secret_statement(objects: Objects) -> str:
    """The CREATE SECRET for httpfs, for the lake's prefix alone."""
    key, secret, token = objects.credentials()
    values = {"KEY_ID": key, "SECRET": secret, "REGION": objects.region, "SCOPE": objects.place}
    if token:
        values["SESSION_TOKEN"] = token
    fields = [f"{name} {literal(value)}" for name, value in values.items()]
    if objects.endpoint:
        scheme, _, host = objects.endpoint.partition("://")
        fields += [f"ENDPOINT {literal(host)}", "URL_STYLE 'path'", f"USE_SSL {str(scheme == 'https').lower()}"]
    return f"CREATE OR REPLACE SECRET drainlake (TYPE s3, {', '.join(fields)})"


class LakeFiles(AbstractFileSystem):  # type: ignore[misc]
    """The lake's objects as DuckDB wants to see files: globs, sizes, reading at places. Nothing can be written."""

    protocol: ClassVar[str] = "s3"
    cachable: ClassVar[bool] = False  # each lake has its own credentials

    def __init__(self, objects: Objects) -> None:
        super().__init__()
        self._objects = objects
        self._root = objects.place.removeprefix("s3://") + "/"
        self._tails: OrderedDict[str, Future[Piece]] = OrderedDict()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(TAIL_THREADS, "lake-footers")
        self._opened = threading.local()

    def glob(self, path: str, **_: object) -> list[str]:
        """The files that match, in order; begins to read their footers, which DuckDB asks for next."""
        self._opened.last = None
        pattern = self._strip_protocol(path)
        patterns = pattern.split("/")
        folder = self._key(literal_folder(pattern), within=pattern)
        found = [each for each in self._objects.below(folder) if matches((self._root + each.key).split("/"), patterns)]
        for each in found[:TAILS_MAX]:
            self._tail(each.key, each.version)
        return [self._root + each.key for each in found]

    def info(self, path: str, **_: object) -> dict[str, object]:
        """Name, type and size; of a file that this thread has opened last, as it was then."""
        piece = self._piece_of(path)
        return {"name": self._strip_protocol(path), "type": "file", "size": piece.size_bytes}

    def modified(self, path: str) -> datetime:
        """A time that differs when the content does, by which DuckDB tells whether what it cached is still good.

        S3's own time has whole seconds, in which a file may be replaced twice.
        """
        digest = sha256(self._piece_of(path).version.encode()).digest()
        return EPOCH + timedelta(seconds=int.from_bytes(digest[:4], "big") % 10**9)

    def _open(self, path: str, mode: str = "rb", **_: object) -> LakeReader:
        if mode != "rb":
            raise PermissionError(f"{path} is in the lake, which only landing writes; write to a local file.")
        key = self._key(path)
        piece = self._tail(key)
        self._opened.last = (key, piece)
        return LakeReader(self._objects, key, piece)

    def _piece_of(self, path: str) -> Piece:
        """DuckDB asks a path for the size and time of the file it has just opened: they must be that file's."""
        key = self._key(self._strip_protocol(path))
        last = getattr(self._opened, "last", None)
        return last[1].result() if last is not None and last[0] == key else self._tail(key).result()

    def _tail(self, key: str, version: str | None = None) -> Future[Piece]:
        """The end of an object, being fetched or fetched before; what is not of the version listed just now is not."""
        with self._lock:
            piece = self._tails.pop(key, None)
            if piece is None or not _serves(piece, version):
                piece = self._pool.submit(self._objects.tail, key, TAIL_BYTES)
            self._tails[key] = piece
            while len(self._tails) > TAILS_MAX:
                self._tails.popitem(last=False)
        return piece

    def _key(self, path: str, within: str | None = None) -> str:
        if not (path + "/").startswith(self._root):
            raise FileNotFoundError(f"s3://{within or path} is not in the lake; read what is in s3://{self._root}.")
        return path[len(self._root) :]


class LakeReader(RawIOBase):
    """One object, read at places: its end from what was fetched to open it, else by ranges.

    Threads share a reader of DuckDB's; each has its own position, since seeking and reading are two calls.
    """

    def __init__(self, objects: Objects, key: str, piece: Future[Piece]) -> None:
        super().__init__()
        self._objects = objects
        self._key = key
        self._piece = piece
        self._local = threading.local()

    @property
    def size(self) -> int:
        """Bytes of the version that was opened."""
        return self._piece.result().size_bytes

    def seekable(self) -> bool:
        """It is."""
        return True

    def readable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """This thread's position."""
        return getattr(self._local, "position", 0)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move this thread's position."""
        base = {SEEK_CUR: self.tell(), SEEK_END: self.size}[whence] if whence else 0
        self._local.position = base + offset
        return self.tell()

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, fewer at the end only."""
        start = self.tell()
        end = self.size if size < 0 else min(start + size, self.size)
        if start >= end:
            return b""
        self._local.position = end
        piece = self._piece.result()
        end_of_head = min(end, piece.start)
        if start >= end_of_head:
            return piece.data[start - piece.start : end - piece.start]
        # DuckDB reads whole blocks. If the object was replaced by a shorter one, what it wants is there, the rest not.
        head = self._objects.range(self._key, start, end_of_head).ljust(end_of_head - start, b"\0")
        return head + piece.data[: end - end_of_head]

    def readinto(self, buffer: Buffer, /) -> int:
        """As :meth:`read`."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def write(self, _data: Buffer, /) -> int:
        """Never."""
        raise UnsupportedOperation("the lake is only read")


def _serves(piece: Future[Any], version: str | None) -> bool:
    if not piece.done():
        return version is None  # it may have been asked for before the listing
    return piece.exception() is None and version in {None, piece.result().version}


def matches(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    """Whether folders and name fit the patterns, one each; ``**`` stands for any number of them."""
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return matches(parts, patterns[1:]) or (bool(parts) and matches(parts[1:], patterns))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], patterns[0]) and matches(parts[1:], patterns[1:])


def literal_folder(pattern: str) -> str:
    """The folders that a pattern begins with and that are no patterns, written without their escapes."""
    found = []
    for part in pattern.split("/")[:-1]:
        plain = re.sub(r"\[([*?[])\]", r"\1", part)
        if glob.escape(plain) != part and glob.has_magic(part):
            break
        found.append(plain)
    return "/".join(found)
