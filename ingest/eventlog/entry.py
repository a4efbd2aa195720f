"""How rows become an entry's payload and come back: an Arrow IPC stream, zstd-compressed."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

_ZSTD_LEVEL: Final = 1  # higher levels cost time and save next to nothing: half of the bytes are request ids


def encode(rows: pa.RecordBatch) -> bytes:
    """Encode rows as an Arrow IPC stream that any Arrow reader opens."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", _ZSTD_LEVEL))
    with pa.ipc.new_stream(sink, rows.schema, options=options) as stream:
        stream.write_batch(rows)
    octets: bytes = sink.getvalue().to_pybytes()
    return octets


def decode(payload: bytes) -> pl.DataFrame:
    """The rows of one payload."""
    import polars as pl  # noqa: PLC0415 - the receiver, which only encodes, does without it

    return pl.read_ipc_stream(io.BytesIO(payload))


def decode_all(payloads: Sequence[bytes]) -> pl.DataFrame:
    """The rows of several payloads of one table, in their order."""
    import polars as pl  # noqa: PLC0415 - as above

    return pl.concat([decode(payload) for payload in payloads], how="vertical")
