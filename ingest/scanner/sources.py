"""What the scanner is compiled from, and how. The build runs this file alone, so it imports nothing of drainlake."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_FLAGS: Final = ("-std=gnu11", "-O3", "-shared", "-fPIC")
_SAME_EVERYWHERE: Final = "-ffp-contract=off"  # else some machines round a product and a sum at once


def digest(folder: Path) -> str:
    """A name for the sources in a folder, which a library compiled from them bears.

    A library of other sources must not be loaded: its structures can differ, and then memory is read at random.
    """
    sources = sorted([*folder.glob("*.c"), *folder.glob("*.h")])
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()


def command(compiler: str, folder: Path, library: Path, more: tuple[str, ...] = ()) -> list[str]:
    """How the library is made of the sources in a folder."""
    name = f'-DSOURCES="{digest(folder)}"'
    return [compiler, *_FLAGS, _SAME_EVERYWHERE, *more, name, "-o", str(library), str(folder / "scan.c")]
