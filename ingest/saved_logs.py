"""Reads saved ``heroku logs`` output and frames it again, as Heroku would have sent it to a drain.

A line ``2020-11-16T08:49:12.893283+00:00 heroku[router]: message`` becomes one frame. A blank line carries
nothing and is only counted. Any other line goes into the body as it is: the receiver stores such bytes with
the reason why they are no frame, so nothing of the file is lost. Memory stays bounded for any file.
"""

from __future__ import annotations

import gzip
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Heroku cuts lines at 10,000 bytes. A longer one is no log line; cutting it here keeps memory bounded.
LINE_MAX_BYTES: Final = 1_048_576

_COLOUR: Final = rb"(?:\x1b\[[0-9;]*m)*"
_HEAD: Final = re.compile(
    # No colour is taken off after the blank: there the message begins, and its colours are the app's.
    rb"C(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d))C C"
    rb"([^\s\[\]\x1b]+)\[([^\s\[\]\x1b]+)\]C:C(?: |(?=\r?\n?\Z))".replace(b"C", _COLOUR)
)
_COLOURS: Final = re.compile(rb"\x1b\[[0-9;]*m")
_DYNO: Final = re.compile(rb"[A-Za-z0-9_-]+\.\d+$")


class SavedLogError(ValueError):
    """The file cannot be read as text or gzip; the message says what to try."""


@dataclass(frozen=True, slots=True)
class SavedBody:
    """About 100 KB of the file, framed. ``lines`` counts the lines carried (a line over 1 MiB counts once per
    MiB), ``blank_lines`` those left out since the body before; the last body may be empty but for these."""

    body: bytes
    lines: int
    blank_lines: int


def bodies(path: Path, target_bytes: int = 102_400) -> Iterator[SavedBody]:
    """Yields the file as bodies of at most ``target_bytes`` (a longer line goes alone), in order.

    gzip is recognised by its first bytes, not by the name. SavedLogError if gzip data is damaged.
    """
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        try:
            yield from _bodies(gzip.GzipFile(fileobj=raw) if packed else raw, target_bytes)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise SavedLogError(f"{path.name} is not whole gzip data; copy or compress it again") from error


def _bodies(source: BinaryIO | gzip.GzipFile, target_bytes: int) -> Iterator[SavedBody]:
    held: list[bytes] = []
    size = blank = 0
    for piece in _framed(source):
        if piece is None:
            blank += 1
            continue
        if size + len(piece) > target_bytes and held:
            yield SavedBody(b"".join(held), len(held), blank)
            held, size, blank = [], 0, 0
        held.append(piece)
        size += len(piece)
    if held or blank:
        yield SavedBody(b"".join(held), len(held), blank)


def _framed(source: BinaryIO | gzip.GzipFile) -> Iterator[bytes | None]:
    """One item per line: its frame, its bytes when it has no head, None when it is blank."""
    head: bytes | None = None
    inside = False
    first = True
    while line := source.readline(LINE_MAX_BYTES):
        if first:
            line = line.removeprefix(b"\xef\xbb\xbf")
            first = False
        whole = line.endswith(b"\n")
        if inside:  # the next piece of a line over the limit: Heroku, too, repeats the head for each piece
            yield _frame(head, line.rstrip(b"\r\n")) if head else line
        elif not line.strip():
            yield None
        else:
            head, message = _parse(line)
            yield _frame(head, message) if head else line
        inside = not whole


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
