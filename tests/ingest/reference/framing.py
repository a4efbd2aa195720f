"""Cuts the body of a delivery into frames and junk, by octet count and never by newline.

Rules (heroku-logs.md 1.2, 11.2, 12.2):

* A *header* stands at p when 1-7 digits, one blank and ``<PRI>1 `` follow there and the count is at least
  as long as ``<PRI>1 ``, so that it can hold it. It *fits* when the counted bytes lie within the body.
* Where a frame ends, the next begins. If no header fits there, the bytes are junk up to the next place
  where one fits. Inside a run of digits only a header that is *proved* is taken (its frame ends at another
  header or at the end of the body): else the last frame of a cut body, ``255 <158>1 …``, would be read as
  ``55 <158>1 …`` and give half a line.
* A frame that fits but is not proved, with a proved header inside it, had a wrong count: its bytes
  up to that inner header are junk.
* Junk that touches junk is one run, with the reason of its first bytes.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# Versions other than 1 occur in the bodies of other senders; RFC 5424 allows up to three digits.
HEADER = re.compile(rb"([0-9]{1,7}) (<[0-9]{1,3}>[0-9]{1,3} )")

NO_COUNT = "no octet count"
COUNT_TOO_SMALL = "count is smaller than the header"
COUNT_EXCEEDS_BODY = "count exceeds the body"
COUNT_EXCEEDS_FRAME = "count runs past the next frame"


class Piece(NamedTuple):
    """A frame or a run of junk: its exact bytes, the counted bytes (empty for junk), why it is junk."""

    raw: bytes
    counted: bytes
    defect: str | None


def split(body: bytes) -> list[Piece]:
    """Cut a body into pieces; their ``raw`` bytes joined are the body again."""
    pieces: list[Piece] = []
    position = 0
    while position < len(body):
        end = _frame_end(body, position)
        if end is None:
            following, defect = _next_place(body, position), _why_junk(body, position)
        elif (inner := _proved_inside(body, position, end)) is not None:
            following, defect = inner, COUNT_EXCEEDS_FRAME
        else:
            following, defect = end, None
        _append(pieces, body, position, following, defect)
        position = following
    return pieces


def _append(pieces: list[Piece], body: bytes, start: int, end: int, defect: str | None) -> None:
    raw = body[start:end]
    if defect is None:
        pieces.append(Piece(raw, raw.split(b" ", 1)[1], None))
    elif pieces and pieces[-1].defect is not None:
        pieces[-1] = pieces[-1]._replace(raw=pieces[-1].raw + raw)
    else:
        pieces.append(Piece(raw, b"", defect))


def _header(body: bytes, position: int) -> tuple[int, int] | None:
    """Where the counted bytes of the header at this position begin and end; None if there is no header."""
    match = HEADER.match(body, position)
    if match is None or int(match[1]) < len(match[2]):
        return None
    return match.start(2), match.start(2) + int(match[1])


def _frame_end(body: bytes, position: int) -> int | None:
    header = _header(body, position)
    return header[1] if header is not None and header[1] <= len(body) else None


def _proved_end(body: bytes, position: int) -> int | None:
    """The end of the frame here if it meets another header or the end of the body."""
    end = _frame_end(body, position)
    return end if end is not None and (end == len(body) or _header(body, end) is not None) else None


def _proved_inside(body: bytes, start: int, end: int) -> int | None:
    """The first proved header within a frame that is not proved itself."""
    if _proved_end(body, start) is not None:
        return None
    return next((at for at in range(start + 1, end) if _proved_end(body, at) is not None), None)


def _next_place(body: bytes, position: int) -> int:
    for place in range(position + 1, len(body)):
        within_digits = body[place - 1 : place].isdigit()
        if (_proved_end if within_digits else _frame_end)(body, place) is not None:
            return place
    return len(body)


def _why_junk(body: bytes, position: int) -> str:
    if HEADER.match(body, position) is None:
        return NO_COUNT
    return COUNT_TOO_SMALL if _header(body, position) is None else COUNT_EXCEEDS_BODY
