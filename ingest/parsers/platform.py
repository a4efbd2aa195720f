"""What Heroku reports of dynos and of the log system itself: errors, states, memory, restarts, lost lines.

A dyno gives a few such lines a minute, so they are read one by one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from ingest.records import read_singly
from ingest.schema import PLATFORM

if TYPE_CHECKING:
    from ingest.records import Records
    from ingest.text import Mask

Row = dict[str, str | int | float | None]

LOSS: Final = r"^(?:Error )?L[0-9]{2}\b"
_ERROR: Final = re.compile(r"(?:Error ([A-Z][0-9]{2})|(L1[0-9]))\b(?: \(([^)]*)\))?")
_DROPPED: Final = re.compile(r"([0-9]{1,18}) messages? (?:dropped|lost)|dropped ([0-9]{1,18}) messages?")
_STATES: Final = re.compile(r"State changed from (\S+) to (\S+)")
_EXIT: Final = re.compile(r"Process exited(?: with status ([0-9]{1,5}))?")
_MEMORY: Final = re.compile(
    r"Process running mem=([0-9]{1,12}(?:\.[0-9]{1,6})?)([KMG])B?\(([0-9]{1,9}(?:\.[0-9]{1,6})?)%\)"
)
_MB: Final = {"K": 1 / 1024, "M": 1.0, "G": 1024.0}
_WORDS: Final = {"Cycling": "cycle", "Idling": "idle", "Unidling": "idle"}
_BEGINNINGS: Final = {"Starting process with command": "start", "Stopping ": "stop"}
_EXIT_MAX: Final = 2**15 - 1


def parse(records: Records, of_log_system: Mask) -> pa.RecordBatch:
    """Rows of the platform table, one per record, in order. Lines of the log system belong to no dyno."""
    table = read_singly(PLATFORM, records, parse_line)
    dyno = pc.if_else(pa.array(of_log_system), None, records.processes())
    return table.set_column(PLATFORM.arrow.get_field_index("dyno"), PLATFORM.arrow.field("dyno"), dyno)


def parse_line(message: str) -> Row:
    """The columns of one line."""
    return {
        "message": message,
        **(_change(message) or _memory(message) or _error(message) or _other(message)),
    }


def _error(message: str) -> Row | None:
    match = _ERROR.match(message)
    if match is None:
        return None
    code = match[1] or match[2]
    dropped = _DROPPED.search(message) if code.startswith("L") else None
    return {
        "event": "error",
        "code": code,
        "description": match[3] or None,
        "lines_dropped": int(dropped[1] or dropped[2]) if dropped else None,
    }


def _memory(message: str) -> Row | None:
    match = _MEMORY.fullmatch(message)
    if match is None:
        return None
    return {
        "event": "memory",
        "memory_mb": float(match[1]) * _MB[match[2]],
        "memory_percent": float(match[3]),
    }


def _change(message: str) -> Row | None:
    if match := _STATES.fullmatch(message):
        return {"event": "state", "from_state": match[1], "to_state": match[2]}
    if match := _EXIT.fullmatch(message):
        status = int(match[1]) if match[1] else None
        return {
            "event": "exit",
            "exit_status": status if status is not None and status <= _EXIT_MAX else None,
        }
    return None


def _other(message: str) -> Row:
    event = _WORDS.get(message)
    event = event or next(
        (name for beginning, name in _BEGINNINGS.items() if message.startswith(beginning)), None
    )
    return {"event": event or "other"}
