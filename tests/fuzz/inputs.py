"""How a target's bytes are read: parts between separators, and the frames they are put into."""

from __future__ import annotations

from typing import Final

SEPARATOR: Final = b"\0\xfe\0"
PARTS_MAX: Final = 24  # the reference parsers are slow by design


def parts(data: bytes) -> list[bytes]:
    """The parts of an input; those beyond the limit are left out."""
    return data.split(SEPARATOR)[:PARTS_MAX]


def framed(counted: bytes) -> bytes:
    """Counted bytes with a right count in front."""
    return b"%d %b" % (len(counted), counted)


def head(app: str, process: str) -> bytes:
    """The header of a frame up to its message."""
    return f"<190>1 2026-11-23T13:15:33.512345+00:00 host {app} {process} - ".encode()
