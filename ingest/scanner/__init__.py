"""The fast way through a batch, compiled from C: frames, headers, router and access lines (``scan.c``).

It is compiled at installation where there is a C compiler. Without it everything works, and parsing takes several
times as long. Only well-formed lines are read here; the others are left to :mod:`ingest.parsing`, whose rows the ones
from here equal to the letter.
"""

from __future__ import annotations

import ctypes
import threading
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa

from ingest.frames import Frames
from ingest.records import with_frame
from ingest.redaction import SIEVE_NAMES, SIEVE_PARTS
from ingest.scanner import building
from ingest.schema import ACCESS, CONTINUES_FIELD, LINES, PHP, ROUTER, SAMPLES
from ingest.text import Spans

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ingest.text import Positions, Text

LIBRARY: Final = building.SOURCES / building.LIBRARY
SENDERS: Final = range(6)  # the numbers in scan.c of the masks of classify.Senders, in their order


class Left(NamedTuple):
    """Frames that are left; ``body`` of the frames is the part. Headers are read unless some frame is `general`."""

    number: Positions
    frames: Frames
    sender: Positions
    time_us: Positions
    process: Spans
    message: Spans


class Scan(NamedTuple):
    """Rows that were read, by table, with the number of their frame behind the table's columns; and what is left.

    ``parts`` is a matrix with a row per field: body, number, lines read, of these the ones with a table of their own,
    time of the last line and its frame.
    """

    tables: dict[str, pa.RecordBatch]
    parts: NDArray[np.int64]
    part_of_frame: Positions
    left: Left
    general: int  # frames left of which not even the header was read


class _Batch(ctypes.Structure):
    _fields_ = (
        ("text", ctypes.c_char_p),
        ("size", ctypes.c_int64),
        ("body_end", ctypes.c_void_p),
        ("app_names", ctypes.c_char_p),
        ("app_end", ctypes.c_void_p),
        ("bodies", ctypes.c_int64),
    )


_ArrowArray = ctypes.c_int64 * 10  # struct ArrowArray
_RELEASE: Final = 8  # which of its fields is NULL where nothing was made
_TABLES: Final = {
    table.name: with_frame(table) if table is not PHP else with_frame(table).append(CONTINUES_FIELD)
    for table in (ROUTER, ACCESS, PHP, SAMPLES, LINES)
}


class _Scan(ctypes.Structure):
    _fields_ = (
        ("frames_count", ctypes.c_int64),
        ("parts_count", ctypes.c_int64),
        ("left_count", ctypes.c_int64),
        ("general_count", ctypes.c_int64),
        ("part_of_frame", ctypes.c_void_p),
        ("parts", ctypes.c_void_p),
        ("left", ctypes.c_void_p),
        ("tables", _ArrowArray * len(_TABLES)),
    )


_PART_FIELDS: Final = 6
_LEFT_FIELDS: Final = 11


def scan(text: Text, body_end: Positions, apps: Sequence[str]) -> Scan | None:
    """Scan bodies that end at these places; None if there is no scanner, or bytes are of no frame."""
    return _scan("drainlake_scan", text, body_end, apps)


def scan_access_lines(text: Text, body_end: Positions, apps: Sequence[str]) -> Scan | None:
    """Scan lines of web servers' files in place of frames: one part per body; all that is left is ``general``."""
    return _scan("drainlake_scan_access_lines", text, body_end, apps)


def _scan(function: str, text: Text, body_end: Positions, apps: Sequence[str]) -> Scan | None:
    library = load()
    if library is None:
        return None
    names = [app.encode() for app in apps]
    app_end = np.cumsum([len(name) for name in names], dtype=np.int64)
    batch = _Batch(text.padded, text.size, body_end.ctypes.data, b"".join(names), app_end.ctypes.data, len(apps))
    memory = ctypes.create_string_buffer(library.drainlake_scan_bytes())
    if getattr(library, function)(ctypes.byref(batch), memory):
        return None
    try:
        return _taken(_Scan.from_buffer(memory))
    finally:
        library.drainlake_free(memory)


def _taken(found: _Scan) -> Scan:
    tables = {
        name: pa.RecordBatch._import_from_c(ctypes.addressof(table), schema)  # noqa: SLF001, the documented way in
        for (name, schema), table in zip(_TABLES.items(), found.tables, strict=True)
        if table[_RELEASE]
    }
    number, start, head, end, part, sender, time_us, *places = _matrix(found.left, found.left_count, _LEFT_FIELDS)
    process, message = Spans(*places[:2]), Spans(*places[2:])
    return Scan(
        tables,
        _matrix(found.parts, found.parts_count, _PART_FIELDS),
        _matrix(found.part_of_frame, found.frames_count, 1)[0],
        Left(number, Frames(start, head, end, part), sender, time_us, process, message),
        found.general_count,
    )


def _matrix(address: int | None, height: int, width: int) -> NDArray[np.int64]:
    """A copy of so many records of so many integers each: one row per field."""
    if not height or address is None:
        return np.zeros((width, 0), dtype=np.int64)
    octets = ctypes.string_at(address, height * width * 8)
    return np.frombuffer(octets, np.int64).reshape(height, width).T.copy()


def load() -> ctypes.CDLL | None:
    """The compiled scanner; None where it was not compiled, from other sources, or for another machine.

    One thread at a time: while the tables of secret words are set up, another thread would find no secrets.
    """
    with _LOADING:
        return _loaded(LIBRARY)


_LOADING: Final = threading.Lock()


@cache
def _loaded(path: Path) -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(str(path))
        library.drainlake_sources.restype = ctypes.c_char_p
        library.drainlake_scan_bytes.restype = ctypes.c_int64
        if library.drainlake_sources().decode() != building.digest(path.parent):
            return None
    except (OSError, AttributeError):  # not there, of another system or C library, or of far older sources
        return None
    library.drainlake_set_up(*_WORDS)
    return library


def _zero_ended(words: Sequence[str]) -> bytes:
    return b"".join(word.encode() + b"\0" for word in words)


_WORDS: Final = (_zero_ended(SIEVE_PARTS), _zero_ended(SIEVE_NAMES))  # the scanner keeps pointers into them
