r"""Error events of PHP, php-fpm and nginx.

They are told from a dyno's other output by column, then read one by one (``php_line``): their shapes are many, and
one by one is the faster way up to hundreds of lines in a batch.

One event can span several lines that nothing ties together but their order. Lines that can only be a
continuation are marked ``continues`` here and joined to their head at landing, since a delivery can end
between them. A line of no known shape is a continuation only between a head that broke off and the line that
completes it, within one batch.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from ingest.columns import booleans, matches
from ingest.parsers import php_line
from ingest.parsers.php_line import DATE, LEVELS, Row
from ingest.records import read_singly
from ingest.schema import CONTINUES, PHP

if TYPE_CHECKING:
    import pyarrow as pa

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
_OF_SLOW_LOG: Final = re.compile(_SLOW_LOG_LINE)
_CAN_OPEN: Final = rf"{_LEVELLED}|{php_line.WRAPPER}"
# A sieve: behind a colon or a blank it can be the whole message, ``in FILE on line N``, which is no place.
_PLACED: Final = rf"(?s)[^ :] in {php_line.FILE}.* on line [0-9]+$|[^ :] in (?:/|[A-Za-z]:[\\/]|phar:).*:[0-9]+$"

# What a line of this table can begin with: a sieve for the expressions above.
_FIRST_BYTES: Final = np.isin(np.arange(256), list(b"[PFS# s+WENA0123456789"))


def recognise(records: Records) -> tuple[Mask, Mask]:
    """Which messages of dynos belong to the php table, and which of these continue an event."""
    possible = _FIRST_BYTES[records.text.octets[records.message.start]]
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
    octets: bytes = records.text.slice(int(records.message.start[row]), int(records.message.end[row]))
    return octets.decode()


def _between(records: Records, head: Mask, continues: Mask, broken: list[int]) -> list[int]:
    """Lines of unknown shape between a head that broke off and the line of the same dyno that completes it."""
    dynos = list(zip(_apps(records), records.process_texts(), strict=True))
    opening = frozenset(broken)
    waiting: dict[tuple[str, str], list[int]] = {}
    joined: list[int] = []
    for row in range(broken[0], len(dynos)):
        dyno = dynos[row]
        if head[row]:
            waiting.pop(dyno, None)
            if row in opening:
                waiting[dyno] = []
        elif dyno in waiting:
            waiting[dyno] += [] if continues[row] else [row]
            if php_line.closes(_message(records, row)):
                joined += waiting.pop(dyno)
    return joined


def _apps(records: Records) -> list[str]:
    return [records.apps[part] for part in records.part.tolist()]


def parse(records: Records, continues: Mask) -> pa.RecordBatch:
    """Rows of the php table with ``continues`` behind them, one per record, in order; ``route`` is NULL."""
    lines = [
        _continuation(message) if continued else php_line.parse(message)
        for message, continued in zip(records.message_texts(), continues.tolist(), strict=True)
    ]
    table = read_singly(PHP, records, lines, {"dyno": records.processes()})
    return table.append_column(CONTINUES, booleans(continues))


def _continuation(message: str) -> Row:
    """Continuation rows have their text, their component, time and dyno; nothing else is known of them."""
    of_slow_log = _OF_SLOW_LOG.match(message) is not None
    return {"component": "php-fpm" if of_slow_log else "php", "message": message}
