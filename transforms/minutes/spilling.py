"""Rows that wait in a temporary file, packed, so that a day's are not all in memory.

The file has no name: it goes with the process, also with one that is killed.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from io import BytesIO
from typing import NamedTuple

import polars as pl


class Place(NamedTuple):
    """Where rows lie in the file."""

    offset: int
    size: int


class Spill:
    """A file that is filled and read in any order; it goes when nobody refers to this any more."""

    def __init__(self) -> None:
        with tempfile.TemporaryFile() as file:
            self._descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._descriptor)
        self._size = 0

    def add(self, rows: pl.DataFrame) -> Place:
        """Write rows. Raises OSError when the disk is full."""
        packed = BytesIO()
        rows.write_ipc_stream(packed, compression="zstd")
        place = Place(self._size, packed.tell())
        data = packed.getbuffer()
        while data:
            data = data[os.pwrite(self._descriptor, data, self._size + place.size - len(data)) :]
        self._size += place.size
        return place

    def rows(self, place: Place) -> pl.DataFrame:
        """The rows again."""
        return pl.read_ipc_stream(BytesIO(os.pread(self._descriptor, place.size, place.offset)))
