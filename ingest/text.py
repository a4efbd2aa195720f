"""The bytes of a batch, and spans into them: how whole columns are cut out without a Python object per line.

A *span* is a pair of positions (start, end) in the batch's bytes; a column of fields is a pair of arrays.
Finding, comparing and converting work on whole arrays, and a text column is a list of Arrow string views that
point into the bytes and are copied once, into a column of their own.

Reading past the last byte is safe up to ``PADDING`` bytes: zeros follow the text, and no log field matches them.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Positions: TypeAlias = "NDArray[np.int64]"
Mask: TypeAlias = "NDArray[np.bool_]"

PADDING: Final = 64
_INLINE_MAX_BYTES: Final = 12  # Arrow keeps strings up to this length inside the view itself
_LOW_BYTES: Final = np.array([(1 << (8 * n)) - 1 for n in range(9)], dtype=np.uint64)


class Spans(NamedTuple):
    """Half-open ranges of bytes, one per row; an absent field has ``start == end == 0``."""

    start: Positions
    end: Positions

    @property
    def length(self) -> Positions:
        """Bytes of each span."""
        return self.end - self.start

    def take(self, rows: Positions | Mask) -> Spans:
        """The spans of some rows."""
        return Spans(self.start[rows], self.end[rows])


class Text:
    """The bytes of a batch, padded, with the views the parsers read them through."""

    def __init__(self, octets: bytes) -> None:
        self.size = len(octets)
        self._padded = octets + bytes(PADDING)
        self.octets: NDArray[np.uint8] = np.frombuffer(self._padded, dtype=np.uint8)
        # Every eight bytes as one number, at every position: comparing eight bytes costs one comparison.
        self.words: NDArray[np.uint64] = np.ndarray(
            (self.size + PADDING - 7,), dtype="<u8", buffer=self._padded, strides=(1,)
        )
        self._positions: dict[int, Positions] = {}

    @property
    def padded(self) -> bytes:
        """The bytes, and ``PADDING`` zeros."""
        return self._padded

    def slice(self, start: int, end: int) -> bytes:
        """Some bytes, for the few lines that are handled one by one."""
        return self._padded[start:end]

    def extended(self, more: bytes) -> Text:
        """This text with rewritten fields behind it; positions in this one stay right in the new one."""
        return Text(self._padded[: self.size] + more)

    def positions(self, byte: bytes) -> Positions:
        """Where a byte stands, in order."""
        value = byte[0]
        if value not in self._positions:
            self._positions[value] = np.flatnonzero(self.octets[: self.size] == value)
        return self._positions[value]

    def next(self, byte: bytes, after: Positions) -> Positions:
        """The first place of a byte at or after each position; the text's size where there is none."""
        places = self._bounded(byte)
        return places[np.searchsorted(places, after)]

    def count(self, byte: bytes, spans: Spans) -> Positions:
        """How often a byte stands in each span."""
        places = self.positions(byte)
        return np.searchsorted(places, spans.end) - np.searchsorted(places, spans.start)

    def is_plain(self, spans: Spans) -> Mask:
        """Whether each span holds printable ASCII and blanks only: no control bytes, nothing above 126."""
        odd = np.searchsorted(self._odd, spans.end) - np.searchsorted(self._odd, spans.start)
        plain: Mask = odd == 0
        return plain

    @cached_property
    def _odd(self) -> Positions:
        octets = self.octets[: self.size]
        return np.flatnonzero((octets < ord(" ")) | (octets > ord("~")))

    def _bounded(self, byte: bytes) -> Positions:
        return np.append(self.positions(byte), self.size)

    def windows(self, at: Positions, width: int) -> NDArray[np.uint8]:
        """The ``width`` bytes from each position on, as rows of a matrix."""
        every = np.lib.stride_tricks.as_strided(
            self.octets, (self.size + PADDING - width + 1, width), (1, 1), writeable=False
        )
        return every[at]

    def starts_with(self, at: Positions, literal: bytes) -> Mask:
        """Whether the literal (at most ``PADDING`` bytes) stands at each position."""
        found = np.ones(len(at), dtype=np.bool_)
        for skip in range(0, len(literal), 8):
            part = literal[skip : skip + 8]
            found &= (self.words[at + skip] & _LOW_BYTES[len(part)]) == np.uint64(int.from_bytes(part, "little"))
        return found

    def equals(self, spans: Spans, literal: bytes) -> Mask:
        """Whether each span is the literal, byte for byte."""
        found: Mask = (spans.length == len(literal)) & self.starts_with(spans.start, literal)
        return found

    def integers(self, spans: Spans) -> tuple[NDArray[np.int64], Mask]:
        """Decimal numbers of 1 to 18 digits, and where the span is such a number."""
        width = int(min(18, spans.length.max(initial=1)))
        digits = self.windows(spans.start, width).astype(np.int64) - ord("0")
        inside = np.arange(width) < spans.length[:, None]
        valid = (((digits >= 0) & (digits <= 9)) | ~inside).all(axis=1) & (spans.length >= 1) & (spans.length <= 18)
        value = np.zeros(len(digits), dtype=np.int64)
        for place in range(width):
            value = np.where(inside[:, place], value * 10 + digits[:, place], value)
        return np.where(valid, value, 0), valid

    def decimals(self, spans: Spans) -> tuple[NDArray[np.float64], Mask]:
        """Numbers such as ``-12`` or ``0.0767`` with up to 15 digits, and where the span is such a number.

        Fifteen digits are exact in a double, so the value is the one that reading the text gives.
        """
        negative = self.octets[spans.start] == ord("-")
        start = spans.start + negative
        dot = np.minimum(self.next(b".", start), spans.end)
        fraction = np.maximum(spans.end - dot - 1, 0)
        whole, whole_valid = self.integers(Spans(start, dot))
        part, part_valid = self.integers(Spans(np.minimum(dot + 1, spans.end), spans.end))
        valid = whole_valid & np.where(dot < spans.end, part_valid, True) & (dot - start + fraction <= 15)
        scale = 10.0 ** np.where(valid, fraction, 0)
        value = (np.where(valid, whole, 0) * scale + np.where(valid & (fraction > 0), part, 0)) / scale
        return np.where(negative, -value, value), valid

    def strings(self, spans: Spans, present: Mask | None = None) -> pa.StringArray:
        """A text column over the spans; NULL where ``present`` is false. The spans must be valid UTF-8."""
        views = pa.py_buffer(self._views(spans))
        validity = None if present is None else pa.py_buffer(np.packbits(present, bitorder="little"))
        buffers = [validity, views, self._arrow]
        return pa.Array.from_buffers(pa.string_view(), len(spans.start), buffers).cast(pa.string())

    def filled(self, spans: Sequence[Spans]) -> list[pa.StringArray]:
        """Text columns over several lists of spans of one length; NULL where a span is empty.

        All are cut out together: the cost of a call counts more than that of a row in small batches.
        """
        together = Spans(np.concatenate([each.start for each in spans]), np.concatenate([each.end for each in spans]))
        column = self.strings(together, together.end > together.start)
        height = len(spans[0].start)
        return [column.slice(number * height, height) for number in range(len(spans))]

    @cached_property
    def is_ascii(self) -> bool:
        """Whether no byte is above 127; then every span is valid UTF-8."""
        return self._padded.isascii()

    @cached_property
    def _arrow(self) -> pa.Buffer:
        return pa.py_buffer(self._padded)

    def _views(self, spans: Spans) -> NDArray[np.uint32]:
        start, length = spans.start, spans.end - spans.start
        views = np.empty((len(start), 4), dtype=np.uint32)
        pairs = views.view(np.uint64)
        pairs[:, 0] = length.astype(np.uint64) | (self.words[start] << np.uint64(32))
        pairs[:, 1] = start.astype(np.uint64) << np.uint64(32)  # the number of the data buffer is 0
        inline = np.flatnonzero(length <= _INLINE_MAX_BYTES)
        short, at = length[inline], start[inline]
        head = self.words[at] & _LOW_BYTES[np.minimum(short, 8)]
        tail = self.words[at + 8] & _LOW_BYTES[np.maximum(short - 8, 0)]
        pairs[inline, 0] = short.astype(np.uint64) | (head << np.uint64(32))
        pairs[inline, 1] = (head >> np.uint64(32)) | (tail << np.uint64(32))
        return views


class Tokens(NamedTuple):
    """The blank-separated words of several spans, in order: where each stands and which span it is of."""

    start: Positions
    end: Positions
    row: Positions


def split_words(text: Text, spans: Spans) -> Tokens:
    """Cut each span at its blanks. Two blanks in a row give an empty word between them."""
    blanks = text.positions(b" ")
    low, high = np.searchsorted(blanks, spans.start), np.searchsorted(blanks, spans.end)
    words = high - low + 1
    row = np.repeat(np.arange(len(words)), words)
    last = np.cumsum(words) - 1
    first = last - words + 1
    following = np.arange(len(row)) + (low - first)[row]  # the blank behind each word
    boundary = np.append(blanks, text.size)
    end = boundary[following]
    start = boundary[following - 1] + 1
    start[first], end[last] = spans.start, spans.end
    return Tokens(start, end, row)
