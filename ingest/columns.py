"""Arrow columns from NumPy arrays and back, over shared buffers.

``pyarrow.array`` and ``to_numpy`` look for pandas on every call; where it is not installed the search of the
import path costs a quarter of a millisecond each time, more than the column itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.schema import ARROW_TYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ingest.text import Mask, Positions

_NUMPY_TYPES = {"TIMESTAMPTZ": np.int64, "BIGINT": np.int64, "INTEGER": np.int32, "SMALLINT": np.int16}


def numbers(values: NDArray[np.int64] | NDArray[np.float64], type_: str, valid: Mask | None = None) -> pa.Array:
    """A column of a schema type that holds numbers; NULL where not valid. Valid values must fit the type."""
    if valid is not None:
        values = np.where(valid, values, 0)
    fixed = np.ascontiguousarray(values, dtype=_NUMPY_TYPES.get(type_, np.float64))
    return pa.Array.from_buffers(ARROW_TYPES[type_], len(fixed), [_bits(valid), pa.py_buffer(fixed)])


def timestamps(microseconds: Positions, valid: Mask | None = None) -> pa.Array:
    """A column of UTC times; NULL where not valid."""
    return numbers(microseconds, "TIMESTAMPTZ", valid)


def constant(text: str, height: int) -> pa.StringArray:
    """A column that holds one text in every row."""
    octets = text.encode()
    offsets = np.arange(height + 1, dtype=np.int32) * len(octets)
    return pa.Array.from_buffers(pa.string(), height, [None, pa.py_buffer(offsets), pa.py_buffer(octets * height)])


def fixed_bytes(values: Sequence[bytes], index: Positions) -> pa.FixedSizeBinaryArray:
    """A column that holds in each row one of some values of equal length."""
    width = len(values[0])
    rows = np.frombuffer(b"".join(values), dtype=f"V{width}")[index]
    return pa.Array.from_buffers(pa.binary(width), len(rows), [None, pa.py_buffer(rows)])


def booleans(mask: Mask) -> pa.BooleanArray:
    """A column of truth values."""
    return pa.Array.from_buffers(pa.bool_(), len(mask), [None, _bits(mask)])


def indices(positions: Positions) -> pa.Int64Array:
    """Row numbers, for ``take``."""
    return numbers(positions, "BIGINT")


def mask(column: pa.BooleanArray) -> Mask:
    """Where a column is true; NULL is not."""
    octets = np.frombuffer(column.fill_null(False).buffers()[1], np.uint8)
    bits = np.unpackbits(octets, bitorder="little")
    return bits[column.offset : column.offset + len(column)].astype(np.bool_)


def integers(column: pa.Array) -> NDArray[np.int64]:
    """The whole numbers of a column without NULL."""
    width = column.type.to_pandas_dtype()
    return np.frombuffer(column.buffers()[1], width)[column.offset : column.offset + len(column)].astype(np.int64)


def matches(column: pa.StringArray, expression: str) -> Mask:
    """Which texts match a regular expression (RE2); NULL does not."""
    return mask(pc.match_substring_regex(column, expression)) if len(column) else np.zeros(0, dtype=np.bool_)


def _bits(where: Mask | None) -> pa.Buffer | None:
    return None if where is None else pa.py_buffer(np.packbits(where, bitorder="little"))
