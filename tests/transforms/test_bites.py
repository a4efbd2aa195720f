"""Entries of the log become rows, whatever the header of their payload says of its size."""

from __future__ import annotations

import pyarrow as pa
import pytest

from ingest.eventlog.entry import decode_batch, encode
from tests.benchmarks.traffic import entries, router_rows

ROWS = 3_000  # more than 64 KB, which a header's two bytes can say


def streamed(payload: bytes) -> bytes:
    """The same content in a frame that does not say how large it is."""
    content = pa.CompressedInputStream(pa.BufferReader(payload), "zstd").read()
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("rows", [1, 10, ROWS])
def test_size_in_the_header_is_only_a_help(rows: int) -> None:
    """Payloads with and without a size in their header, of every length of it, give the same rows."""
    [entry] = entries(router_rows(rows), rows)
    table = decode_batch(entry.payload)
    assert table.num_rows == rows
    assert decode_batch(streamed(entry.payload)) == table


@pytest.mark.parametrize("said", [b"\x00\x00\x00\x00", b"\x01\x00\x00\x00", b"\xff\xff\xff\x03", b"\xff\xff\xff\xff"])
def test_wrong_size_in_the_header_is_an_error(said: bytes) -> None:
    """A damaged header makes no rows and takes no more memory than an entry may."""
    [entry] = entries(router_rows(ROWS), ROWS)
    payload = entry.payload
    assert payload[4] >> 6 == 2, "four bytes of size stand behind the descriptor"
    begin = 5 if payload[4] >> 5 & 1 else 6
    with pytest.raises((ValueError, OSError)):
        decode_batch(payload[:begin] + said + payload[begin + 4 :])


def test_text_is_no_entry() -> None:
    """What is no frame of zstd is refused, however short."""
    for text in (b"", b"PAR1", b"{}" * 40, encode(pa.record_batch({"a": [1]}))[:-5]):
        with pytest.raises((ValueError, OSError)):
            decode_batch(text)
