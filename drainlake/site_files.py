"""A site's own files, as the question about compression takes them: paths, sizes, sizes when compressed.

Bounded, since a folder may hold anything: how many files are looked at, how large a file and how many bytes in all are
compressed. Symbolic links that lead out of the folder are not followed.
"""

from __future__ import annotations

import itertools
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FILES_MAX: Final = 50_000
FILE_MIN_BYTES: Final = 1_400  # the question counts no smaller ones
FILE_MAX_BYTES: Final = 50 << 20
ALL_MAX_BYTES: Final = 1 << 30
LEVEL: Final = 5  # as the fix tells nginx
_NEVER_SERVED: Final = frozenset({".git", ".hg", ".svn", "node_modules"})
_GZIP_WINDOW: Final = 31  # 32 kB, with gzip's frame
_CHUNK_BYTES: Final = 1 << 20


def files(folder: Path) -> Iterator[dict[str, Any]]:
    """Each file as ``path`` (below the folder, with ``/``), ``plain_bytes`` and ``compressed_bytes`` (None: not yet).

    The order is that of the names. What cannot be read, or is no file of at least 1,400 bytes, is left out.
    """
    inside = folder.resolve()
    for parent, folders, names in os.walk(inside):
        folders[:] = sorted(name for name in folders if name not in _NEVER_SERVED)
        for name in sorted(names):
            path = Path(parent, name)
            size = _size(path, inside)
            text = path.relative_to(inside).as_posix()
            if size is not None and text.isprintable():  # a name that is no UTF-8 holds surrogates
                yield {"path": text, "plain_bytes": size, "compressed_bytes": None}


def _size(path: Path, inside: Path) -> int | None:
    try:
        if not path.is_file() or not path.resolve().is_relative_to(inside):
            return None
        size = path.stat().st_size
    except OSError:
        return None
    return size if FILE_MIN_BYTES <= size <= FILE_MAX_BYTES else None


def compressed(folder: Path, found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same files with their ``compressed_bytes``, until a gigabyte was read; files that are gone are left out."""
    measured = []
    left = ALL_MAX_BYTES
    for file in found:
        left -= file["plain_bytes"]
        if left < 0:
            break
        try:
            size = gzip_bytes(folder / file["path"])
        except OSError:
            continue
        measured.append({**file, "compressed_bytes": size})
    return measured


def gzip_bytes(path: Path) -> int:
    """Bytes of the file when nginx compresses it; at most ``FILE_MAX_BYTES`` of it are read."""
    with path.open("rb") as source:
        return packed_bytes(
            itertools.islice(iter(lambda: source.read(_CHUNK_BYTES), b""), FILE_MAX_BYTES // _CHUNK_BYTES)
        )


def packed_bytes(chunks: Iterable[bytes]) -> int:
    """Bytes of some content as gzip makes it."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    return sum(len(packer.compress(chunk)) for chunk in chunks) + len(packer.flush())
