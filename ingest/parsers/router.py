"""Lines of the Heroku router: regular ones by column, the odd ones one by one (``router_line``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest import keyvalue
from ingest.columns import constant, indices, numbers
from ingest.parsers import router_line
from ingest.parsers.router_line import NUMBERS, TEXTS
from ingest.records import replace_odd, rows
from ingest.schema import ROUTER
from ingest.text import Spans

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ingest.records import Records
    from ingest.text import Mask, Text

_TYPES: Final = {column.name: column.type for column in ROUTER.columns}
_IN_MILLISECONDS: Final = np.array([[column.endswith("_ms")] for column, _ in NUMBERS.values()])
_LARGEST: Final = np.array([[largest] for _, largest in NUMBERS.values()])
# Keys without a column whose few values are known: with at most one of them a line's `extra` is a constant.
CONSTANTS: Final = {"tls": (b"true", b"false"), "sock": (b"client", b"backend")}
_KEYS: Final = (*TEXTS, *NUMBERS, *CONSTANTS)


def parse(records: Records) -> pa.RecordBatch:
    """Rows of the router table, one per record, in order; ``route`` is left NULL for landing."""
    found = keyvalue.read(records.text, records.message, _KEYS)
    columns, regular = _integers(records.text, found.values, found.regular)
    extra, regular = _extra(records.text, found.values, regular)
    texts = records.text.filled([found.values[key] for key in TEXTS])
    columns |= dict(zip(TEXTS.values(), texts, strict=True))
    columns |= {"extra": extra, "client_ip": _client_ip(records.text, found.values["fwd"])}
    columns["source"] = constant("heroku", len(records))
    regular &= _stand_apart(found.values) & records.text.is_plain(found.values["fwd"])
    table = rows(ROUTER, records, columns)
    if regular.all():
        return table
    odd = records.take(~regular)
    lines = [router_line.parse(message) for message in odd.messages().to_pylist()]
    return replace_odd(table, ROUTER, odd, ~regular, lines)


def _stand_apart(values: Mapping[str, Spans]) -> Mask:
    """Whether the keys that Heroku writes behind the client's text follow it at once.

    A path or a forwarded_for with a quote in it could else end early and bring keys of its own.
    """
    apart = np.ones(len(values["path"].start), dtype=np.bool_)
    for client_text, following in (("path", "host"), ("fwd", "dyno")):
        end, start = values[client_text].end, values[following].start - len(following) - 1
        apart &= (end == 0) | (start - end == 1) | (start - end == 2)
    return apart


def _integers(text: Text, values: Mapping[str, Spans], regular: Mask) -> tuple[dict[str, pa.Array], Mask]:
    """The integer columns; a line with a value that is no such number is not regular."""
    start = np.array([values[key].start for key in NUMBERS])
    end = np.array([values[key].end for key in NUMBERS])
    milliseconds = text.starts_with(np.maximum(end - 2, 0).ravel(), b"ms").reshape(end.shape) & (end - start > 2)
    milliseconds &= _IN_MILLISECONDS
    value, valid = text.integers(Spans(start.ravel(), (end - 2 * milliseconds).ravel()))
    value, valid = value.reshape(end.shape), valid.reshape(end.shape)
    valid &= value <= _LARGEST
    columns = {
        column: numbers(value[row], _TYPES[column], valid[row]) for row, (column, _) in enumerate(NUMBERS.values())
    }
    return columns, regular & (valid | (start == end)).all(axis=0)


def _extra(text: Text, values: Mapping[str, Spans], regular: Mask) -> tuple[pa.Array, Mask]:
    extra = np.zeros(len(regular), dtype=np.int64)
    choices: list[str | None] = [None]
    for key, known in CONSTANTS.items():
        recognised = values[key].start == 0
        for value in known:
            is_value = text.equals(values[key], value)
            regular = regular & ~(is_value & (extra > 0))
            extra[is_value] = len(choices)
            choices.append(f'{{"{key}":"{value.decode()}"}}')
            recognised |= is_value
        regular = regular & recognised
    return pa.array(choices, pa.string()).take(indices(extra)), regular


def _client_ip(text: Text, forwarded_for: Spans) -> pa.Array:
    """The last address: the one the router saw itself; all before it is the client's word."""
    commas = np.append(-1, text.positions(b","))
    last = commas[np.searchsorted(commas, forwarded_for.end) - 1]
    start = np.where(last >= forwarded_for.start, last + 1, forwarded_for.start)
    if not (start > forwarded_for.start).any() and not text.count(b" ", forwarded_for).any():
        return text.filled([forwarded_for])[0]
    trimmed = pc.ascii_trim(text.strings(Spans(start, forwarded_for.end)), " ")
    return pc.if_else(pc.equal(trimmed, ""), None, trimmed)
