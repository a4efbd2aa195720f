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
import polars as pl

from ingest.parsers import php_line
from ingest.parsers.php_line import COLON_PLACE, DATE, LEVELS, LINE_MAX, MEMORY, PLACE
from ingest.records import reread, rows
from ingest.schema import PHP

if TYPE_CHECKING:
    from ingest.records import Records
    from ingest.text import Mask, Positions

_LEVELLED: Final = rf"PHP (?:{'|'.join(LEVELS)}): "
_DATED: Final = rf"^\[{DATE} [^\]]+\] "
_HEAD: Final = (
    rf"(?s){_DATED}|^(?:{php_line.FPM}|{php_line.SLOW_LOG}$|{php_line.NGINX}|{php_line.WRAPPER}|{php_line.BARE}"
    rf"|{_LEVELLED}|{php_line.APACHE})"
)
_CONTINUES: Final = (
    r"(?s)^(?:Stack trace:$|#[0-9]+ (?:/|\{main\}|\[internal function\]|phar:|[A-Za-z]:[\\/])"
    r'|  thrown in .* on line [0-9]+(?:$|" while )'
    r"|script_filename = |\[0x[0-9a-f]{16}\] |\+\+\+ dump failed)"
)
_OF_SLOW_LOG: Final = r"^(?:script_filename|\[0x|\+\+\+)"
_CAN_OPEN: Final = rf"{_LEVELLED}|{php_line.WRAPPER}"
_PLACED: Final = r" on line [0-9]+$|:[0-9]+$"

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
    continues[at] = messages.str.contains(_CONTINUES).to_numpy()
    head[at] = messages.str.contains(_HEAD).to_numpy() & ~continues[at]
    unplaced = messages.str.contains(_CAN_OPEN) & ~messages.str.contains(_PLACED)
    broken = [row for row in at[unplaced.to_numpy() & head[at]] if php_line.opens(_message(records, row))]
    if broken:
        continues[_between(records, head, continues, broken)] = True
    return head | continues, continues


def _message(records: Records, row: int) -> str:
    return records.text.slice(records.message.start[row], records.message.end[row]).decode()


def _between(records: Records, head: Mask, continues: Mask, broken: list[int]) -> list[int]:
    """Lines of unknown shape between a head that broke off and the line of the same dyno that completes it."""
    process = records.processes()
    dynos = list(zip(records.app.tolist(), process, strict=True))
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


def parse(records: Records, continues: Mask) -> pl.DataFrame:
    """Rows of the php table with ``continues`` behind them, one per record, in order; ``route`` is NULL."""
    messages = records.messages()
    regular = _is_regular(messages).to_numpy() | continues
    columns = (
        pl.DataFrame({"told": messages.str.replace(_DATED, "")}).select(_columns()).unnest("place", "memory")
    )
    head = pl.when(pl.lit(pl.Series(~continues)))
    columns = columns.select(head.then(pl.col(name)).alias(name) for name in columns.columns).with_columns(
        message=head.then("message").otherwise(pl.lit(messages)),
        component=pl.when(pl.lit(messages.str.contains(_OF_SLOW_LOG) & pl.Series(continues)))
        .then(pl.lit("php-fpm"))
        .otherwise(pl.lit("php")),
        dyno=pl.lit(records.processes()),
    )
    table = rows(PHP, records, columns.to_dict())
    table = table if regular.all() else reread(table, PHP, 3, records, ~regular, php_line.parse)
    return table.with_columns(continues=pl.Series(continues))


def _is_regular(messages: pl.Series) -> pl.Series:
    wrapped = messages.str.contains(php_line.BARE, literal=True) | messages.str.contains(
        "FastCGI sent", literal=True
    )
    return messages.str.contains(_DATED) & ~wrapped


def _columns() -> list[pl.Expr]:
    told = pl.col("told")
    level = told.str.extract(rf"^PHP ({'|'.join(LEVELS)}): ")
    text = told.str.replace(rf"^{_LEVELLED} ?", "")
    place = text.str.extract_groups(f"(?s)^{PLACE}$")
    colon = text.str.extract_groups(f"(?s)^{COLON_PLACE}$")
    message, file, line = (
        pl.coalesce(place.struct.field(number), colon.struct.field(number)) for number in ("1", "2", "3")
    )
    number = line.cast(pl.Int64, strict=False)
    found = pl.struct(
        pl.coalesce(message, text).alias("message"),
        file.alias("file"),
        pl.when(number <= LINE_MAX).then(number).alias("line"),
    )
    memory = text.str.extract_groups(MEMORY).struct.rename_fields(
        ["memory_limit_bytes", "memory_wanted_bytes"]
    )
    return [level.alias("level"), found.alias("place"), memory.alias("memory")]
