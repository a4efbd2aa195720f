"""How rows become an entry's payload and come back: an Arrow IPC stream, compressed as a whole with zstd.

Compressing the stream, not each of its buffers, is what makes small entries cheap: for the rows of a 100 KB delivery
it takes a tenth of the time and two thirds of the bytes (a table has forty buffers, most of them tiny).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

if TYPE_CHECKING:
    import polars as pl

_ZSTD_LEVEL: Final = 1  # higher levels cost time and save next to nothing: half of the bytes are request ids

_SIZE_TRUSTED: Final = 64 << 20  # a damaged header must not ask for more
_HEADER_BYTES: Final = 18


def encode(rows: pa.RecordBatch) -> bytes:
    """Encode rows as a zstd frame that holds an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_batch(rows)
    octets: bytes = pa.Codec("zstd", _ZSTD_LEVEL).compress(sink.getvalue(), asbytes=True)
    return octets


def decode_batch(payload: bytes) -> pa.RecordBatch:
    """The rows of one payload as Arrow has them."""
    with pa.CompressedInputStream(pa.BufferReader(payload), "zstd") as stream:
        table = pa.ipc.open_stream(stream.read()).read_all()
    return table.combine_chunks().to_batches()[0]


def decode(payload: bytes) -> pl.DataFrame:
    """The rows of one payload. A damaged one raises ValueError, OSError or MemoryError."""
    import polars as pl  # noqa: PLC0415 - the receiver, which only encodes, does without it

    table = decode_table(payload)
    try:
        return pl.DataFrame(pl.from_arrow(table))
    except pl.exceptions.PanicException as error:  # which is no Exception: it would end the process
        raise ValueError(f"polars cannot take the rows: {error}") from error


def decode_table(payload: bytes) -> pa.Table:
    """The rows of one payload in Arrow, checked. A damaged one raises ValueError, OSError or MemoryError.

    Arrow reads it, not polars: that trusts the sizes in a stream, and asks for so much memory on a damaged one that the
    process is aborted. Arrow checks sizes when it reads and offsets and UTF-8 when told to.
    """
    table = pa.ipc.open_stream(_inflated(payload)).read_all()
    table.validate(full=True)
    return table


def _inflated(payload: bytes) -> pa.Buffer:
    """The stream in a zstd frame, into a buffer of its own size where the frame says it: no growing, no copies."""
    size = _size_said(payload)
    if 0 < size <= _SIZE_TRUSTED:
        return pa.Codec("zstd").decompress(payload, size)
    with pa.CompressedInputStream(pa.BufferReader(payload), "zstd") as stream:
        return stream.read_buffer()


def _size_said(payload: bytes) -> int:
    """What a zstd frame's header says of the size of its content (RFC 8878, 3.1.1.1); 0 if it does not."""
    if len(payload) < _HEADER_BYTES:
        return 0
    descriptor = payload[4]
    is_single = descriptor >> 5 & 1
    begin = 6 - is_single + (0, 1, 2, 4)[descriptor & 3]
    length = (is_single, 2, 4, 8)[descriptor >> 6]
    said = int.from_bytes(payload[begin : begin + length], "little")
    return said + 256 if length == 2 else said
