"""The request line ``METHOD path PROTOCOL`` cut by column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ingest.text import Spans

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingest.text import Mask, Text

WORD_MAX_BYTES: Final = 16
VERSION: Final = np.isin(np.arange(256), list(b"0123456789."))
_CAPITALS: Final = np.isin(np.arange(256), list(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ-_"))


def request_spans(text: Text, span: Spans) -> tuple[dict[str, Spans], Mask]:
    """``METHOD path PROTOCOL``; a path may hold raw blanks, so the first and the last blank count."""
    blanks = np.append(text.positions(b" "), text.size)
    first = blanks[np.searchsorted(blanks[:-1], span.start)]
    last = blanks[np.maximum(np.searchsorted(blanks[:-1], span.end) - 1, 0)]
    whole = (first + 1 < last) & (last + 6 < span.end) & text.starts_with(last + 1, b"HTTP/") & (first > span.start)
    whole &= all_in(text, Spans(span.start, np.minimum(first, span.start + WORD_MAX_BYTES + 1)), _CAPITALS)
    whole &= all_in(text, Spans(last + 6, np.minimum(span.end, last + 12)), VERSION) & (span.end - last < 12)
    # A lone `-` is a method or a path like any other here, but stands for nothing in other fields: read one by one.
    for word in (Spans(span.start, first), Spans(first + 1, last)):
        whole &= ~text.equals(word, b"-")
    return {
        "method": Spans(span.start, first),
        "path": Spans(first + 1, last),
        "protocol": Spans(last + 1, span.end),
    }, whole


def all_in(text: Text, spans: Spans, allowed: NDArray[np.bool_]) -> Mask:
    """Whether spans of at most ``WORD_MAX_BYTES`` hold nothing but allowed bytes."""
    window = text.windows(spans.start, WORD_MAX_BYTES)
    inside = np.arange(WORD_MAX_BYTES) < spans.length[:, None]
    return (allowed[window] | ~inside).all(axis=1) & (spans.length <= WORD_MAX_BYTES)
