"""How the scanner is compiled. The build of the package runs this file alone, so it imports nothing of drainlake.

    python ingest/scanner/building.py

compiles it beside its sources, where drainlake runs from its source tree.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

SOURCES: Final = Path(__file__).parent
LIBRARY: Final = "scanner.so"
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
    return [compiler, *_FLAGS, _SAME_EVERYWHERE, *more, name, "-o", str(library), str(folder / "scan.c"), "-lm"]


def compiled() -> bool:
    """Make the library beside its sources with the first compiler that can; whether one could.

    An older library may be left where none could: it bears the name of other sources, so it is not loaded.
    """
    library = SOURCES / LIBRARY
    made = library.with_suffix(f".{os.getpid()}.so")  # whole or not at all: a process may be about to load it
    for compiler in filter(None, map(shutil.which, ("cc", "gcc", "clang"))):
        try:
            if not subprocess.run(command(compiler, SOURCES, made), check=False).returncode:  # noqa: S603
                made.replace(library)
                return True
        except OSError:  # it is no program of this machine, or another may not be replaced
            made.unlink(missing_ok=True)
    return False


if __name__ == "__main__":
    sys.exit(0 if compiled() else "The scanner was not compiled: lines will be parsed several times slower.")
