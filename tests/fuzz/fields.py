"""Targets of the pieces that parsers are made of: redaction, keys and values, times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ingest import keyvalue, redaction
from ingest.parsers.router import CONSTANTS
from ingest.parsers.router_line import NUMBERS, TEXTS
from ingest.rewriting import printable, storable
from ingest.text import Spans, Text
from ingest.times import clf_microseconds, iso_microseconds
from tests.fuzz.inputs import parts
from tests.fuzz.survivors import survivors
from tests.ingest.reference import access as reference_access
from tests.ingest.reference import header as reference_header
from tests.ingest.reference import redaction as reference_redaction
from tests.ingest.reference import router as reference_router
from tests.ingest.reference.header import Line

if TYPE_CHECKING:
    from collections.abc import Sequence

KEYS: Final = (*TEXTS, *NUMBERS, *CONSTANTS)
COPIES: Final = keyvalue.ALIKE_MIN_LINES + 1  # so many lines are cut like the first of them


def _laid_out(lines: Sequence[bytes]) -> tuple[Text, Spans]:
    end = np.cumsum([len(line) for line in lines], dtype=np.int64)
    return Text(b"".join(lines)), Spans(end - np.array([len(line) for line in lines], dtype=np.int64), end)


def redacted(data: bytes) -> None:
    """Redaction is the reference's, leaves no secret, changes nothing the second time, and its sieve misses none."""
    messages = [printable(part) for part in parts(data)]
    for message in messages:
        clean = redaction.redact(message)
        assert clean == reference_redaction.redact(message)
        assert redaction.redact(clean) == clean
        assert not survivors(clean), clean
        command = f"{redaction.COMMAND} `{message}`"
        clean = redaction.redact_command(command)
        assert clean == reference_redaction.redact_command(reference_redaction.redact(command))
    text, spans = _laid_out([message.encode() for message in messages])
    text, spans = storable(text, spans, np.zeros(len(messages), dtype=np.bool_))
    read = [text.slice(int(start), int(end)).decode() for start, end in zip(*spans, strict=True)]
    assert read == [redaction.redact(message) for message in messages]


def key_values(data: bytes) -> None:
    """Lines in any company are cut as alone; the values and keys of a regular line are the line, byte for byte."""
    lines = parts(data)[:6]
    alone = [_cut(line) for line in lines]
    text, spans = _laid_out(lines * COPIES)
    found = keyvalue.read(text, spans, KEYS)
    for row, start in enumerate(spans.start.tolist()):
        values, regular = alone[row % len(lines)]
        assert bool(found.regular[row]) == regular
        if regular:
            spans_of_row = {key: (int(at.start[row]), int(at.end[row])) for key, at in found.values.items()}
            assert {key: (low - start, high - start) for key, (low, high) in spans_of_row.items() if low} == values


def _cut(line: bytes) -> tuple[dict[str, tuple[int, int]], bool]:
    reference_router.parse(Line(0, "heroku", "router", printable(line)))  # its branches lead the fuzzer
    # A byte in front: an absent value is told by its start of 0.
    text = Text(b" " + line)
    found = keyvalue.read(text, Spans(np.array([1]), np.array([len(line) + 1])), KEYS)
    values = {key: (int(at.start[0]) - 1, int(at.end[0]) - 1) for key, at in found.values.items() if at.start[0]}
    if not found.regular[0]:
        return {}, False
    words = []
    for key, (start, end) in sorted(values.items(), key=lambda item: item[1]):
        quote = b'"' if line[start - 1 : start] == b'"' else b""
        words.append(key.encode() + b"=" + quote + line[start:end] + quote)
    assert b" ".join(words) == line
    return values, True


def times(data: bytes) -> None:
    """Stamps of headers and of web servers, a column at a time, are those that ``datetime`` reads one by one."""
    stamps = parts(data)
    text, spans = _laid_out(stamps)
    found, valid = iso_microseconds(text, spans)
    for row, stamp in enumerate(stamps):
        wanted = reference_header.microseconds(reference_header.text(stamp))
        assert (int(found[row]) if valid[row] else None) == wanted
    fitting = [stamp for stamp in stamps if reference_access.COMBINED.fullmatch(_in_a_line(stamp))]
    text, spans = _laid_out(fitting)
    found, valid = clf_microseconds(text, spans.start)
    for row, stamp in enumerate(fitting):
        wanted = reference_access._logged_at(stamp.decode())
        assert (int(found[row]) if valid[row] else None) == wanted


def _in_a_line(stamp: bytes) -> str:
    return f'a - - [{printable(stamp)}] "-" 200 1 "-" "-"'
