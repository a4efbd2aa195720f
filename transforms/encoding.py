"""How the columns of the lake are encoded: small, quick to write, and read by every reader of Parquet.

Text and numbers go through a dictionary, which is Parquet's own default. What does not repeat has no use for one:
each value would be there once in the dictionary and once more as its number.

* Times come in order, so their differences are small (DELTA_BINARY_PACKED): half of the bytes that a dictionary takes,
  and DuckDB scans them in half of the time.
* Ids are their own text, the lengths apart (DELTA_LENGTH_BYTE_ARRAY): zstd then sees nothing but digits. A request id
  of 36 characters, 16 bytes of which are random, takes 18.5 bytes; codes of whole bits cannot do with less.
* Of other columns the values decide, file by file (:func:`mostly_distinct`). Numbers are then written as differences
  from the one before, of as many bits as the largest needs, texts one after the other. Paths are compressed harder:
  with ids in them they are alike in parts, and level 1 sees only what was there just before.

Statistics say the least and the largest value of a row group, and readers skip row groups by them. Numbers, times and
the texts of :data:`_TOLD_APART` have them. Of other texts, which come in any order, they would say nothing, and to
compare each with two others takes a sixth of the time of a write.

Left out: higher levels of zstd for all columns cost time, and more bytes for ids, since they find matches of digits
that are none. Dictionaries in order of the alphabet take 0.4 to 0.9 bytes less for paths; to sort them costs as much
as a tenth of landing. BYTE_STREAM_SPLIT of integers saves 0.3 bytes a row and cannot be read by DuckDB 1.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl
import polars.selectors as cs
import pyarrow as pa
import pyarrow.parquet as pq

from transforms.pieces import Pieces

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

# DuckDB scans row groups in parallel, and each has dictionaries of its own: a third as many rows take 4 % more bytes.
ROW_GROUP_ROWS_MAX: Final = 262_144
MINUTES_GROUP_ROWS_MAX: Final = 61_440  # of a day of minutes most readers want the first few alone, those per app
ZSTD_LEVEL: Final = 1
PATHS_LEVEL: Final = 6  # of paths without a dictionary: 15 % fewer bytes than level 1 in three times the time
# Where more of the values differ, the measured shares from which on a file is smaller without the dictionary.
DISTINCT_NUMBERS_SHARE: Final = 1 / 3
DISTINCT_TEXTS_SHARE: Final = 1 / 2
# So many are looked at first, since the share of distinct values only falls as rows are added.
FIRST_ROWS: Final = 8_192
# Half of a row group's paths can be distinct; beyond it a column goes on as plain text.
DICTIONARY_MAX_BYTES: Final = 4 << 20
_IDS: Final = frozenset({"request_id", "frame_id"})
_PATHS: Final = frozenset({"path"})
# Rows are sorted by them, or most row groups have one value or none of them, and questions ask for another.
_TOLD_APART: Final = frozenset({"app", "per", "source", "code"})


def encodings(schema: pa.Schema, distinct: Collection[str] = ()) -> dict[str, str]:
    """The encoding of each column that takes no dictionary; ``distinct`` are those whose values mostly differ."""
    return {field.name: found for field in schema if (found := _encoding(field, is_distinct=field.name in distinct))}


def _encoding(field: pa.Field, *, is_distinct: bool) -> str | None:
    if pa.types.is_timestamp(field.type):
        return "DELTA_BINARY_PACKED"
    if field.name in _IDS:
        return "DELTA_LENGTH_BYTE_ARRAY"
    if not is_distinct:
        return None
    return "DELTA_BINARY_PACKED" if pa.types.is_integer(field.type) else "PLAIN"


def mostly_distinct(rows: pl.DataFrame) -> frozenset[str]:
    """The columns of whole numbers and texts for which a dictionary would be larger than the values themselves."""
    asked = rows.select((cs.integer() | cs.string()) - cs.by_name(_IDS, require_all=False))
    suspects = _above_share(asked.head(FIRST_ROWS))
    return frozenset(_above_share(asked.select(suspects)))


def _above_share(rows: pl.DataFrame) -> list[str]:
    if rows.is_empty():
        return []
    shares = rows.select(pl.all().approx_n_unique() / rows.height).row(0, named=True)
    return [
        name
        for name, dtype in rows.schema.items()
        if shares[name] > (DISTINCT_TEXTS_SHARE if dtype == pl.String else DISTINCT_NUMBERS_SHARE)
    ]


def open_writer(sink: pa.NativeFile, rows: pl.DataFrame | Pieces) -> pq.ParquetWriter:
    """A writer for the row groups of ``rows``."""
    schema = _as_arrow(pl.DataFrame(schema=rows.schema)).schema
    distinct = frozenset[str]() if isinstance(rows, Pieces) else mostly_distinct(rows)
    direct = encodings(schema, distinct)
    return pq.ParquetWriter(
        sink,
        schema,
        compression="zstd",
        compression_level={
            name: PATHS_LEVEL if name in _PATHS and name in direct else ZSTD_LEVEL for name in schema.names
        },
        use_dictionary=[name for name in schema.names if name not in direct],
        column_encoding=direct,
        dictionary_pagesize_limit=DICTIONARY_MAX_BYTES,
        write_statistics=[name for name, dtype in rows.schema.items() if dtype != pl.String or name in _TOLD_APART],
        store_schema=False,  # else readers in Arrow would get views of strings, as polars holds them
    )


def row_groups(rows: pl.DataFrame | Pieces) -> Iterator[pa.Table]:
    """The rows of each row group, at most :data:`ROW_GROUP_ROWS_MAX`: of rows that are all there about as many in
    each, of :class:`Pieces` as they come. Equal rows give equal bytes."""
    rows_max = MINUTES_GROUP_ROWS_MAX if "per" in rows.schema else ROW_GROUP_ROWS_MAX
    for piece in rows.in_groups(rows_max) if isinstance(rows, Pieces) else _equal_slices(rows, rows_max):
        yield _as_arrow(piece.rechunk())  # pages would end where chunks do


def _equal_slices(rows: pl.DataFrame, rows_max: int) -> Iterator[pl.DataFrame]:
    count = -(-rows.height // rows_max)
    return rows.iter_slices(-(-rows.height // count)) if count else iter(())


def _as_arrow(rows: pl.DataFrame) -> pa.Table:
    return rows.to_arrow(compat_level=pl.CompatLevel.newest())
