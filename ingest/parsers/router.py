"""Lines of the Heroku router: regular ones by column, the odd ones one by one (``router_line``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from ingest import keyvalue
from ingest.parsers import router_line
from ingest.records import reread, rows
from ingest.schema import ROUTER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ingest.records import Records
    from ingest.text import Mask, Spans, Text

TEXTS: Final = {
    "at": "level",
    "code": "code",
    "desc": "description",
    "method": "method",
    "host": "host",
    "path": "path",
    "request_id": "request_id",
    "fwd": "forwarded_for",
    "dyno": "dyno",
    "protocol": "protocol",
    "tls_version": "tls_version",
    "agent": "user_agent",
}
INTEGERS: Final = {"connect": "connect_ms", "service": "service_ms", "status": "status", "bytes": "bytes"}
# Keys without a column whose few values are known: with at most one of them a line's `extra` is a constant.
CONSTANTS: Final = {"tls": (b"true", b"false"), "sock": (b"client", b"backend")}
_INTEGER_MAX: Final = {"connect": 2**31 - 1, "service": 2**31 - 1, "status": 2**15 - 1, "bytes": 2**63 - 1}
_KEYS: Final = (*TEXTS, *INTEGERS, *CONSTANTS)


def parse(records: Records) -> pl.DataFrame:
    """Rows of the router table, one per record, in order; ``route`` is left NULL for landing."""
    found = keyvalue.read(records.text, records.message, _KEYS)
    numbers, regular = _integers(records.text, found.values, found.regular)
    extra, regular = _extra(records.text, found.values, regular)
    columns = {column: records.text.filled(found.values[key]) for key, column in TEXTS.items()}
    columns |= numbers | {"extra": extra, "client_ip": _client_ip(columns["forwarded_for"])}
    columns["source"] = pl.repeat("heroku", len(records), eager=True)
    table = rows(ROUTER, records, columns)
    return table if regular.all() else reread(table, ROUTER, 2, records, ~regular, router_line.parse)


def _integers(text: Text, values: Mapping[str, Spans], regular: Mask) -> tuple[dict[str, pl.Series], Mask]:
    """The integer columns; a line with a value that is no such number is not regular."""
    numbers = {}
    for key, column in INTEGERS.items():
        value = values[key]
        if column.endswith("_ms"):
            milliseconds = text.starts_with(np.maximum(value.end - 2, 0), b"ms") & (value.length > 2)
            value = value._replace(end=value.end - 2 * milliseconds)
        number, valid = text.integers(value)
        valid &= number <= _INTEGER_MAX[key]
        regular = regular & (valid | (value.length == 0))
        numbers[column] = pl.Series(number).set(pl.Series(~valid), None)
    return numbers, regular


def _extra(text: Text, values: Mapping[str, Spans], regular: Mask) -> tuple[pl.Series, Mask]:
    extra = np.zeros(len(regular), dtype=np.uint32)
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
    return pl.Series(choices, dtype=pl.String).gather(extra), regular


def _client_ip(forwarded_for: pl.Series) -> pl.Series:
    """The last address: the one the router saw itself; all before it is the client's word."""
    last = forwarded_for.str.replace(r"^.*,", "").str.strip_chars(" ")
    return last.set(last.str.len_bytes() == 0, None)
