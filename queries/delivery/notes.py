"""Where state lies: a small file beside the tables of the lake, because a dyno's own disk is scratch."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Notes(Protocol):
    """Small files that all processes share (a lake is one); each is put whole or not at all, and no change is lost."""

    def note(self, name: str) -> bytes | None:
        """A note; None if it is not there."""

    def change_note(self, name: str, change: Callable[[bytes | None], bytes]) -> bytes:
        """Put what ``change`` makes of a note. It is called again when another process was first."""


class NoteError(Exception):
    """A note is not what this version wrote; the message is a sentence and, after "; ", one thing to try."""


def read(name: str, data: bytes | None, version: int) -> dict[str, Any] | None:
    """The object in a note, None where there is none yet; raises :class:`NoteError` instead of guessing.

    A note of a newer version is refused: what this one would write over it could be lost.
    """
    if data is None:
        return None
    try:
        found = json.loads(data)
        theirs = found["version"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise damaged(name) from None
    if not isinstance(theirs, int) or theirs < 1:
        raise damaged(name)
    if theirs > version:
        raise NoteError(f"the lake's {name} was written by a newer drainlake; update this one")
    return dict(found)


def damaged(name: str) -> NoteError:
    """The refusal of a note that cannot be read."""
    return NoteError(f"the lake's {name} is damaged and was left as it is; move it away, then a new one is begun")


def time_text(at: datetime) -> str:
    """An instant as it stands in a note."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def time_of(text: str) -> datetime:
    """The instant; raises ValueError for what has no zone."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("an instant needs a zone")
    return at.astimezone(UTC)
