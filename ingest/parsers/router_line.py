"""One line of the router, read in full generality: lines of all years, raw blanks and quotes, unknown keys.

Router 2.0 logs paths percent-decoded, so a path can hold anything, even text that looks like the fields behind
it; so can ``fwd``, which the client begins. A quoted path runs to the last ``" host=`` whose token is followed by
`` request_id=``; without such a place to the last ``" host=``; without that to the next ``"``. A quoted fwd behind
it runs to the last ``" dyno=``, else to the next ``"``. So text of the client never passes for a later key.
"""

from __future__ import annotations

import json
import re
from typing import Final

from ingest.parsers.forwarded import last_address
from ingest.parsers.numbers import BIGINT_MAX, INTEGER_MAX, SMALLINT_MAX, whole

Row = dict[str, str | int | None]

_PATH: Final = re.compile(r'(?:^|(?<= ))path="')
_FORWARDED_FOR: Final = re.compile(r'(?:^|(?<= ))fwd="')
_QUOTE: Final = re.compile(r'"')
_PATH_ENDS: Final = (re.compile(r'" host=(?=[^ ]* request_id=)'), re.compile(r'" host='), _QUOTE)
_FORWARDED_FOR_ENDS: Final = (re.compile(r'" dyno='), _QUOTE)
_KEY: Final = "([A-Za-z_][A-Za-z0-9_#.-]*)"
_WORD: Final = re.compile(rf'{_KEY}="((?:[^"\\]|\\.)*)"(?= |\Z)|{_KEY}="([^"]*)\Z|{_KEY}=([^ ]*)|([^ ]+)', re.DOTALL)
_LEVELS: Final = frozenset({"error", "info", "warning"})
_WORDS_KEY: Final = "_"
# The router's keys and their columns; for numbers also the largest that the column holds.
TEXTS: Final = {
    "at": "level", "code": "code", "desc": "description", "method": "method", "host": "host", "path": "path",
    "request_id": "request_id", "fwd": "forwarded_for", "dyno": "dyno", "protocol": "protocol",
    "tls_version": "tls_version", "agent": "user_agent",
}  # fmt: skip
NUMBERS: Final = {
    "connect": ("connect_ms", INTEGER_MAX), "service": ("service_ms", INTEGER_MAX),
    "status": ("status", SMALLINT_MAX), "bytes": ("bytes", BIGINT_MAX),
}  # fmt: skip


def parse(message: str) -> Row:
    """The columns of one router line; keys without a column, in line order, as JSON in ``extra``.

    Of a repeated key the first counts. A number that is none, or too large for its column, is NULL and goes to
    ``extra`` as it was written; words without a key stand there under ``_``.
    """
    values, words = _values(message)
    row: Row = {"source": "heroku"}
    extra: dict[str, str] = {}
    if words and words[0] in _LEVELS and message.startswith(words[0]) and "at" not in values:
        values["at"] = words.pop(0)
    for key, value in values.items():
        if key == _WORDS_KEY:
            extra |= {key: " ".join(words)} if words else {}
        elif key in TEXTS:
            row[TEXTS[key]] = _text(key, value)
        elif key in NUMBERS:
            column, largest = NUMBERS[key]
            row[column] = whole(value.removesuffix("ms") if column.endswith("_ms") else value, largest)
            extra |= {key: value} if value and row[column] is None else {}
        elif value:
            extra[key] = value
    row["client_ip"] = last_address(values.get("fwd"))
    row["extra"] = json.dumps(extra, ensure_ascii=False, separators=(",", ":")) if extra else None
    return row


def _text(key: str, value: str) -> str | None:
    """A sample of Heroku's documentation has a stray quote behind the host."""
    return (value.removesuffix('"') if key == "host" else value) or None


def _values(message: str) -> tuple[dict[str, str], list[str]]:
    """The keys of a line in its order, and its words without a key; ``_`` marks the first such word."""
    values: dict[str, str] = {}
    words: list[str] = []
    before, path, rest = _quoted(message, _PATH, _PATH_ENDS)
    if path is None:
        before, rest = "", message
    _read(before, values, words)
    if path is not None:
        values.setdefault("path", path)
    between, forwarded_for, after = _quoted(rest, _FORWARDED_FOR, _FORWARDED_FOR_ENDS)
    _read(between, values, words)
    if forwarded_for is not None:
        values.setdefault("fwd", forwarded_for)
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
            closing = closings[0] if end is _QUOTE else closings[-1]
            return text[: opening.start()], text[opening.end() : closing], text[closing + 1 :]
    return text[: opening.start()], text[opening.end() :], ""


def _read(text: str, values: dict[str, str], words: list[str]) -> None:
    for match in _WORD.finditer(text):
        groups = match.groups()
        key = groups[0] or groups[2] or groups[4]
        if key is None or key == _WORDS_KEY:
            words.append(match[0])
            values.setdefault(_WORDS_KEY, "")
        else:
            values.setdefault(key, groups[1] or groups[3] or groups[5] or "")
