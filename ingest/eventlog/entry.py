"""How rows become an entry's payload and come back: an Arrow IPC stream, zstd-compressed."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence


def encode(rows: pl.DataFrame) -> bytes:
    """Encode rows as an Arrow IPC stream that any Arrow reader opens (plain string columns, zstd)."""
    stream = io.BytesIO()
    rows.write_ipc_stream(stream, compression="zstd", compat_level=pl.CompatLevel.oldest())
    return stream.getvalue()


def decode(payload: bytes) -> pl.DataFrame:
    """The rows of one payload."""
    return pl.read_ipc_stream(io.BytesIO(payload))


def decode_all(payloads: Sequence[bytes]) -> pl.DataFrame:
    """The rows of several payloads of one table, in their order."""
    return pl.concat([decode(payload) for payload in payloads], how="vertical")
