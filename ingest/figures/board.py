"""What the workers of one receiver show each other: memory that all of them map, with a row for each.

The memory belongs to no file that stays: it is gone when the last of them is. In its row a worker leaves its figures,
the time when it did, and its number of connections. A row is written by its worker alone, so there is no lock: the
figures are written into the half of the row that is not being read, then the number that names the half is raised, in
one store of eight bytes. A worker that is killed in between leaves the figures of before, which its successor goes on
from; a checksum refuses what was torn in any other way.

Limit: figures larger than ``FIGURES_MAX_BYTES`` are not written; ``write`` says so.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
import zlib
from typing import Final

FIGURES_MAX_BYTES: Final = 256 << 10
_HEADER_BYTES: Final = 4096
_PREFIX: Final = struct.Struct("=II")  # length and checksum
_HALF_BYTES: Final = FIGURES_MAX_BYTES + 4096
_ROW_BYTES: Final = _HEADER_BYTES + 2 * _HALF_BYTES
_WRITTEN, _CONNECTIONS, _SEEN_MS = range(3)  # places of numbers in a row's header
_TRIES: Final = 3


def make_memory(rows: int) -> int:
    """A descriptor of new memory for so many rows, which children may inherit."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("drainlake-workers")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, rows * _ROW_BYTES)
    return descriptor


class Board:
    """The memory behind a descriptor. Rows count from 0. A row may be written from one thread at a time."""

    def __init__(self, descriptor: int, rows: int) -> None:
        self.rows = rows
        self._map = mmap.mmap(descriptor, rows * _ROW_BYTES)
        # As numbers of eight bytes: one store each, where `struct` would write byte by byte.
        self._numbers = memoryview(self._map).cast("Q")

    def write(self, row: int, figures: bytes, now: float) -> bool:
        """Leave the figures of a row; False if they are too large, then those before stay.

        ``now`` are seconds of the clock that all processes of a host share (``monotonic``).
        """
        self.live(row, now)
        if len(figures) > FIGURES_MAX_BYTES:
            return False
        written = self._number(row, _WRITTEN) + 1
        begin = self._half(row, written)
        _PREFIX.pack_into(self._map, begin, len(figures), zlib.crc32(figures))
        self._map[begin + _PREFIX.size : begin + _PREFIX.size + len(figures)] = figures
        self._set(row, _WRITTEN, written)
        return True

    def read(self, row: int) -> bytes | None:
        """The figures of a row; None where there are none, or they are not whole."""
        for _ in range(_TRIES):  # it was written twice while it was read: the next try meets a quiet second
            written = self._number(row, _WRITTEN)
            if not written:
                return None
            begin = self._half(row, written)
            length, checksum = _PREFIX.unpack_from(self._map, begin)
            figures = self._map[begin + _PREFIX.size : begin + _PREFIX.size + min(length, FIGURES_MAX_BYTES)]
            if zlib.crc32(figures) == checksum:
                return figures
        return None

    def hold(self, row: int, connections: int) -> None:
        """A row's worker holds so many connections."""
        self._set(row, _CONNECTIONS, connections)

    def connections(self, row: int) -> int:
        """How many connections a row's worker held last."""
        return self._number(row, _CONNECTIONS)

    def live(self, row: int, now: float) -> None:
        """A row's worker is alive."""
        self._set(row, _SEEN_MS, int(now * 1000))

    def seen_ms(self, row: int) -> int:
        """When a row's worker was alive last, by that clock."""
        return self._number(row, _SEEN_MS)

    def silent_seconds(self, row: int, now: float) -> float:
        """How long a row's worker has shown no life."""
        return now - self.seen_ms(row) / 1000

    def _half(self, row: int, written: int) -> int:
        return row * _ROW_BYTES + _HEADER_BYTES + written % 2 * _HALF_BYTES

    def _number(self, row: int, place: int) -> int:
        return self._numbers[row * _ROW_BYTES // 8 + place]

    def _set(self, row: int, place: int, value: int) -> None:
        self._numbers[row * _ROW_BYTES // 8 + place] = value
