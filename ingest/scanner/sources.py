"""What the scanner is compiled from. The build runs this file by itself, so it imports nothing of drainlake."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def digest(folder: Path) -> str:
    """A name for the sources in a folder, which a library compiled from them bears.

    A library of other sources must not be loaded: its structures can differ, and then memory is read at random.
    """
    sources = sorted([*folder.glob("*.c"), *folder.glob("*.h")])
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
