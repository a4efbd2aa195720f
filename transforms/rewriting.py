"""Writes the next version of a Parquet file so that readers of the version before it are not disturbed.

An atomic rename alone is not enough. DuckDB opens a file at least twice: once for its footer and, in each
thread that scans, once more for its rows. When the file is replaced in between, the old footer's places are
looked up in the new file: an error at best, wrong rows at worst (seen with DuckDB 2.0 within a second).

So a new version keeps the bytes of the version before at their old places, as dead space, and puts its own
rows beside them; the footer, always last, names the new rows only. Whoever holds the old footer still finds
the old rows, and whoever reads the new one finds the new. Bytes of still older versions are kept while they
were replaced less than KEPT_SECONDS ago; then they are a hole, which takes no disk, for later rows to fill.

The same holds on S3, where a file is one object: a reader asks for ranges of it, one after the other. Both lakes use
this module, which works on open files; in one that cannot have holes, such as an object's bytes, there are zeros.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from transforms.encoding import open_writer, row_groups

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import polars as pl

    from transforms.pieces import Pieces

MAGIC: Final = b"PAR1"
KEPT_KEY: Final = "drainlake.kept"
KEPT_SECONDS: Final = 15.0
KEPT_MAX_BYTES: Final = 32 << 20
_HOLE: Final = bytes(1 << 20)


class Region(NamedTuple):
    """Bytes [start, end) of an earlier version, and when (seconds since 1970) that version was replaced."""

    start: int
    end: int
    replaced_at: float


def write_next(
    rows: pl.DataFrame | Pieces,
    previous: BinaryIO,
    target: BinaryIO,
    *,
    metadata: Mapping[str, str],
    now: float,
    size_bytes: int | None = None,
) -> int:
    """Write ``rows`` to ``target`` as the next version of the file ``previous``, which stays as it is.

    ``metadata`` is the new footer's; ``now`` is the time in seconds since 1970. ``size_bytes`` is what the rows are
    expected to take; without it twice as much as those before. Gives the number of rows.
    """
    regions = sorted(regions_to_keep(previous, now))
    stored = {**metadata, KEPT_KEY: json.dumps(regions)}
    size = size_bytes or 2 * sum(region.end - region.start for region in regions if region.replaced_at == now)
    for start in (first_gap(regions, size), max(region.end for region in regions)):
        target.seek(0)
        target.truncate()
        written = _write(rows, start, regions, previous, target, stored)
        if written is not None:
            return written
    raise AssertionError("behind all regions there is room for any rows")


def write_alone(rows: pl.DataFrame | Pieces, target: BinaryIO, *, metadata: Mapping[str, str]) -> int:
    """Write ``rows`` to ``target`` without anything of an earlier version, byte for byte as ``write_next`` does."""
    written = _write(rows, len(MAGIC), (), target, target, metadata)
    assert written is not None
    return written


def regions_to_keep(previous: BinaryIO, now: float) -> list[Region]:
    """What a reader may still look up: the rows of ``previous``, and of versions replaced just before."""
    footer = pq.read_metadata(previous)
    start, end = live_extent(footer)
    kept = [Region(start, end, now)]
    budget = KEPT_MAX_BYTES
    for region in _kept(footer):
        budget -= region.end - region.start
        if now - region.replaced_at < KEPT_SECONDS and budget > 0:
            kept.append(region)
    return kept


def kept_regions(file: Path | BinaryIO) -> list[Region]:
    """The bytes of earlier versions that a file still holds."""
    return _kept(pq.read_metadata(file))


def regions_in(metadata: Mapping[str, str]) -> list[Region]:
    """The bytes of earlier versions that a footer with this metadata keeps."""
    return [Region(*stored) for stored in json.loads(metadata.get(KEPT_KEY, "[]"))]


def _kept(footer: pq.FileMetaData) -> list[Region]:
    stored = (footer.metadata or {}).get(KEPT_KEY.encode(), b"[]")
    return regions_in({KEPT_KEY: stored.decode()})


def first_gap(regions: Sequence[Region], size: int) -> int:
    """The first place behind the magic where ``size`` bytes touch no region."""
    start = len(MAGIC)
    for region in sorted(regions):
        if region.start - start >= size:
            return start
        start = max(start, region.end)
    return start


def live_extent(footer: pq.FileMetaData) -> tuple[int, int]:
    """The extent of the rows that a footer names."""
    starts, ends = [len(MAGIC)], [len(MAGIC)]
    chunks = [
        footer.row_group(group).column(column)
        for group in range(footer.num_row_groups)
        for column in range(footer.num_columns)
    ]
    for chunk in chunks:
        start = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
        starts.append(start)
        ends.append(start + chunk.total_compressed_size)
    return min(starts[1:], default=starts[0]), max(ends)


def _write(
    rows: pl.DataFrame | Pieces,
    start: int,
    regions: Sequence[Region],
    source: BinaryIO,
    target: BinaryIO,
    metadata: Mapping[str, str],
) -> int | None:
    """Write magic, kept regions, rows at ``start``, footer; gives how many rows, None if they run into a region."""
    before = [region for region in regions if region.end <= start]
    behind = [region for region in regions if region.end > start]
    sink = pa.PythonFile(_Sparse(target), mode="w")
    written = 0
    with open_writer(sink, rows) as writer:
        _copy(before, source, sink)
        _skip_to(start, sink)
        for piece in row_groups(rows):
            writer.write_table(piece, row_group_size=piece.num_rows)
            written += piece.num_rows
        if behind and sink.tell() > behind[0].start:
            return None
        _copy(behind, source, sink)
        writer.add_key_value_metadata(dict(metadata))
    return written


def _copy(regions: Sequence[Region], source: BinaryIO, sink: pa.NativeFile) -> None:
    for region in regions:
        _skip_to(region.start, sink)
        source.seek(region.start)
        sink.write(source.read(region.end - region.start))


def _skip_to(place: int, sink: pa.NativeFile) -> None:
    while (gap := place - sink.tell()) > 0:
        sink.write(_HOLE[:gap])


class _Sparse:
    """A file that makes a hole instead of writing zeros."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        # Arrow counts the written bytes itself, so that the offsets in the footer include the holes.
        if data == _HOLE[: len(data)]:
            self._file.seek(len(data), io.SEEK_CUR)
            return len(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.flush()
