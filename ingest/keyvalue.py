"""``key=value`` lines with known keys, cut into one span per key: whole columns at a time.

A line is *regular* when each of its words is a known key with its value, no key comes twice, and quotes stand
only around whole values. Only regular lines are answered; the rest has to be read one by one. So raw quotes,
forged keys and anything unforeseen can make a line slow, never wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ingest.text import Spans, Tokens, split_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ingest.text import Mask, Positions, Text


class KeyValues(NamedTuple):
    """A span per key and line (empty where the key is absent or has no value), and which lines are regular."""

    values: Mapping[str, Spans]
    regular: Mask


def read(text: Text, lines: Spans, keys: Sequence[str]) -> KeyValues:
    """Cut the values of ``keys`` out of the lines."""
    order = np.argsort(lines.start, kind="stable")
    words = split_words(text, lines.take(order))
    words = Tokens(words.start, words.end, order[words.row])
    key, value_start = _known_keys(text, words, keys)
    value_end, covered, unclosed = _quotes(text, words, key, value_start, lines.end)
    regular = np.ones(len(order), dtype=np.bool_)
    regular[words.row[unclosed | ((key < 0) & ~covered)]] = False
    quoted = (key >= 0) & ~covered & (value_end != words.end)
    regular &= text.count(b'"', lines) == 2 * np.bincount(words.row[quoted], minlength=len(order))
    values = {}
    for number, name in enumerate(keys):
        found = np.flatnonzero((key == number) & ~covered)
        row = words.row[found]
        regular[row[1:][row[1:] == row[:-1]]] = False
        start, end = np.zeros(len(order), np.int64), np.zeros(len(order), np.int64)
        start[row], end[row] = value_start[found] + quoted[found], value_end[found]
        values[name] = Spans(start, end)
    return KeyValues(values, regular)


def _known_keys(text: Text, words: Tokens, keys: Sequence[str]) -> tuple[Positions, Positions]:
    """The number of the key that each word begins with (-1: none) and where its value begins."""
    heads = text.words[words.start]
    key = np.full(len(heads), -1, dtype=np.int64)
    value_start = words.start.copy()
    for number, name in enumerate(keys):
        literal = f"{name}=".encode()
        head = literal[:8]
        mask = np.uint64((1 << (8 * len(head))) - 1)
        found = np.flatnonzero((heads & mask) == np.uint64(int.from_bytes(head, "little")))
        found = found[text.starts_with(words.start[found] + len(head), literal[8:])]
        found = found[words.end[found] - words.start[found] >= len(literal)]
        key[found] = number
        value_start[found] += len(literal)
    return key, value_start


def _quotes(
    text: Text, words: Tokens, key: Positions, value_start: Positions, line_end: Positions
) -> tuple[Positions, Mask, Mask]:
    """Where each value ends, which words stand inside an earlier word's quotes, and which quotes never close."""
    opens = np.flatnonzero((key >= 0) & (text.octets[value_start] == ord('"')) & (value_start < words.end))
    closes = text.next(b'"', value_start[opens] + 1)
    value_end = words.end.copy()
    value_end[opens] = closes
    reach = np.zeros(len(key), dtype=np.int64)
    reach[opens] = closes
    covered = words.start < np.append(0, np.maximum.accumulate(reach)[:-1])[: len(key)]
    ends_word = (text.octets[closes + 1] == ord(" ")) | (closes + 1 == line_end[words.row[opens]])
    unclosed = np.zeros(len(key), dtype=np.bool_)
    unclosed[opens] = (closes >= line_end[words.row[opens]]) | ~ends_word
    return value_end, covered, unclosed
