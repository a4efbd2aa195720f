"""Access lines of nginx and Apache: the predefined ``combined`` format, and the extended one of our docs.

On Heroku the combined lines come without the last quote: the buildpack's log redirection strips it. Lines whose
fields hold escapes or stray quotes are read one by one (``access_line``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from ingest import keyvalue
from ingest.columns import booleans, indices, numbers, timestamps
from ingest.parsers import access_line
from ingest.parsers.access_line import EXTENDED_TEXTS
from ingest.parsers.request import request_spans
from ingest.records import replace_odd, rows, rows_of_nothing
from ingest.schema import ACCESS
from ingest.text import Spans
from ingest.times import CLF_BYTES, clf_microseconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ingest.records import Records
    from ingest.text import Mask, Positions, Text

_EXTENDED: Final = access_line.EXTENDED.encode()
# key, column, its type, what one unit of the key is in units of the column, the largest value read by column
_EXTENDED_NUMBERS: Final = (
    ("ts", "logged_at", "TIMESTAMPTZ", 1_000_000, 10.0**10),
    ("status", "status", "SMALLINT", 1, 2.0**15 - 1),
    ("body_bytes_sent", "bytes", "BIGINT", 1, 10.0**15),
    ("request_time", "request_ms", "INTEGER", 1000, 10.0**6),
    ("upstream_time", "upstream_ms", "INTEGER", 1000, 10.0**6),
    ("gzip_ratio", "gzip_ratio", "DOUBLE", 1, 10.0**9),
)
_EXTENDED_UNUSED: Final = ("v", "bytes_sent", "request_length", "end")
_EXTENDED_KEYS: Final = (*EXTENDED_TEXTS, "xff", *(key for key, *_ in _EXTENDED_NUMBERS), *_EXTENDED_UNUSED)


def parse(records: Records) -> tuple[pa.RecordBatch, Mask]:
    """Rows of the access table in order, and which records are access lines; ``route`` is NULL for landing."""
    extended = records.text.starts_with(records.message.start, _EXTENDED)
    bracket = _brackets(records.text, records.message)
    found = np.zeros(len(records), dtype=np.bool_)
    batches, places = [], []
    for mask, read in ((extended, _extended), (~extended & (bracket > 0), _combined)):
        at = np.flatnonzero(mask)
        if len(at):
            chosen = records.take(at)
            batch, accepted = _rows(chosen, *read(chosen, bracket[at]))
            found[at[accepted]] = True
            batches.append(batch)
            places.append(at[accepted])
    return _in_order(batches, places), found


def _rows(records: Records, columns: Mapping[str, pa.Array], regular: Mask) -> tuple[pa.RecordBatch, Mask]:
    """The rows of regular lines and of the others that are access lines all the same, and which those are."""
    table = rows(ACCESS, records, {**columns, "dyno": records.processes()})
    if regular.all():
        return table, regular
    odd = records.take(~regular)
    lines = [access_line.parse(message) for message in odd.message_texts()]
    table = replace_odd(table, ACCESS, odd, ~regular, [line or {} for line in lines], keep=("dyno",))
    accepted = regular.copy()
    accepted[~regular] = [line is not None for line in lines]
    return table.filter(booleans(accepted)), accepted


def _in_order(batches: list[pa.RecordBatch], places: list[Positions]) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    if not batches:
        return rows_of_nothing(ACCESS)
    return pa.concat_batches(batches).take(indices(np.argsort(np.concatenate(places))))


def _brackets(text: Text, message: Spans) -> Positions:
    """Where ``[dd/Mon/yyyy:HH:MM:SS ±hhmm] "`` stands behind address, identity and user; 0 where it does not."""
    blanks = np.append(text.positions(b" "), np.full(3, text.size))
    first = np.searchsorted(blanks[:-3], message.start)
    blank = blanks[first + np.arange(3)[:, None]]
    bracket = np.minimum(blank[2] + 1, text.size)
    found = (bracket + CLF_BYTES + 4 <= message.end) & (text.octets[bracket] == ord("["))
    found &= (blank[0] > message.start) & (np.diff(blank, axis=0) > 1).all(axis=0)
    found &= text.starts_with(np.where(found, bracket + 1 + CLF_BYTES, 0), b'] "')
    return np.where(found, bracket, 0)


def _combined(records: Records, bracket: Positions) -> tuple[dict[str, pa.Array], Mask]:
    """The columns of combined lines, and which lines read so."""
    text, message = records.text, records.message
    quotes = np.append(text.positions(b'"'), np.full(6, text.size))
    quote = quotes[np.searchsorted(quotes[:-6], bracket) + np.arange(6)[:, None]]
    regular = (quote[4] < message.end) & ((quote[5] >= message.end) | (quote[5] == message.end - 1))
    regular &= (text.count(b"\\", message) == 0) & text.is_plain(Spans(message.start, bracket))
    quote = np.where(regular, quote, 0)
    logged_at_us, dated = clf_microseconds(text, bracket + 1)
    status, numbered = text.integers(Spans(quote[1] + 2, quote[1] + 5))
    size = Spans(quote[1] + 6, np.maximum(quote[2] - 1, quote[1] + 6))
    octets, counted = text.integers(size)
    regular &= dated & numbered & (counted | text.equals(size, b"-"))
    regular &= text.starts_with(quote[2] - 1, b' "') & (text.octets[quote[1] + 5] == ord(" "))
    regular &= text.starts_with(quote[1], b'" ') & text.starts_with(quote[3], b'" "')
    request, split = request_spans(text, Spans(quote[0] + 1, np.maximum(quote[1], quote[0] + 1)))
    regular &= split
    texts = request | {
        "client_ip": Spans(message.start, text.next(b" ", message.start)),
        "referrer": Spans(quote[2] + 1, quote[3]),
        "user_agent": Spans(quote[4] + 1, np.minimum(quote[5], message.end)),
    }
    columns = {
        "logged_at": timestamps(logged_at_us),
        "status": numbers(status, "SMALLINT", numbered),
        "bytes": numbers(octets, "BIGINT", counted),
    }
    return columns | _texts(text, texts, regular), regular


def _texts(text: Text, spans: Mapping[str, Spans], where: Mask) -> dict[str, pa.Array]:
    """Text columns; NULL for ``-``, for nothing, and outside ``where``."""
    present = [where & ~text.equals(each, b"-") for each in spans.values()]
    safe = [
        Spans(np.where(given, each.start, 0), np.where(given, each.end, 0))
        for given, each in zip(present, spans.values(), strict=True)
    ]
    return dict(zip(spans, text.filled(safe), strict=True))


def _extended(records: Records, _bracket: Positions) -> tuple[dict[str, pa.Array], Mask]:
    """The columns of extended lines, and which lines read so."""
    text, message = records.text, records.message
    start = np.minimum(message.start + len(b"nginx_access "), message.end)
    found = keyvalue.read(text, Spans(start, message.end), _EXTENDED_KEYS)
    regular = found.regular & (text.count(b",", found.values["xff"]) == 0) & text.is_plain(found.values["xff"])
    texts = {column: found.values[key] for key, column in EXTENDED_TEXTS.items()} | {"client_ip": found.values["xff"]}
    columns = _texts(text, texts, np.ones(len(records), dtype=np.bool_))
    for key, column, type_, scale, largest in _EXTENDED_NUMBERS:
        value, valid = text.decimals(found.values[key])
        empty = found.values[key].length == 0
        valid &= (value <= largest) & (text.octets[found.values[key].start] != ord("-"))
        valid &= scale == 1 or _is_usual(text, found.values[key])
        regular &= valid | empty
        scaled = value if scale == 1 else np.floor(value * scale + 0.5)
        columns[column] = numbers(np.where(valid, scaled, 0), type_, valid)
    return columns, regular & ~_has_fraction(text, found.values)


def _is_usual(text: Text, seconds: Spans) -> Mask:
    """No more than 12 digits before the dot and 6 behind it: ``access_line`` takes no more, and rounds no time."""
    dot = np.minimum(text.next(b".", seconds.start), seconds.end)
    usual: Mask = (dot - seconds.start <= 12) & (seconds.end - dot <= 7)
    return usual


def _has_fraction(text: Text, values: Mapping[str, Spans]) -> Mask:
    """Whether a whole number has a fraction, which makes it none."""
    return (text.count(b".", values["status"]) > 0) | (text.count(b".", values["body_bytes_sent"]) > 0)
