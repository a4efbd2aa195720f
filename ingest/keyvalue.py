"""``key=value`` lines with known keys, cut into one span per key: whole columns at a time.

A line is *regular* when each of its words is a known key with its value, no key comes twice, and quotes stand
only around whole values that do not begin with a blank: `` agent=" host=`` can be the end of a client's path. Only
regular lines are answered; the rest has to be read one by one. So raw quotes, forged keys and anything unforeseen can
make a line slow, never wrong.

Most lines of a batch have the same keys in the same order. For each number of words one line is read word by word;
lines that have its keys at the same places are cut like it, and only the others are read word by word too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ingest.text import Spans, Tokens, split_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ingest.text import Mask, Positions, Text


ALIKE_MIN_LINES: Final = 64  # reading a sample word by word costs as much as reading so many lines that way


class KeyValues(NamedTuple):
    """A span per key and line (empty where the key is absent or has no value), and which lines are regular."""

    values: Mapping[str, Spans]
    regular: Mask


def read(text: Text, lines: Spans, keys: Sequence[str]) -> KeyValues:
    """Cut the values of ``keys`` out of the lines."""
    order = np.argsort(lines.start, kind="stable")  # rewritten lines stand behind all others
    words = split_words(text, lines.take(order))
    start = np.zeros((len(keys), len(order)), dtype=np.int64)
    end = np.zeros_like(start)
    regular = np.zeros(len(order), dtype=np.bool_)
    rest = _read_alike(text, lines.take(order), words, keys, (start, end, regular))
    if len(rest):
        some = split_words(text, lines.take(order[rest]))
        start[:, rest], end[:, rest], regular[rest] = _read_word_by_word(text, lines.take(order[rest]), some, keys)
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    regular &= text.count(b"\\", lines.take(order)) == 0  # a backslash may stand before a quote to escape it
    values = {key: Spans(start[number][back], end[number][back]) for number, key in enumerate(keys)}
    return KeyValues(values, regular[back])


_Answer = tuple["NDArray[np.int64]", "NDArray[np.int64]", "Mask"]  # start and end by key and line, regular by line


def _read_alike(text: Text, lines: Spans, words: Tokens, keys: Sequence[str], answer: _Answer) -> Positions:
    """Fill in the lines that are laid out like another with as many words; the lines that are not."""
    first = np.flatnonzero(np.append(True, words.row[1:] != words.row[:-1])) if len(words.row) else words.row
    count = np.diff(np.append(first, len(words.row)))
    rest = []
    for number in np.unique(count):
        rows = np.flatnonzero(count == number)
        if len(rows) < ALIKE_MIN_LINES:
            rest.append(rows)
            continue
        at = first[rows] + np.arange(number)[:, None]  # word by line
        alike = _cut_like_the_first(text, lines, Spans(words.start[at], words.end[at]), rows, keys, answer)
        rest.append(rows[~alike])
    return np.sort(np.concatenate(rest)) if rest else words.row


def _cut_like_the_first(
    text: Text, lines: Spans, words: Spans, rows: Positions, keys: Sequence[str], answer: _Answer
) -> Mask:
    """Cut lines like the first of them; which lines could be."""
    sample = Tokens(words.start[:, 0], words.end[:, 0], np.zeros(len(words.start), dtype=np.int64))
    sample_start, sample_end, sample_regular = _read_word_by_word(text, lines.take(rows[:1]), sample, keys)
    alike = np.full(len(rows), sample_regular[0])
    if not sample_regular[0]:
        return alike
    quotes = 0
    cuts = []
    for key in np.flatnonzero(sample_start[:, 0]).tolist():
        literal = f"{keys[key]}=".encode()
        word = int(np.searchsorted(sample.start, sample_start[key, 0], side="right")) - 1
        quoted = int(sample_start[key, 0] - sample.start[word] - len(literal))
        last = int(np.searchsorted(sample.end, sample_end[key, 0] + quoted))
        start, end = words.start[word] + len(literal) + quoted, words.end[last] - quoted
        alike &= text.starts_with(words.start[word], literal + b'"' * quoted) & (end >= start)
        alike &= ~np.bool_(quoted) | ((text.octets[end] == ord('"')) & (text.octets[start] != ord(" ")))
        quotes += 2 * quoted
        cuts.append((key, start, end))
    alike &= text.count(b'"', lines.take(rows)) == quotes
    for key, start, end in cuts:
        answer[0][key, rows], answer[1][key, rows] = np.where(alike, start, 0), np.where(alike, end, 0)
    answer[2][rows] = alike
    return alike


def _read_word_by_word(text: Text, lines: Spans, words: Tokens, keys: Sequence[str]) -> _Answer:
    """Where the value of each key stands in each line, and which lines are regular."""
    key, value_start = _known_keys(text, words, keys)
    value_end, covered, unclosed = _quotes(text, words, key, value_start, lines.end)
    height = len(lines.start)
    regular = np.ones(height, dtype=np.bool_)
    regular[words.row[unclosed | ((key < 0) & ~covered)]] = False
    quoted = (key >= 0) & ~covered & (value_end != words.end)
    regular &= text.count(b'"', lines) == 2 * np.bincount(words.row[quoted], minlength=height)
    start, end = np.zeros((len(keys), height), np.int64), np.zeros((len(keys), height), np.int64)
    for number in range(len(keys)):
        found = np.flatnonzero((key == number) & ~covered)
        row = words.row[found]
        regular[row[1:][row[1:] == row[:-1]]] = False
        start[number, row], end[number, row] = value_start[found] + quoted[found], value_end[found]
    return start, end, regular


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
    reach[opens] = np.minimum(closes, line_end[words.row[opens]])  # a quote that never closes covers no other line
    covered = words.start < np.append(0, np.maximum.accumulate(reach)[:-1])[: len(key)]
    ends_word = (text.octets[closes + 1] == ord(" ")) | (closes + 1 == line_end[words.row[opens]])
    begins_blank = text.octets[value_start[opens] + 1] == ord(" ")
    unclosed = np.zeros(len(key), dtype=np.bool_)
    unclosed[opens] = (closes >= line_end[words.row[opens]]) | ~ends_word | begins_blank
    return value_end, covered, unclosed
