"""What Heroku reports of dynos and of the log system itself: errors, states, memory, restarts, lost lines.

A dyno gives a few such lines a minute, so they are read one by one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ingest.parsers.numbers import BIGINT_MAX, SMALLINT_MAX, finite, whole
from ingest.records import read_singly
from ingest.schema import PLATFORM

if TYPE_CHECKING:
    import pyarrow as pa

    from ingest.records import Records
    from ingest.text import Mask

Row = dict[str, str | int | float | None]

ATTACH_ERROR: Final = "Error R13 (Attach error) -> Failed to attach to process"
LOSS: Final = r"^(?:Error )?L[0-9]{2}(?: \([^)]*\))?(?::| ->)"
_LOSS: Final = re.compile(r"(?:Error )?(L[0-9]{2})(?: \(([^)]*)\))?(?::| ->)")
_DROPPED: Final = re.compile(r"(?<![0-9])([0-9]+) messages?")  # without the first part, quadratic in digits
_ERROR: Final = re.compile(r"Error (R[0-9]{2})(?![0-9A-Za-z])(?: \(([^)]*)\))?")
_STATES: Final = re.compile(r"State changed from ([A-Za-z0-9_]+) to ([A-Za-z0-9_]+)")
_EXIT: Final = re.compile(r"Process exited(?: with status ([0-9]+))?")
_MEMORY: Final = re.compile(r"Process running mem=([0-9]+(?:\.[0-9]+)?)([KMG])B?\(([0-9]+(?:\.[0-9]+)?)%\)")
_MB: Final = {"K": 1 / 1024, "M": 1.0, "G": 1024.0}
_WORDINGS: Final = (
    ("start", re.compile(r"Starting process with command")),
    ("stop", re.compile(r"Stopping ")),
    ("cycle", re.compile(r"Cycling\b")),
    ("idle", re.compile(r"(?:Idling|Unidling)\b")),
)


def parse(records: Records, of_log_system: Mask) -> pa.RecordBatch:
    """Rows of the platform table, one per record, in order. Lines of the log system belong to no dyno."""
    told = zip(records.message_texts(), records.process_texts(), of_log_system.tolist(), strict=True)
    lines = [
        {"message": message, **(_loss(message) if of_logs else {"dyno": dyno, **_event(message)})}
        for message, dyno, of_logs in told
    ]
    return read_singly(PLATFORM, records, lines)


def _loss(message: str) -> Row:
    match = _LOSS.match(message)
    if match is None:
        return {"event": "other"}
    dropped = _DROPPED.search(message, match.end())
    return {
        "event": "error",
        "code": match[1],
        "description": match[2] or None,
        "lines_dropped": whole(dropped[1], BIGINT_MAX) if dropped else None,
    }


def _event(message: str) -> Row:
    if match := _ERROR.match(message):
        return {"event": "error", "code": match[1], "description": match[2] or None}
    if match := _STATES.fullmatch(message):
        return {"event": "state", "from_state": match[1], "to_state": match[2]}
    if match := _EXIT.fullmatch(message):
        return {"event": "exit", "exit_status": whole(match[1], SMALLINT_MAX)}
    if match := _MEMORY.fullmatch(message):
        return {
            "event": "memory",
            "memory_mb": finite(float(match[1]) * _MB[match[2]]),
            "memory_percent": finite(float(match[3])),
        }
    return {"event": next((event for event, wording in _WORDINGS if wording.match(message)), "other")}
