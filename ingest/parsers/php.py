r"""Error events of PHP, php-fpm and nginx.

PHP writes ``[date zone] PHP LEVEL:  message in FILE on line N``, by far the most frequent shape: it is read by
column. The others are read one by one (``php_line``): php-fpm's ``[date] LEVEL: …`` and slow-log blocks, nginx'
lines, and the PHP messages that nginx and Apache wrap into theirs, which are unwrapped.

One event can span several lines that nothing ties together but their order. Lines that can only be a
continuation are marked ``continues`` here and joined to their head at landing, since a delivery can end
between them. A line of no known shape is a continuation only between a head that broke off and the line that
completes it, within one batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.columns import booleans, integers, mask, matches, numbers
from ingest.parsers import php_line
from ingest.parsers.numbers import BIGINT_MAX, INTEGER_MAX, whole
from ingest.parsers.php_line import DATE, LEVELS
from ingest.records import replace_odd, rows
from ingest.schema import ARROW_TYPES, PHP

if TYPE_CHECKING:
    from ingest.records import Records
    from ingest.text import Mask

_LEVELLED: Final = rf"PHP (?:{'|'.join(LEVELS)}): "
_DATED: Final = rf"^\[{DATE} [^\]]+\] "
_HEAD: Final = (
    rf"(?s){_DATED}|^(?:{php_line.FPM}|{php_line.SLOW_LOG}$|{php_line.NGINX}|{php_line.WRAPPER}|{php_line.BARE}"
    rf"|{_LEVELLED}|{php_line.APACHE})"
)
_SLOW_LOG_LINE: Final = r"script_filename = |\[0x[0-9a-f]{16}\] |\+\+\+ dump failed"
_CONTINUES: Final = (
    r"(?s)^(?:Stack trace:$|#[0-9]+ (?:/|\{main\}|\[internal function\]|phar:|[A-Za-z]:[\\/])"
    r"|  thrown in .* on line [0-9]+(?:$|" + php_line.END_OF_WRAPPER + ")"
    rf"|{_SLOW_LOG_LINE})"
)
_OF_SLOW_LOG: Final = rf"^(?:{_SLOW_LOG_LINE})"
_CAN_OPEN: Final = rf"{_LEVELLED}|{php_line.WRAPPER}"
_PLACED: Final = r"(?s) in \S.* on line [0-9]+$| in (?:/|[A-Za-z]:[\\/]|phar:).*:[0-9]+$"
_WRAPPED: Final = rf"^\[{DATE} [^\]]+\] {php_line.BARE}"
_ERROR: Final = rf"(?s)^\[{DATE} [^\]]+\] (?:PHP (?P<level>{'|'.join(LEVELS)}):  ?)?(?P<text>.*)$"
_PLACE: Final = r"(?s)^(?P<message>.*) in (?P<file>\S.*?) on line (?P<line>[0-9]+)$"
_COLON_PLACE: Final = r"(?s)^(?P<message>.*) in (?P<file>(?:/|[A-Za-z]:[\\/]|phar:).*):(?P<line>[0-9]+)$"
_MEMORY: Final = (
    r"Allowed memory size of (?P<limit>[0-9]+) bytes exhausted(?: at \S+)?"
    r" \(tried to allocate (?P<wanted>[0-9]+) bytes\)"
)

# What a line of this table can begin with; a cheap sieve before the expressions above.
_BEGINNINGS: Final = (
    b"[", b"PHP ", b"FastCGI ", b"Stack ", b"#", b"  thrown ", b"script_", b"+++ ", b"WARNING: [", b"ERROR: ",
    b"NOTICE: [", b"ALERT: [", *(b"%d" % digit for digit in range(10)),
)  # fmt: skip


def recognise(records: Records) -> tuple[Mask, Mask]:
    """Which messages of dynos belong to the php table, and which of these continue an event."""
    possible = np.zeros(len(records), dtype=np.bool_)
    for beginning in _BEGINNINGS:
        possible |= records.text.starts_with(records.message.start, beginning)
    head, continues = np.zeros_like(possible), np.zeros_like(possible)
    at = np.flatnonzero(possible & (records.message.length > 0))
    messages = records.take(at).messages()
    continues[at] = matches(messages, _CONTINUES)
    head[at] = matches(messages, _HEAD) & ~continues[at]
    unplaced = matches(messages, _CAN_OPEN) & ~(matches(messages, _PLACED) & ~matches(messages, php_line.WRAPPER))
    broken = [row for row in at[unplaced & head[at]].tolist() if php_line.opens(_message(records, row))]
    if broken:
        continues[_between(records, head, continues, broken)] = True
    return head | continues, continues


def _message(records: Records, row: int) -> str:
    return records.text.slice(records.message.start[row], records.message.end[row]).decode()


def _between(records: Records, head: Mask, continues: Mask, broken: list[int]) -> list[int]:
    """Lines of unknown shape between a head that broke off and the line of the same dyno that completes it."""
    dynos = list(zip(records.app.tolist(), records.processes().to_pylist(), strict=True))
    waiting: dict[tuple[int, str], list[int]] = {}
    joined: list[int] = []
    for row in range(broken[0], len(dynos)):
        dyno = dynos[row]
        if head[row]:
            waiting.pop(dyno, None)
            if row in broken:
                waiting[dyno] = []
        elif dyno in waiting:
            waiting[dyno] += [] if continues[row] else [row]
            if php_line.closes(_message(records, row)):
                joined += waiting.pop(dyno)
    return joined


def parse(records: Records, continues: Mask) -> pa.RecordBatch:
    """Rows of the php table with ``continues`` behind them, one per record, in order; ``route`` is NULL."""
    messages = records.messages()
    regular = matches(messages, _DATED) & ~matches(messages, _WRAPPED)
    table = rows(PHP, records, _errors(messages) | {"dyno": records.processes()})
    if continues.any():
        table = _with_continuations(table, messages, continues)
    odd = ~regular & ~continues
    if odd.any():
        lines = [php_line.parse(message) for message in records.take(odd).messages().to_pylist()]
        table = replace_odd(table, PHP, records.take(odd), odd, lines, keep=("dyno",))
    return table.append_column("continues", booleans(continues))


def _errors(messages: pa.StringArray) -> dict[str, pa.Array]:
    """The columns of dated PHP errors; the other rows are filled later."""
    parts = pc.extract_regex(messages, _ERROR)
    level, text = parts.field("level"), _group(parts, "text")
    message, file, line = _place(text)
    columns = {
        "component": pa.repeat("php", len(messages)),
        "level": pc.if_else(pc.equal(level, ""), None, level),
        "message": pc.coalesce(message, text),
        "file": file,
        "line": _integers(line, "INTEGER", INTEGER_MAX),
    }
    return columns | _memory(text)


def _place(text: pa.StringArray) -> list[pa.StringArray]:
    """Message, file and line of errors that name their place."""
    place = pc.extract_regex(text, _PLACE)
    groups = [_group(place, name) for name in ("message", "file", "line")]
    if place.null_count > text.null_count:
        colon = pc.extract_regex(text, _COLON_PLACE)
        groups = [
            pc.coalesce(group, _group(colon, name))
            for group, name in zip(groups, ("message", "file", "line"), strict=True)
        ]
    return groups


def _memory(text: pa.StringArray) -> dict[str, pa.Array]:
    if not pc.any(pc.match_substring(text, "Allowed memory size")).as_py():
        return {}
    memory = pc.extract_regex(text, _MEMORY)
    return {
        "memory_limit_bytes": _integers(_group(memory, "limit"), "BIGINT", BIGINT_MAX),
        "memory_wanted_bytes": _integers(_group(memory, "wanted"), "BIGINT", BIGINT_MAX),
    }


def _group(extracted: pa.StructArray, name: str) -> pa.StringArray:
    """One group of an expression; NULL where the expression did not match."""
    group = extracted.field(name)
    return pc.if_else(pc.is_valid(extracted), group, None) if extracted.null_count else group


def _integers(digits: pa.StringArray, type_: str, largest: int) -> pa.Array:
    """Numbers of up to 18 digits by column; longer ones, which attackers write, one by one."""
    if (pc.max(pc.binary_length(digits)).as_py() or 0) > 18:
        return pa.array([whole(each, largest) for each in digits.to_pylist()], ARROW_TYPES[type_])
    numeric = pc.cast(digits, pa.int64())
    valid = mask(pc.less_equal(numeric, largest))
    return numbers(integers(numeric.fill_null(0)), type_, valid)


def _with_continuations(table: pa.RecordBatch, messages: pa.StringArray, continues: Mask) -> pa.RecordBatch:
    """Continuation rows have their text, their component, time and place; nothing else is known of them."""
    marked = booleans(continues)
    of_slow_log = booleans(matches(messages, _OF_SLOW_LOG))
    given = {"message": messages, "component": pc.if_else(of_slow_log, "php-fpm", "php")}
    arrays = [
        column
        if field.name in {"timestamp", "app", "dyno"}
        else pc.if_else(marked, given.get(field.name, pa.scalar(None, field.type)), column)
        for field, column in zip(table.schema, table.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=table.schema)
