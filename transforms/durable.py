"""How a file appears in the lake, and how a folder leaves it: the only module that renames anything.

A file is written under a unique temporary name in a scratch folder of the same file system, outside the
globs of readers, then fsynced, then renamed onto its final name, then the folder is fsynced. So a reader
sees the old file or the new one, whole, and after a power cut one of the two is there. A kill leaves at
most a temporary behind, which :func:`sweep` removes.

Not promised: order between two files. Whoever needs it publishes one after the other.
"""

from __future__ import annotations

import os
import shutil
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Fault = Callable[[str], None]


def no_fault(point: str) -> None:
    """Let the work go on. Tests pass a function that raises or kills at a named point instead."""


def publish(target: Path, scratch: Path, write: Callable[[Path], None], fault: Fault = no_fault) -> None:
    """Put a file at ``target``, replacing what was there, all of it or nothing.

    ``write`` gets the temporary path and fills it. Any error removes the temporary and is raised on.
    """
    make_folder(scratch)
    make_folder(target.parent)
    temporary = _unique(scratch)
    try:
        write(temporary)
        _sync(temporary)
        fault("temporary written")
        temporary.replace(target)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(target)  # a full disk does not say which it is
        raise
    fault("renamed")
    _sync(target.parent)


def publish_bytes(target: Path, scratch: Path, data: bytes) -> None:
    """Put these bytes at ``target``, as :func:`publish` does."""

    def write(temporary: Path) -> None:
        temporary.write_bytes(data)

    publish(target, scratch, write)


def discard_folder(folder: Path, scratch: Path) -> None:
    """Take a whole folder away: out of the readers' globs by one rename, then file by file."""
    make_folder(scratch)
    outside = _unique(scratch)
    folder.rename(outside)
    _sync(folder.parent)
    shutil.rmtree(outside)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, durably: else a power cut loses what is in it."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync(folder.parent)


def sweep(scratch: Path) -> int:
    """Remove what killed processes left in the scratch folder; gives the number of removed entries."""
    if not scratch.is_dir():
        return 0
    stale = list(scratch.iterdir())
    for entry in stale:
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink(missing_ok=True)
    return len(stale)


def _unique(scratch: Path) -> Path:
    # The ending keeps a temporary out of every *.parquet glob, wherever the scratch folder lies.
    return scratch / f"{uuid.uuid4().hex}.tmp"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
