"""How rows become an entry's payload and come back: an Arrow IPC stream, compressed with zstd as a whole.

Compressing the stream, not each of its buffers, is what makes small entries cheap: for the rows of a 100 KB delivery
it takes a tenth of the time and two thirds of the bytes (a table has forty buffers, most of them tiny). The contexts of
zstd are kept, one for each thread: to set one up takes 20 microseconds, more than all of a small stream.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import zstandard

if TYPE_CHECKING:
    import polars as pl

_LEVEL: Final = 1  # higher levels cost time and save little: half of the bytes are request ids
_END_OF_STREAM: Final = bytes.fromhex("ffffffff00000000")
_SIZE_TRUSTED: Final = 64 << 20  # a damaged header must not ask for more
# From here on Arrow's memory, which is used again, wins against the kept contexts: a C allocator returns a large block
# to the system each time.
_LARGE_BYTES: Final = 128 << 10
_arrow_zstd: Final = pa.Codec("zstd")
_PREFIX_BYTES: Final = 8  # of a message: a mark, and the length of what says what it is
_SCHEMA_MAX_BYTES: Final = 1 << 16


class _Contexts(threading.local):
    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self.decompressor = zstandard.ZstdDecompressor()


_contexts: Final = _Contexts()


def encode(rows: pa.RecordBatch) -> bytes:
    """Encode rows as a zstd frame that holds an Arrow IPC stream."""
    parts = rows.schema.serialize(), rows.serialize(), _END_OF_STREAM
    # One after another: put together first, and compressed at once, a body of 16 MB would take three times its rows.
    stream = _contexts.compressor.compressobj(size=sum(map(len, parts)))
    return b"".join([*map(stream.compress, parts), stream.flush()])


def decode(payload: bytes) -> pl.DataFrame:
    """The rows of one payload. A damaged one raises ValueError, OSError, MemoryError or an Arrow exception."""
    return as_polars(decode_batch(payload))


def decode_batch(payload: bytes) -> pa.RecordBatch:
    """The rows of one payload as Arrow has them, checked; raises what :func:`decode` does.

    Arrow reads it, not polars: that trusts the sizes in a stream, and asks for so much memory on a damaged one that the
    process is aborted. Arrow checks sizes when it reads and offsets and UTF-8 when told to.
    """
    rows = _read(_inflated(payload))
    rows.validate(full=True)
    return rows


def as_polars(rows: pa.RecordBatch | pa.Table) -> pl.DataFrame:
    """The same rows for polars. Raises ValueError where it cannot take them."""
    import polars as pl  # noqa: PLC0415 - the receiver, which only encodes, does without it

    try:
        return pl.DataFrame(_Stream(rows if isinstance(rows, pa.Table) else pa.Table.from_batches([rows])))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:  # a panic is no Exception
        raise ValueError(f"polars cannot take the rows: {error}") from error


def _read(stream: pa.Buffer) -> pa.RecordBatch:
    """The rows in a stream. A schema that was seen before is not read again: that is half the time of a small entry."""
    begin = _PREFIX_BYTES + int.from_bytes(stream.slice(4, 4), "little")
    if _PREFIX_BYTES < begin < min(stream.size, _SCHEMA_MAX_BYTES):
        reader = pa.BufferReader(stream)
        reader.seek(begin)
        message = pa.ipc.read_message(reader)
        if message.type == "record batch" and reader.read() in {_END_OF_STREAM, b""}:
            return pa.ipc.read_record_batch(message, _schema(stream.slice(0, begin).to_pybytes()))
    rows: pa.RecordBatch = pa.ipc.open_stream(stream).read_all().combine_chunks()
    return rows.to_batches()[0] if rows.num_rows else pa.RecordBatch.from_pylist([], rows.schema)


@lru_cache(maxsize=64)  # the tables, and what earlier versions wrote of them
def _schema(message: bytes) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(message))


def _inflated(payload: bytes) -> pa.Buffer:
    """The stream in a frame, at once where zstd says its size and can be trusted, else as it grows."""
    try:
        size_bytes = zstandard.frame_content_size(payload)
        if _LARGE_BYTES <= size_bytes <= _SIZE_TRUSTED:
            return _arrow_zstd.decompress(payload, decompressed_size=size_bytes)
        if 0 < size_bytes <= _SIZE_TRUSTED:
            return pa.py_buffer(_contexts.decompressor.decompress(payload))
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
    with pa.CompressedInputStream(pa.BufferReader(payload), "zstd") as stream:
        return stream.read_buffer()


class _Stream:
    """A table that polars takes over as Arrow's C stream: three times as fast as what it does with a ``pa.Table``."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)
