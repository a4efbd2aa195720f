"""Rows that wait in a temporary file, packed, so that a day's are not all in memory.

The file has no name: it goes with the process, also with one that is killed. Where it cannot be written, as on a full
disk or a small file system in memory, rows wait in memory, packed to about a tenth.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

if TYPE_CHECKING:
    from pathlib import Path


class Place(NamedTuple):
    """Where rows lie in the file."""

    offset: int
    size: int


class Spill:
    """A file in a folder, None for the system's; it goes when nobody refers to this any more."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._descriptor: int | None = None
        self._size = 0
        self._in_memory: dict[Place, bytes] = {}

    def add(self, rows: pl.DataFrame) -> Place:
        """Put rows away."""
        packed = BytesIO()
        rows.write_ipc_stream(packed, compression="zstd")
        data = packed.getvalue()
        place = Place(self._size, len(data))
        self._size += len(data)
        try:
            self._write(data, place.offset)
        except OSError:
            self._in_memory[place] = data
        return place

    def rows(self, place: Place) -> pl.DataFrame:
        """The rows again."""
        data = self._in_memory.get(place)
        if data is None:
            assert self._descriptor is not None
            data = os.pread(self._descriptor, place.size, place.offset)
        return pl.read_ipc_stream(BytesIO(data))

    def _write(self, data: bytes, offset: int) -> None:
        if self._descriptor is None:
            with tempfile.TemporaryFile(dir=self._folder) as file:
                self._descriptor = os.dup(file.fileno())
            weakref.finalize(self, os.close, self._descriptor)
        while data:
            written = os.pwrite(self._descriptor, data, offset)
            data, offset = data[written:], offset + written
