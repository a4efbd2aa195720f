r"""One access line read in full generality: escapes (``\x22``, ``\"``), stray quotes, the extended format.

Escapes are undone after redaction and the result is redacted again: an escaped ``token\x3dabc`` must not leak.
"""

from __future__ import annotations

import math
import re
from typing import Final

import numpy as np

from ingest.parsers.forwarded import last_address
from ingest.parsers.numbers import BIGINT_MAX, INTEGER_MAX, SMALLINT_MAX, whole
from ingest.redaction import redact
from ingest.rewriting import printable
from ingest.text import Text
from ingest.times import LAST_US, clf_microseconds

Row = dict[str, str | int | float | None]

EXTENDED: Final = "nginx_access v=1 "
EXTENDED_TEXTS: Final = {
    "request_id": "request_id", "method": "method", "uri": "path", "content_type": "content_type",
    "content_encoding": "content_encoding", "accept_encoding": "accept_encoding", "referer": "referrer",
    "ua": "user_agent",
}  # fmt: skip
_QUOTED: Final = r'"((?:[^"\\]|\\.)*)"'
_COMBINED: Final = re.compile(
    r"(\S+) (\S+) (\S+) \[([0-9]{2}/[A-Za-z]{3}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{4})\] "
    rf'{_QUOTED} ([0-9]{{3}}) ([0-9]+|-) {_QUOTED} "((?:[^"\\]|\\.)*\\?)"?',
    re.DOTALL,
)
_REQUEST: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (.+) (HTTP/[0-9.]+)", re.DOTALL)
_ESCAPE: Final = re.compile(rb'\\(?:x([0-9A-Fa-f]{2})|(["\\bnrtv]))')
_APACHE_LETTERS: Final = {b"b": b"\b", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_PAIR: Final = re.compile(r'(?:^|(?<= ))([a-z_]+)=(?:"((?:[^"\\]|\\.)*)(?:"|\\?\Z)|([^ ]*))', re.DOTALL)
_JSON_ESCAPE: Final = re.compile(r'\\(?:u([0-9A-Fa-f]{4})|(["\\/bfnrt]))')
_JSON_LETTERS: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_SECONDS: Final = re.compile(r"[0-9]{1,12}(?:\.[0-9]+)?")
_RATIO: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def parse(message: str) -> Row | None:
    """The columns of one access line, times in microseconds since 1970; None when it is no access line."""
    if message.startswith(EXTENDED):
        return _extended(message)
    match = _COMBINED.fullmatch(message)
    if match is None:
        return None
    client_ip, _, _, logged_at, request, status, size, referrer, user_agent = match.groups()
    method, path, protocol = split_request(request)
    return {
        "client_ip": present(client_ip),
        "logged_at": _clf_us(logged_at),
        "method": method,
        "path": None if path is None else _unescape(path),
        "protocol": protocol,
        "status": whole(status, SMALLINT_MAX),
        "bytes": whole(size, BIGINT_MAX),
        "referrer": _text(referrer),
        "user_agent": _text(user_agent),
    }


def split_request(request: str) -> tuple[str | None, str | None, str | None]:
    """Method, path and protocol of a request line; of garbage only the path, which is then all of it."""
    match = _REQUEST.fullmatch(request)
    return (match[1], match[2], match[3]) if match else (None, present(request), None)


def present(value: str | None) -> str | None:
    """The value, or None for an empty one and for ``-``."""
    return None if value in {None, "", "-"} else value


def _text(value: str) -> str | None:
    return _unescape(value) if present(value) else None


def _unescape(value: str) -> str:
    if "\\" not in value:
        return value
    return redact(printable(_ESCAPE.sub(_escaped_byte, value.encode())))


def _escaped_byte(match: re.Match[bytes]) -> bytes:
    r"""nginx writes every byte as ``\xXX``, Apache white space by letter."""
    return bytes.fromhex(match[1].decode()) if match[1] else _APACHE_LETTERS.get(match[2], match[2])


def _clf_us(stamp: str) -> int | None:
    microseconds, valid = clf_microseconds(Text(stamp.encode()), np.zeros(1, dtype=np.int64))
    return int(microseconds[0]) if valid[0] else None


def _extended(message: str) -> Row:
    values: dict[str, str | None] = {}
    for key, quoted, bare in _PAIR.findall(message):
        values.setdefault(key, present(_json_text(quoted) if quoted else bare))
    row: Row = {column: values.get(key) for key, column in EXTENDED_TEXTS.items()}
    return row | {
        "client_ip": last_address(values.get("xff")),
        "logged_at": _epoch_us(values.get("ts")),
        "status": whole(values.get("status"), SMALLINT_MAX),
        "bytes": whole(values.get("body_bytes_sent"), BIGINT_MAX),
        "request_ms": _milliseconds(values.get("request_time")),
        "upstream_ms": _milliseconds(values.get("upstream_time")),
        "gzip_ratio": _ratio(values.get("gzip_ratio")),
    }


def _json_text(value: str) -> str:
    return redact(_JSON_ESCAPE.sub(_json_character, value)) if "\\" in value else value


def _json_character(match: re.Match[str]) -> str:
    """Half of a surrogate pair is no character and stays escaped."""
    if match[1] is None:
        return _JSON_LETTERS.get(match[2], match[2])
    code = int(match[1], 16)
    return match[0] if 0xD800 <= code <= 0xDFFF else chr(code)


def _epoch_us(seconds: str | None) -> int | None:
    if seconds is None or _SECONDS.fullmatch(seconds) is None:
        return None
    before, _, after = seconds.partition(".")
    microseconds = int(before) * 1_000_000 + int(after[:6].ljust(6, "0"))
    return microseconds if microseconds <= LAST_US else None


def _milliseconds(seconds: str | None) -> int | None:
    """The sum of a list such as ``0.004, 0.010 : -``, since nginx names every upstream it tried; halves go up."""
    parts = [part for part in re.split("[,: ]+", seconds or "") if _SECONDS.fullmatch(part)]
    milliseconds = math.floor(sum(float(part) for part in parts) * 1000 + 0.5)
    return milliseconds if parts and milliseconds <= INTEGER_MAX else None


def _ratio(value: str | None) -> float | None:
    if value is None or _RATIO.fullmatch(value) is None:
        return None
    return float(value) if math.isfinite(float(value)) else None
