"""Gives the disk back what the versions before a file's last one still take.

A rewritten file keeps the bytes of the version before it for readers that hold the old footer (``rewriting``). Once
no reader can hold one any more, these bytes become a hole in place: the file keeps its size, the live rows and the
footer keep their places, only the blocks go. A kill in between leaves a file that is whole, and larger than need be.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from transforms.rewriting import KEPT_SECONDS, kept_regions

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from transforms.rewriting import Region

_PIECE_BYTES: Final = 1 << 20
_KEEP_SIZE, _PUNCH_HOLE = 0x01, 0x02  # linux/falloc.h


def settle(path: Path, now: float) -> bool:
    """Free the space of a file's earlier versions; False while a reader may still look one of them up.

    ``now`` is the time in seconds since 1970. Where the file system knows no holes nothing is freed.
    """
    regions = kept_regions(path)
    if any(now - region.replaced_at < KEPT_SECONDS for region in regions):
        return False
    if regions:
        with path.open("r+b") as file, suppress(OSError):
            for region in regions:
                _punch(file.fileno(), region.start, region.end - region.start)
            os.fsync(file.fileno())
    return True


def forget(path: Path, written_by: float, now: float) -> bool:
    """Wipe what is left of versions that were replaced up to a time; False while a reader may still look one up.

    Times in seconds since 1970. Where the file system knows no holes, zeros are written.
    """
    with path.open("r+b") as file:
        regions = [region for region in kept_regions(file) if region.replaced_at <= written_by]
        if any(now - region.replaced_at < KEPT_SECONDS for region in regions):
            return False
        for region in regions:
            _wipe(file, region)
        file.flush()
        os.fsync(file.fileno())
    return True


def _wipe(file: BinaryIO, region: Region) -> None:
    with suppress(OSError):
        _punch(file.fileno(), region.start, region.end - region.start)
    for place in range(region.start, region.end, _PIECE_BYTES):
        length = min(_PIECE_BYTES, region.end - place)
        file.seek(place)
        if file.read(length).strip(b"\0"):
            file.seek(place)
            file.write(bytes(length))


def _punch(descriptor: int, start: int, length: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "fallocate"):
        raise OSError("this system cannot make holes")
    arguments = (ctypes.c_long(start), ctypes.c_long(length))
    if libc.fallocate(descriptor, _KEEP_SIZE | _PUNCH_HOLE, *arguments) != 0:
        raise OSError(ctypes.get_errno(), "this file system cannot make holes")
