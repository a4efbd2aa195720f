"""Lines of a web server's own log file, where no frame brings a time: they are stamped with the server's.

Beside the formats of ``access`` such files have ``common``, which ends with the bytes, and ``combined`` with more
fields behind it, as nginx' packages have it: ``"$http_x_forwarded_for"`` tells the client when a load balancer stood
before the server. Such lines are written as ``combined`` and read again; other fields behind it have no column.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from ingest.columns import booleans, indices, mask
from ingest.parsers import access
from ingest.rewriting import replaced
from ingest.schema import ACCESS

if TYPE_CHECKING:
    from ingest.records import Records
    from ingest.text import Mask

_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
_COMMON: Final = rf"[^ ]+ [^ ]+ [^ ]+ \[[^\]]{{26}}\] {_QUOTED} [0-9]{{3}} (?:[0-9]+|-)"
_COMMON_ALONE: Final = re.compile(_COMMON, re.DOTALL)
_COMBINED_AND_MORE: Final = re.compile(rf"({_COMMON} {_QUOTED} {_QUOTED}) .*", re.DOTALL)
_FORWARDED_FOR: Final = re.compile(r' "(?:[^",]*,)* *([0-9A-Fa-f.:]+)"')


def parse(records: Records) -> tuple[pa.RecordBatch, Mask]:
    """Rows of the access table in order, and which records are access lines; ``dyno`` and ``route`` are NULL."""
    table, found = access.parse(records)
    at = np.flatnonzero(found)
    others = np.flatnonzero(~found)
    combined = [_as_combined(message) for message in records.take(others).message_texts()]
    changed = others[[each is not None for each in combined]]
    if len(changed):
        text, message = replaced(records.text, records.message, changed, [each for each in combined if each])
        more, read = access.parse(replace(records, text=text, message=message).take(changed))
        at = np.concatenate([at, changed[read]])
        table = pa.concat_batches([table, more]).take(indices(np.argsort(at)))
    dated = mask(table["logged_at"].is_valid())
    table, at = table.filter(booleans(dated)), np.sort(at)[dated]
    found = np.zeros_like(found)
    found[at] = True
    return _stamped(table), found


def _stamped(table: pa.RecordBatch) -> pa.RecordBatch:
    columns = dict(zip(table.schema.names, table.columns, strict=True))
    columns |= {"timestamp": table["logged_at"], "dyno": pa.nulls(table.num_rows, ACCESS.arrow.field("dyno").type)}
    return pa.RecordBatch.from_pydict(columns, schema=table.schema)


def _as_combined(line: str) -> str | None:
    """A line in another format written as ``combined``, with the client's address in front; None for any other."""
    if _COMMON_ALONE.fullmatch(line):
        return f'{line} "-" "-"'
    match = _COMBINED_AND_MORE.fullmatch(line)
    if match is None:
        return None
    client = _FORWARDED_FOR.match(line, match.end(1))
    return client[1] + match[1][match[1].index(" ") :] if client else match[1]
