"""Lines of the dyno manager and of the log system (heroku-logs.md 1.6, 3.2, 4.1, 4.2)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.ingest.reference.numbers import BIGINT, SMALLINT, finite, whole

if TYPE_CHECKING:
    from tests.ingest.reference.header import Line

LOSS = re.compile(r"(?:Error )?(L[0-9]{2})(?: \(([^)]*)\))?(?::| ->)")
DROPPED = re.compile(r"([0-9]+) messages?")
ERROR = re.compile(r"Error (R[0-9]{2})(?![0-9A-Za-z])(?: \(([^)]*)\))?")
STATE = re.compile(r"State changed from ([A-Za-z0-9_]+) to ([A-Za-z0-9_]+)")
EXIT = re.compile(r"Process exited(?: with status ([0-9]+))?")
MEMORY = re.compile(r"Process running mem=([0-9]+(?:\.[0-9]+)?)([KMG])B?\(([0-9]+(?:\.[0-9]+)?)%\)")
MEGABYTES = {"K": 1 / 1024, "M": 1.0, "G": 1024.0}
WORDINGS = (
    ("start", re.compile(r"Starting process with command")),
    ("stop", re.compile(r"Stopping ")),
    ("cycle", re.compile(r"Cycling\b")),
    ("idle", re.compile(r"(?:Idling|Unidling)\b")),
)


def parse(line: Line) -> dict[str, Any]:
    """The columns of one platform line; the log system (logplex, log-shuttle) has no dyno."""
    if line.process in ("logplex", "log-shuttle"):
        return {"dyno": None, "message": line.message, **_loss(line.message)}
    return {"dyno": line.process, "message": line.message, **_dyno(line.message)}


def _loss(message: str) -> dict[str, Any]:
    match = LOSS.match(message)
    if match is None:
        return {"event": "other"}
    dropped = DROPPED.search(message, match.end())
    return {
        "event": "error",
        "code": match[1],
        "description": match[2] or None,
        "lines_dropped": whole(dropped[1], BIGINT) if dropped else None,
    }


def _dyno(message: str) -> dict[str, Any]:
    if match := ERROR.match(message):
        return {"event": "error", "code": match[1], "description": match[2] or None}
    if match := STATE.fullmatch(message):
        return {"event": "state", "from_state": match[1], "to_state": match[2]}
    if match := EXIT.fullmatch(message):
        return {"event": "exit", "exit_status": whole(match[1], SMALLINT)}
    if match := MEMORY.fullmatch(message):
        megabytes = float(match[1]) * MEGABYTES[match[2]]
        return {"event": "memory", "memory_mb": finite(megabytes), "memory_percent": finite(float(match[3]))}
    events = [event for event, wording in WORDINGS if wording.match(message)]
    return {"event": events[0] if events else "other"}
