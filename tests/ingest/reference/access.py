r"""nginx and Apache access lines: combined, and the extended format (heroku-logs.md 7.1, 7.5, 7.7, 7.10).

* The last quote is optional, ``-`` and empty are NULL. A time of the right shape that does not exist is NULL.
* ``\xXX``, ``\"``, ``\\`` and Apache's letters for white space (``\t``) are decoded after redaction and the decoded
  value is redacted again: an escaped ``token\x3dabc`` must not leak. Decoded bytes that are not UTF-8 are written as
  ``\xFF`` again.
* Of a list in xff the last entry counts, without the blanks and tabs around it (RFC 9110, 5.6.1).
* A request that is not ``METHOD path HTTP/x`` (method: a token of RFC 9110) stands whole in path.
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Any

from tests.ingest.reference.header import Line, instant, text, zone_minutes
from tests.ingest.reference.numbers import BIGINT, INTEGER, SMALLINT, whole
from tests.ingest.reference.redaction import redact

QUOTED = r'"((?:[^"\\]|\\.)*)"'
COMBINED = re.compile(
    r"(\S+) (\S+) (\S+) \[([0-9]{2}/[A-Za-z]{3}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{4})\] "
    rf'{QUOTED} ([0-9]{{3}}) ([0-9]+|-) {QUOTED} "((?:[^"\\]|\\.)*\\?)"?',
    re.DOTALL,
)
EXTENDED = "nginx_access v=1 "
PAIR = re.compile(r'(?:^|(?<= ))([a-z_]+)=(?:"((?:[^"\\]|\\.)*)(?:"|\\?\Z)|([^ ]*))', re.DOTALL)
REQUEST = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (.+) (HTTP/[0-9.]+)", re.DOTALL)
ESCAPE = re.compile(rb'\\(?:x([0-9A-Fa-f]{2})|(["\\bnrtv]))')
JSON_ESCAPE = re.compile(r'\\(?:u([0-9A-Fa-f]{4})|(["\\/bfnrt]))')
JSON_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
SECONDS = re.compile(r"[0-9]{1,12}(?:\.[0-9]+)?")
RATIO = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def is_access(message: str) -> bool:
    """Whether the message has the shape of an access line."""
    return message.startswith(EXTENDED) or COMBINED.fullmatch(message) is not None


def parse(line: Line) -> dict[str, Any]:
    """The columns of one access line."""
    match = COMBINED.fullmatch(line.message)
    row = _extended(line.message) if match is None else _fields(*match.groups())
    return {"dyno": line.process, **row}


def _fields(
    client: str,
    _ident: str,
    _user: str,
    stamp: str,
    request: str,
    status: str,
    size: str,
    referrer: str,
    agent: str,
) -> dict[str, Any]:
    method, path, protocol = split_request(request)
    return {
        "client_ip": present(client),
        "logged_at": _logged_at(stamp),
        "method": method,
        "path": None if path is None else unescape(path),
        "protocol": protocol,
        "status": whole(status, SMALLINT),
        "bytes": whole(size, BIGINT),
        "referrer": _text(referrer),
        "user_agent": _text(agent),
    }


def split_request(request: str) -> tuple[str | None, str | None, str | None]:
    """Method, path and protocol of a request line; of garbage only the path, which is then all of it."""
    match = REQUEST.fullmatch(request)
    return (match[1], match[2], match[3]) if match else (None, present(request), None)


def unescape(value: str) -> str:
    """A field of the combined format as the client sent it, secrets that were escaped taken out."""
    return redact(text(ESCAPE.sub(_escaped, value.encode())))


def _escaped(match: re.Match[bytes]) -> bytes:
    if match[1]:
        return bytes.fromhex(match[1].decode())
    return match[2].translate(bytes.maketrans(b"bnrtv", b"\b\n\r\t\v"))


def _text(value: str) -> str | None:
    return unescape(value) if present(value) else None


def present(value: str | None) -> str | None:
    """The value, or None for an empty one and for ``-``."""
    return None if value in (None, "", "-") else value


def _logged_at(stamp: str) -> int | None:
    day, month, year, hour, minute, second = re.split("[/: ]", stamp)[:6]
    offset = zone_minutes(stamp[-5:])
    try:
        number = MONTHS.index(month) + 1
        naive = datetime(int(year), number, int(day), int(hour), int(minute), int(second))  # noqa: DTZ001
    except ValueError:
        return None
    return None if offset is None else instant(naive, offset)


def _extended(message: str) -> dict[str, Any]:
    values: dict[str, str | None] = {}
    for key, quoted, bare in PAIR.findall(message):
        values.setdefault(key, present(redact(_json_text(quoted)) if quoted else bare))
    return {
        "client_ip": (values.get("xff") or "").split(",")[-1].strip(" \t") or None,
        "logged_at": _epoch(values.get("ts")),
        "method": values.get("method"),
        "path": values.get("uri"),
        "status": whole(values.get("status"), SMALLINT),
        "bytes": whole(values.get("body_bytes_sent"), BIGINT),
        "referrer": values.get("referer"),
        "user_agent": values.get("ua"),
        "request_id": values.get("request_id"),
        "request_ms": _milliseconds(values.get("request_time")),
        "upstream_ms": _milliseconds(values.get("upstream_time")),
        "content_type": values.get("content_type"),
        "content_encoding": values.get("content_encoding"),
        "accept_encoding": values.get("accept_encoding"),
        "gzip_ratio": _ratio(values.get("gzip_ratio")),
    }


def _json_text(value: str) -> str:
    # Half of a surrogate pair is no character and stays escaped.
    def character(match: re.Match[str]) -> str:
        if match[1] is None:
            return JSON_LETTERS.get(match[2], match[2])
        code = int(match[1], 16)
        return match[0] if 0xD800 <= code <= 0xDFFF else chr(code)

    return JSON_ESCAPE.sub(character, value)


def _epoch(seconds: str | None) -> int | None:
    if seconds is None or SECONDS.fullmatch(seconds) is None:
        return None
    before, _, after = seconds.partition(".")
    return instant(datetime(1970, 1, 1), 0, int(before) * 1_000_000 + int(after[:6].ljust(6, "0")))  # noqa: DTZ001


def _milliseconds(seconds: str | None) -> int | None:
    """The sum of a list such as ``0.004, 0.010 : -`` in milliseconds, halves rounded up."""
    parts = [part for part in re.split("[,: ]+", seconds or "") if SECONDS.fullmatch(part)]
    value = math.floor(sum(float(part) for part in parts) * 1000 + 0.5)
    return value if parts and value <= INTEGER else None


def _ratio(value: str | None) -> float | None:
    return float(value) if value is not None and RATIO.fullmatch(value) and math.isfinite(float(value)) else None
