"""Access lines of nginx and Apache: the predefined ``combined`` format, and the extended one of our docs.

On Heroku the combined lines come without the last quote: the buildpack's log redirection strips it. Lines whose
fields hold escapes or stray quotes are read one by one (``access_line``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa

from ingest.parsers import access_line
from ingest.records import numbers, replace_odd, rows, timestamps
from ingest.schema import ACCESS
from ingest.text import Spans
from ingest.times import CLF_BYTES, clf_microseconds

if TYPE_CHECKING:
    from ingest.records import Records
    from ingest.text import Mask, Positions, Text

EXTENDED: Final = b"nginx_access "
_HEAD_MAX_BYTES: Final = 512  # address, identity and user stand within so many bytes


class _Heads(NamedTuple):
    """What stands before the request: the blanks behind address, identity and user, and the time."""

    blank: Positions
    logged_at_us: Positions
    bracket: Positions


def recognise(records: Records) -> Mask:
    """Which messages of dynos are access lines."""
    return _combined_heads(records)[1] | records.text.starts_with(records.message.start, EXTENDED)


def parse(records: Records) -> pa.RecordBatch:
    """Rows of the access table, one per record, in order; ``route`` is left NULL for landing."""
    heads, combined = _combined_heads(records)
    columns, regular = _combined(records.text, records.message, heads)
    regular &= combined
    table = rows(ACCESS, records, {**columns, "dyno": records.processes()})
    return replace_odd(table, ACCESS, records, ~regular, access_line.parse, keep=("dyno",))


def _combined_heads(records: Records) -> tuple[_Heads, Mask]:
    """``address identity user [dd/Mon/yyyy:HH:MM:SS ±hhmm] "``."""
    text, message = records.text, records.message
    blanks = np.append(text.positions(b" "), np.full(3, text.size))
    first = np.searchsorted(blanks[:-3], message.start)
    blank = blanks[first + np.arange(3)[:, None]]
    bracket = np.minimum(blank[2] + 1, text.size)
    found = (bracket < message.end) & (text.octets[bracket] == ord("["))
    found &= (bracket - message.start <= _HEAD_MAX_BYTES) & (blank[0] > message.start)
    logged_at_us, dated = clf_microseconds(text, np.where(found, bracket + 1, 0))
    found &= dated & text.starts_with(np.where(found, bracket + 1 + CLF_BYTES, 0), b'] "')
    found &= bracket + CLF_BYTES + 4 <= message.end
    return _Heads(blank, logged_at_us, bracket), found


def _combined(text: Text, message: Spans, heads: _Heads) -> tuple[dict[str, pa.Array], Mask]:
    """The columns of combined lines, and which lines read so."""
    quotes = np.append(text.positions(b'"'), np.full(6, text.size))
    quote = quotes[np.searchsorted(quotes[:-6], heads.bracket) + np.arange(6)[:, None]]
    regular = (quote[4] < message.end) & ((quote[5] >= message.end) | (quote[5] == message.end - 1))
    regular &= text.count(b"\\", message) == 0
    quote = np.where(regular, quote, 0)
    status, numbered = text.integers(Spans(quote[1] + 2, quote[1] + 5))
    size = Spans(quote[1] + 6, np.maximum(quote[2] - 1, quote[1] + 6))
    octets, counted = text.integers(size)
    regular &= numbered & (counted | text.equals(size, b"-")) & text.starts_with(quote[2] - 1, b' "')
    regular &= text.starts_with(quote[1], b'" ') & text.starts_with(quote[3], b'" "')
    request, split = _request(text, Spans(quote[0] + 1, np.maximum(quote[1], quote[0] + 1)))
    columns = request | {
        "logged_at": timestamps(heads.logged_at_us),
        "client_ip": _text(text, Spans(message.start, heads.blank[0]), regular),
        "status": numbers(status, "SMALLINT", numbered),
        "bytes": numbers(octets, "BIGINT", counted),
        "referrer": _text(text, Spans(quote[2] + 1, quote[3]), regular),
        "user_agent": _text(text, Spans(quote[4] + 1, np.minimum(quote[5], message.end)), regular),
    }
    return columns, regular & split


def _request(text: Text, span: Spans) -> tuple[dict[str, pa.Array], Mask]:
    """``METHOD path PROTOCOL``; a path may hold raw blanks, so the first and the last blank count."""
    blanks = np.append(text.positions(b" "), text.size)
    first = blanks[np.searchsorted(blanks[:-1], span.start)]
    last = blanks[np.maximum(np.searchsorted(blanks[:-1], span.end) - 1, 0)]
    whole = (first < last) & (last < span.end) & text.starts_with(last + 1, b"HTTP/") & (first > span.start)
    method, path = Spans(span.start, first), Spans(first + 1, last)
    protocol = Spans(last + 1, span.end)
    named = {"method": method, "path": path, "protocol": protocol}
    return {name: _text(text, part, whole) for name, part in named.items()}, whole


def _text(text: Text, spans: Spans, where: Mask) -> pa.Array:
    """A text column; NULL for ``-``, for nothing, and outside ``where``."""
    safe = Spans(np.where(where, spans.start, 0), np.where(where, spans.end, 0))
    return text.strings(safe, where & (safe.length > 0) & ~text.equals(safe, b"-"))
