"""Messages that cannot be stored as they came: bytes that are not UTF-8, and secrets.

The rewritten messages are put behind the batch's text and their spans point there; all others keep theirs.
Everything after this step may take any span for valid UTF-8 without a secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ingest import redaction
from ingest.text import Spans, Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.text import Mask, Positions


def storable(text: Text, spans: Spans, commands: Mask) -> tuple[Text, Spans]:
    """The text and the spans with every span valid UTF-8 and free of secrets.

    ``commands`` are the lines in which Heroku itself says which command it starts.
    """
    text, spans = repaired(text, spans)
    return redacted(text, spans, commands)


def printable(octets: bytes) -> str:
    r"""Bytes as text: what is not UTF-8 is written as ``\xFF``, upper case, byte by byte."""
    return octets.decode(errors="surrogateescape").translate(_HEXADECIMAL)


# An error handler of our own would be called for each byte, which takes ten times as long.
_HEXADECIMAL: Final = {0xDC00 + octet: f"\\x{octet:02X}" for octet in range(0x80, 0x100)}


def repaired(text: Text, spans: Spans) -> tuple[Text, Spans]:
    """The text and the spans with every span valid UTF-8."""
    if text.is_ascii:
        return text, spans
    rows = _foreign(text, spans)
    octets = [text.slice(spans.start[row], spans.end[row]) for row in rows]
    broken = np.array([not _is_utf8(message) for message in octets], dtype=np.bool_)
    repaired = [printable(message) for message, bad in zip(octets, broken, strict=True) if bad]
    return replaced(text, spans, rows[broken], repaired)


def _foreign(text: Text, spans: Spans) -> Positions:
    """Which spans hold a byte that is not ASCII."""
    foreign = np.flatnonzero(text.octets >= 128)
    return np.flatnonzero(np.searchsorted(foreign, spans.end) > np.searchsorted(foreign, spans.start))


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True


def redacted(text: Text, spans: Spans, commands: Mask) -> tuple[Text, Spans]:
    """The text and the spans, all valid UTF-8, with every span free of secrets; ``commands`` as for `storable`."""
    rows = np.flatnonzero(redaction.suspects(text, spans, commands))
    found, messages = [], []
    for row in rows.tolist():
        message = text.slice(spans.start[row], spans.end[row]).decode()
        clean = redaction.redact_command(message) if commands[row] else redaction.redact(message)
        if clean != message:
            found.append(row)
            messages.append(clean)
    return replaced(text, spans, np.array(found, dtype=np.int64), messages)


def replaced(text: Text, spans: Spans, rows: Positions, messages: Sequence[str]) -> tuple[Text, Spans]:
    """The text with new messages behind it, and the spans with their rows pointing there."""
    if not len(rows):
        return text, spans
    octets = [message.encode() for message in messages]
    end = text.size + np.cumsum([len(message) for message in octets])
    start = np.append(text.size, end[:-1])
    spans = Spans(spans.start.copy(), spans.end.copy())
    spans.start[rows], spans.end[rows] = start, end
    return text.extended(b"".join(octets)), spans
