"""Router lines of all years (heroku-logs.md 2, 11.5).

* A quoted path runs to the last ``" host=`` whose token is followed by `` request_id=``; without such a
  place to the last ``" host=``; without that to the next ``"``. A quoted fwd behind it runs to the last ``"
  dyno=``, else to the next ``"``: so text of the client can never pass for a later key of the line.
* Other values may be quoted; an unclosed quote runs to the end. Of a repeated key the first counts.
* Numbers are digits, for connect and service with or without ``ms``; one that is not, or does not fit the
  column, is NULL and goes to ``extra`` as it was written. Unknown keys with an empty value are absent.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tests.ingest.reference.numbers import BIGINT, INTEGER, SMALLINT, whole

if TYPE_CHECKING:
    from tests.ingest.reference.header import Line

PATH = re.compile(r'(?:^|(?<= ))path="')
FWD = re.compile(r'(?:^|(?<= ))fwd="')
HOST_THEN_ID = re.compile(r'" host=(?=[^ ]* request_id=)')
HOST = re.compile(r'" host=')
DYNO = re.compile(r'" dyno=')
QUOTE = re.compile(r'"')
KEY = "([A-Za-z_][A-Za-z0-9_#.-]*)"
TOKEN = re.compile(rf'{KEY}="((?:[^"\\]|\\.)*)"(?= |\Z)|{KEY}="([^"]*)\Z|{KEY}=([^ ]*)|([^ ]+)', re.DOTALL)
TEXTS = {
    "at": "level",
    "code": "code",
    "desc": "description",
    "method": "method",
    "path": "path",
    "host": "host",
    "request_id": "request_id",
    "fwd": "forwarded_for",
    "dyno": "dyno",
    "protocol": "protocol",
    "tls_version": "tls_version",
    "agent": "user_agent",
}
NUMBERS = {
    "connect": ("connect_ms", INTEGER),
    "service": ("service_ms", INTEGER),
    "status": ("status", SMALLINT),
    "bytes": ("bytes", BIGINT),
}
LEVELS = ("error", "info", "warning")


def parse(line: Line) -> dict[str, Any]:
    """The columns of one router line."""
    values, words = _values(line.message)
    row: dict[str, Any] = {"source": "heroku"}
    extra: dict[str, str] = {}
    if words and words[0] in LEVELS and line.message.startswith(words[0]) and "at" not in values:
        values["at"] = words.pop(0)
    for key, value in values.items():
        if key == "_":
            extra |= {"_": " ".join(words)} if words else {}
        elif key in TEXTS:
            row[TEXTS[key]] = _text(key, value)
        elif key in NUMBERS:
            column, limit = NUMBERS[key]
            row[column] = whole(_digits(key, value), limit)
            extra |= {key: value} if value and row[column] is None else {}
        elif value:
            extra[key] = value
    row["client_ip"] = (row.get("forwarded_for") or "").split(",")[-1].strip(" \t") or None
    row["extra"] = json.dumps(extra, ensure_ascii=False, separators=(",", ":")) if extra else None
    return row


def _text(key: str, value: str) -> str | None:
    # A documentation sample carries a stray quote: host=myapp.herokuapp.com" (11.5).
    return (value.removesuffix('"') if key == "host" else value) or None


def _digits(key: str, value: str) -> str:
    return value.removesuffix("ms") if key in ("connect", "service") else value


def _values(message: str) -> tuple[dict[str, str], list[str]]:
    """The keys of a line in its order, and its words without a key; ``_`` marks the first word."""
    before, path, rest = _quoted(message, PATH, (HOST_THEN_ID, HOST, QUOTE))
    if path is None:
        before, rest = "", message
    between, fwd, after = _quoted(rest, FWD, (DYNO, QUOTE))
    values: dict[str, str] = {}
    words: list[str] = []
    _read(before, values, words)
    if path is not None:
        values.setdefault("path", path)
    _read(between, values, words)
    if fwd is not None:
        values.setdefault("fwd", fwd)
    _read(after, values, words)
    return values, words


def _quoted(text: str, start: re.Pattern[str], ends: tuple[re.Pattern[str], ...]) -> tuple[str, str | None, str]:
    """The text before a quoted value, the value, and the text behind its closing quote."""
    opening = start.search(text)
    if opening is None:
        return text, None, ""
    for end in ends:
        closings = [match.start() for match in end.finditer(text, opening.end())]
        if closings:
            closing = closings[0] if end is QUOTE else closings[-1]
            return text[: opening.start()], text[opening.end() : closing], text[closing + 1 :]
    return text[: opening.start()], text[opening.end() :], ""


def _read(text: str, values: dict[str, str], words: list[str]) -> None:
    for match in TOKEN.finditer(text):
        groups = match.groups()
        key = groups[0] or groups[2] or groups[4]
        if key is None or key == "_":
            words.append(match[0])
            values.setdefault("_", "")
        else:
            values.setdefault(key, groups[1] or groups[3] or groups[5] or "")
