"""One line of the router, read in full generality: any order, raw blanks and quotes, unknown keys.

Router 2.0 logs paths percent-decoded, so a path can hold anything, even text that looks like the fields behind
it. The host's name has no blank and ``request_id=`` follows it: the path ends before the last such place.
"""

from __future__ import annotations

import json
import re
from typing import Final

_HEAD: Final = re.compile(r"(?:^|(?<= ))path=")
_HOST: Final = re.compile(r" host=\S*(?= request_id=)")
_BARE_HOST: Final = re.compile(r" host=\S*")
_PAIR: Final = re.compile(r'([A-Za-z_][\w#.\-]*)=("(?:[^"\\]|\\.)*"(?= |$)|[^ ]*)|([^ ]+)')
_LEVELS: Final = frozenset({"error", "info", "warning"})
_TEXTS: Final = {
    "at": "level", "code": "code", "desc": "description", "method": "method", "host": "host", "path": "path",
    "request_id": "request_id", "fwd": "forwarded_for", "dyno": "dyno", "protocol": "protocol",
    "tls_version": "tls_version", "agent": "user_agent",
}  # fmt: skip
_INTEGERS: Final = {
    "connect": ("connect_ms", 2**31 - 1), "service": ("service_ms", 2**31 - 1),
    "status": ("status", 2**15 - 1), "bytes": ("bytes", 2**63 - 1),
}  # fmt: skip
_NUMBER: Final = re.compile(r"(\d{1,18})(ms)?", re.ASCII)

Row = dict[str, str | int | None]


def parse(message: str) -> Row:
    """The columns of one router line; keys without a column, in line order, as JSON in ``extra``."""
    row: Row = {"source": "heroku"}
    extra: dict[str, str] = {}
    for key, value in _pairs(message):
        _put(row, extra, key, value)
    forwarded_for = row.get("forwarded_for")
    if isinstance(forwarded_for, str):
        row["client_ip"] = forwarded_for.rpartition(",")[2].strip(" ") or None
    row["extra"] = json.dumps(extra, ensure_ascii=False, separators=(",", ":")) if extra else None
    return row


def _pairs(message: str) -> list[tuple[str, str]]:
    head = _HEAD.search(message)
    hosts = list(_HOST.finditer(message)) or list(_BARE_HOST.finditer(message))
    if head is None or not hosts or hosts[-1].start() < head.end():
        return _plain_pairs(message)
    path = message[head.end() : hosts[-1].start()]
    before, after = message[: head.start()], message[hosts[-1].start() + 1 :]
    return [*_plain_pairs(before), ("path", _unquoted(path)), *_plain_pairs(after)]


def _plain_pairs(text: str) -> list[tuple[str, str]]:
    return [(match[1] or "", _unquoted(match[2] if match[1] else match[3])) for match in _PAIR.finditer(text)]


def _unquoted(value: str) -> str:
    """Without its quotes; a line that was cut short lacks the closing one."""
    return value[1:].removesuffix('"') if value.startswith('"') else value


def _put(row: Row, extra: dict[str, str], key: str, value: str) -> None:
    if key == "" and value in _LEVELS and not row.get("level"):
        row["level"] = value
    elif key in _TEXTS and _TEXTS[key] not in row:
        row[_TEXTS[key]] = (value.rstrip('"') if key == "host" else value) or None
    elif key in _INTEGERS and _INTEGERS[key][0] not in row:
        _put_number(row, extra, key, value)
    else:
        name = key or "_"
        extra[name] = f"{extra[name]} {value}" if name in extra else value


def _put_number(row: Row, extra: dict[str, str], key: str, value: str) -> None:
    column, largest = _INTEGERS[key]
    match = _NUMBER.fullmatch(value)
    number = int(match[1]) if match and (column.endswith("_ms") or not match[2]) else None
    if number is not None and number <= largest:
        row[column] = number
    elif value:
        extra[key] = value
