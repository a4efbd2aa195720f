"""A copy of a lake's folder that can take the lake's place, made while landing goes on.

Three things make the copy one that landing can go on from, also when it was stopped halfway:

* Files of (table, date, partition) are copied in the order of their sequences, and listed before the first is copied.
  Only the newest is ever rewritten, so a copy holds whole files up to some sequence and at most an older version of the
  one after: each row up to the newest offset in it is there. That is all that landing takes from files.
* The log that goes with the copy is of a moment before the first file was looked at (see ``drainlake.backup``). What
  was landed since is in the files and is skipped by their own offsets.
* Each file appears whole, and what the lake has no more is removed last.

A copy follows its lake: days that were removed and rows that were erased go from it, too.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from transforms import durable
from transforms.lake import DATE_FOLDER, FILE, SENTINEL_DATE, SENTINEL_NAME, LakeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SCRATCH: Final = ".tmp"
_COPY_BYTES: Final = 1 << 20


@dataclass
class Copied:
    """What a copy did: files and their bytes that were written, files that were as they should be, files removed."""

    files: int = 0
    octets: int = 0
    kept: int = 0
    removed: int = 0


def copy_lake(lake: Path, target: Path, copied: Copied, fault: durable.Fault = durable.no_fault) -> None:
    """Make ``target`` a copy of the lake; only what changed is written. ``copied`` is added to.

    ``fault`` is called with "file copied" after each file, for tests. Raises :class:`LakeError` where there is no lake,
    and then nothing is touched: an empty folder in its place must not empty the copy.
    """
    if not any(lake.glob(f"*/date={SENTINEL_DATE}/{SENTINEL_NAME}")):
        raise LakeError(f"there is no lake at {lake}; look whether its disk is there, nothing was copied.")
    seen = set()
    for folder in _folders(lake):
        for name in _names(folder):
            place = target / folder.relative_to(lake) / name
            seen.add(place)
            copy_file(folder / name, place, target / _SCRATCH, copied)
            fault("file copied")
    for place in [folder / name for folder in _folders(target) for name in _names(folder)]:
        if place not in seen:
            place.unlink()
            copied.removed += 1
            with suppress(OSError):  # other files are in it
                place.parent.rmdir()


def copy_file(source: Path, place: Path, scratch: Path, copied: Copied) -> None:
    """Copy one file unless the one there has its size and time. One that is gone meanwhile is passed over."""
    try:
        with source.open("rb") as file:
            state = os.fstat(file.fileno())
            if _is_same(place, state):
                copied.kept += 1
                return
            durable.publish(place, scratch, lambda temporary: _copy_bytes(file.fileno(), temporary, state))
    except FileNotFoundError:
        return  # removed by retention since it was listed
    copied.files += 1
    copied.octets += state.st_blocks * 512


def _folders(lake: Path) -> Iterator[Path]:
    """The lake's own folder, where its notes are, and those of tables and dates, in order."""
    yield lake
    yield from sorted(folder for folder in lake.glob("*/date=*") if DATE_FOLDER.fullmatch(folder.name))


def _names(folder: Path) -> list[str]:
    """The files of a folder that are the lake's, by partition and sequence."""
    if not folder.is_dir():
        return []
    names = [entry.name for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False)]
    if not DATE_FOLDER.fullmatch(folder.name):
        return sorted(name for name in names if name.startswith("_") and name.endswith(".json"))
    matches = [match for match in map(FILE.fullmatch, names) if match]
    ordered = sorted(matches, key=lambda match: (match[1], int(match[2])))
    return [match[0] for match in ordered] + [name for name in names if name == SENTINEL_NAME]


def _is_same(place: Path, state: os.stat_result) -> bool:
    try:
        there = place.stat()
    except FileNotFoundError:
        return False
    return (there.st_size, there.st_mtime_ns) == (state.st_size, state.st_mtime_ns)


def _copy_bytes(source: int, temporary: Path, state: os.stat_result) -> None:
    """Copy data and leave holes: a rewritten file keeps its older versions as holes (see ``settling``)."""
    with temporary.open("wb") as target:
        for start, end in _extents(source, state.st_size):
            target.seek(start)
            for place in range(start, end, _COPY_BYTES):
                target.write(os.pread(source, min(end - place, _COPY_BYTES), place))
        target.truncate(state.st_size)
    os.utime(temporary, ns=(state.st_atime_ns, state.st_mtime_ns))
    temporary.chmod(state.st_mode & 0o777)


def _extents(source: int, size: int) -> Iterator[tuple[int, int]]:
    """The stretches of a file that hold data."""
    end = 0
    while end < size:
        try:
            start = os.lseek(source, end, os.SEEK_DATA)
        except OSError:  # ENXIO: a hole up to the end
            return
        end = os.lseek(source, start, os.SEEK_HOLE)
        yield start, end
