"""Reads log files in bodies, as deliveries bring them: saved ``heroku logs`` output framed again, others as they are.

A line ``2020-11-16T08:49:12.893283+00:00 heroku[router]: message`` of saved output becomes one frame, as Heroku would
have sent it to a drain. Any other line goes into the body as it is: such bytes are stored with the reason why they are
no frame, line by line where a file is imported. Heroku prints a head on every line, so one without it continues none.
Files of load balancers and web servers are not framed at all, their bodies hold whole lines.
A blank line carries nothing and is only counted. So nothing of a file is lost, and memory stays bounded for any file.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader
    from pathlib import Path

# Heroku cuts lines at 10,000 bytes. A longer one is no log line; cutting it here keeps memory bounded.
LINE_MAX_BYTES: Final = 1_048_576
BODY_BYTES: Final = 102_400

_COLOUR: Final = rb"(?:\x1b\[[0-9;]*m)*"
_HEAD: Final = re.compile(
    # No colour is taken off after the blank: there the message begins, and its colours are the app's.
    rb"C(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d))C C"
    rb"([^\s\[\]\x1b]+)\[([^\s\[\]\x1b]+)\]C:C(?: |(?=\r?\n?\Z))".replace(b"C", _COLOUR)
)
_COLOURS: Final = re.compile(rb"\x1b\[[0-9;]*m")
_DYNO: Final = re.compile(rb"[A-Za-z0-9_-]+\.\d+$")
_GZIP: Final = b"\x1f\x8b"
_DAMAGED: Final = (EOFError, gzip.BadGzipFile, zlib.error)
_PACKED: Final = {b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


class SavedLogError(ValueError):
    """The file cannot be read as text or gzip; the message says what to try."""


@dataclass(frozen=True, slots=True)
class SavedBody:
    """About 100 KB of the file. ``lines`` counts the lines carried (a line over 1 MiB counts once per MiB),
    ``blank_lines`` those left out since the body before; the last body may be empty but for these.

    A body that is ``cut`` is a part of such a long line in a file that is not framed. ``position`` says how many bytes
    of the file, as it lies on the disk, were read so far."""

    body: bytes
    lines: int
    blank_lines: int
    cut: bool = False
    position: int = field(default=0, compare=False)


def bodies(path: Path, target_bytes: int = BODY_BYTES, *, framed: bool = True) -> Iterator[SavedBody]:
    """Yields the file as bodies of at most ``target_bytes`` (a longer line goes alone), in order.

    gzip is recognised by its first bytes, not by the name. SavedLogError if gzip data is damaged, if the file is
    packed in another way, or if it cannot be read.
    """
    with opened(path) as (raw, source):
        for body in _bodies(_framed(source) if framed else _as_they_are(source), target_bytes):
            yield SavedBody(*body, position=raw.tell())


def chunks(path: Path, target_bytes: int) -> Iterator[tuple[bytes, bool, int]]:
    """Yields the file as it is, cut at ends of lines: about ``target_bytes``, whether it is cut within a line, and how
    many bytes of the file were read so far. For who wants whole lines by the megabyte and counts blank ones itself.

    A line of more than ``target_bytes`` comes in pieces that are cut, the last of them too: none may pass for a line.
    SavedLogError as for :func:`bodies`, after all whole lines before the place where gzip data is damaged.
    """
    octets = bytearray(target_bytes)
    view, held, inside = memoryview(octets), 0, False
    damage: Exception | None = None
    with opened(path) as (raw, source):
        while damage is None:
            size, damage = _fill(source, view, held)
            if not size:
                break
            begin = 0
            if inside:
                newline = octets.find(b"\n", 0, size) + 1
                begin, inside = newline or size, not newline
                yield bytes(view[:begin]), True, raw.tell()
            is_last = size < target_bytes and damage is None
            end = size if is_last else octets.rfind(b"\n", begin, size) + 1
            if not end and not begin and damage is None:
                end, inside = size, True
            if end > begin:
                yield bytes(view[begin:end]), inside, raw.tell()
            held = size - max(begin, end)
            view[:held] = view[size - held : size]
        if damage is not None:
            raise damage


def _fill(source: BufferedReader | gzip.GzipFile, buffer: memoryview, held: int) -> tuple[int, Exception | None]:
    """Fill a buffer behind what it holds; how much it holds then, 0 when all is given, and what ended it early.

    Read piece by piece (`readinto1`): a call that is to fill all of it loses what it unpacked before the damage.
    """
    size = held
    try:
        while size < len(buffer) and (count := source.readinto1(buffer[size:])):
            size += count
    except _DAMAGED as damage:
        return size, damage
    return size, None


@contextmanager
def opened(path: Path) -> Iterator[tuple[BufferedReader, BufferedReader | gzip.GzipFile]]:
    """The file as it lies on the disk, and its text."""
    try:
        with path.open("rb") as raw:
            yield raw, _unpacked(raw, path.name)
    except _DAMAGED as error:
        how = "is cut off, it is" if isinstance(error, EOFError) else "is"
        raise SavedLogError(f"{path.name} {how} not whole gzip data; copy or compress it again") from error
    except OSError as error:
        raise SavedLogError(f"{path.name} cannot be read: {error.strerror}; check its permissions and disk") from error


def _unpacked(raw: BufferedReader, name: str) -> BufferedReader | gzip.GzipFile:
    first = raw.read(8)
    raw.seek(0)
    for magic, packing in _PACKED.items():
        if first.startswith(magic):
            raise SavedLogError(f"{name} is packed with {packing}; unpack it, or pack it with gzip")
    return gzip.GzipFile(fileobj=raw) if first.startswith(_GZIP) else raw


def reframed(octets: bytes) -> bytes:
    """Lines of saved ``heroku logs`` output as one body, as far as they are that."""
    return b"".join(piece for piece, _ in _framed(io.BytesIO(octets)) if piece is not None)


def _bodies(lines: Iterator[tuple[bytes | None, bool]], target_bytes: int) -> Iterator[tuple[bytes, int, int, bool]]:
    held: list[bytes] = []
    size = blank = 0
    for piece, cut in lines:
        if piece is None:
            blank += 1
            continue
        if held and (cut or size + len(piece) > target_bytes):
            yield b"".join(held), len(held), blank, False
            held, size, blank = [], 0, 0
        if cut:
            yield piece, 1, blank, True
            blank = 0
            continue
        held.append(piece)
        size += len(piece)
    if held or blank:
        yield b"".join(held), len(held), blank, False


def _lines(source: BinaryIO | gzip.GzipFile) -> Iterator[tuple[bytes, bool, bool]]:
    """Each line or piece of a line over the limit, whether it continues one, and whether its end is here."""
    inside = False
    first = True
    while line := source.readline(LINE_MAX_BYTES):
        whole = line.endswith(b"\n") or len(line) < LINE_MAX_BYTES
        yield (line.removeprefix(b"\xef\xbb\xbf") if first else line), inside, whole
        first = False
        inside = not whole


def _framed(source: BinaryIO | gzip.GzipFile) -> Iterator[tuple[bytes | None, bool]]:
    """One item per line: its frame, its bytes when it has no head, None when it is blank."""
    head: bytes | None = None
    for line, inside, _ in _lines(source):
        if inside:  # the next piece of a line over the limit: Heroku, too, repeats the head for each piece
            yield (_frame(head, line.rstrip(b"\r\n")) if head else line), False
        elif not line.strip():
            yield None, False
        else:
            head, message = _parse(line)
            yield (_frame(head, message) if head else line), False


def _as_they_are(source: BinaryIO | gzip.GzipFile) -> Iterator[tuple[bytes | None, bool]]:
    """One item per line: its bytes, None when it is blank; and whether it is a piece of a line over the limit."""
    for line, inside, whole in _lines(source):
        cut = inside or not whole
        yield (line if cut or line.strip() else None), cut


def _frame(head: bytes, message: bytes) -> bytes:
    return b"%d %b%b" % (len(head) + len(message), head, message)


def _parse(line: bytes) -> tuple[bytes | None, bytes]:
    """The syslog head up to the message, or None, and the message without its line end."""
    match = _HEAD.match(line)
    if match is None:
        return None, line
    timestamp, app, process = match.groups()
    message = line[match.end() :].removesuffix(b"\n").removesuffix(b"\r")
    if line.startswith(b"\x1b") and app == b"heroku":
        # The command line client colours the fields of Heroku's own lines too.
        message = _COLOURS.sub(b"", message)
    return b"<%d>1 %b host %b %b - " % (_pri(app, process, message), timestamp, app, process), message


def _pri(app: bytes, process: bytes, message: bytes) -> int:
    """The priority Heroku gives such a line; nothing reads it, but the frame shall look like the real one."""
    if app == b"heroku":
        return {b"router": 134 if b" protocol=http1" in message or b" protocol=http2" in message else 158}.get(
            process, 172 if process == b"logplex" else 45
        )
    return 190 if _DYNO.match(process) else 134
