"""The file that a user names for an answer: whole or not at all, and nothing is replaced that is no file."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def write_file(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Put what ``write`` gives at ``path``, or where that leads as a link; raises OSError.

    A device or a pipe takes it as it comes: to put a file in the place of /dev/null would break the machine.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as sink:
            write(sink)
        return
    from transforms.durable import publish  # noqa: PLC0415 - for a file only

    def fill(temporary: Path) -> None:
        with temporary.open("wb") as sink:
            write(sink)

    place = path.resolve()
    publish(place, place.parent, fill)
