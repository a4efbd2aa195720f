r"""One access line read in full generality: escapes (``\x22``, ``\"``), stray quotes, the extended format."""

from __future__ import annotations

import json
import re
from typing import Final

import numpy as np
from ingest.redaction import redact
from ingest.rewriting import printable
from ingest.text import Text
from ingest.times import clf_microseconds

Row = dict[str, str | int | float | None]

_COMBINED: Final = re.compile(
    r'(\S+) (\S+) (\S+) \[([^\]]+)\] "((?:[^"\\]|\\.)*)" (\d{3}) (\d+|-) "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)"?',
    re.DOTALL,
)
_LOOSE: Final = re.compile(r'(\S+) (\S+) (\S+) \[([^\]]+)\] "(.*)" (\d{3}) (\d{1,18}|-)(.*)', re.DOTALL)
_HEAD: Final = re.compile(r'(\S+) (\S+) (\S+) \[([^\]]+)\] "(.*)', re.DOTALL)
_REQUEST: Final = re.compile(r"(\S+) (.*) (HTTP/\S*)", re.DOTALL)
_ESCAPES: Final = re.compile(rb'(?:\\x[0-9A-Fa-f]{2})+|\\["\\]')
_PAIR: Final = re.compile(r'([A-Za-z_]\w*)=(?:"((?:[^"\\]|\\.)*)"|(\S*))')
_EXTENDED_TEXTS: Final = {
    "request_id": "request_id", "method": "method", "uri": "path", "content_type": "content_type",
    "content_encoding": "content_encoding", "accept_encoding": "accept_encoding", "referer": "referrer",
    "ua": "user_agent",
}  # fmt: skip
_STATUS_MAX: Final = 2**15 - 1
_BYTES_MAX: Final = 2**63 - 1
_MILLISECONDS_MAX: Final = 2**31 - 1


def parse(message: str) -> Row:
    """The columns of one access line; times in microseconds since 1970."""
    if message.startswith("nginx_access "):
        return _extended(message)
    return _combined(message)


def _combined(message: str) -> Row:
    if match := _COMBINED.fullmatch(message):
        referrer, user_agent = match[8], match[9]
    elif match := _LOOSE.fullmatch(message):
        referrer, user_agent = _loose_tail(match[8])
    else:
        return _without_tail(message)
    return {
        **_head(match[1], match[4], match[5]),
        "status": int(match[6]),
        "bytes": _integer(match[7], _BYTES_MAX),
        "referrer": _value(referrer),
        "user_agent": _value(user_agent),
    }


def _loose_tail(tail: str) -> tuple[str, str]:
    """Referrer and user agent of a line with stray quotes: cut where they would meet."""
    referrer, _, user_agent = tail.strip().removeprefix('"').partition('" "')
    return referrer, user_agent.removesuffix('"')


def _without_tail(message: str) -> Row:
    match = _HEAD.fullmatch(message)
    return _head(match[1], match[4], match[5].removesuffix('"')) if match else {}


def _head(client_ip: str, logged_at: str, request: str) -> Row:
    row: Row = {"client_ip": _value(client_ip), "logged_at": _clf_us(logged_at)}
    match = _REQUEST.fullmatch(request)
    if match is None:
        return row | {"path": _value(request)}
    return row | {"method": match[1], "path": _value(match[2]), "protocol": match[3]}


def _clf_us(stamp: str) -> int | None:
    microseconds, valid = clf_microseconds(Text(stamp.encode()), np.zeros(1, dtype=np.int64))
    return int(microseconds[0]) if valid[0] else None


def _value(raw: str) -> str | None:
    r"""A field with its escapes undone; what they hid (``token\x3dabc``) is redacted now."""
    if raw in {"", "-"}:
        return None
    if "\\" not in raw:
        return raw
    decoded = printable(_ESCAPES.sub(_unescape, raw.encode()))
    return redact(decoded)


def _unescape(match: re.Match[bytes]) -> bytes:
    escape = match[0]
    return bytes.fromhex(escape.replace(rb"\x", b"").decode()) if escape[1:2] == b"x" else escape[1:]


def _extended(message: str) -> Row:
    fields = {match[1]: _json_value(match[2], match[3]) for match in _PAIR.finditer(message)}
    row: Row = {column: fields.get(key) or None for key, column in _EXTENDED_TEXTS.items()}
    forwarded = fields.get("xff", "")
    return row | {
        "logged_at": _scaled(fields.get("ts"), 1_000_000, 2**62),
        "client_ip": forwarded.rpartition(",")[2].strip(" ") or None,
        "status": _integer(fields.get("status"), _STATUS_MAX),
        "bytes": _integer(fields.get("body_bytes_sent"), _BYTES_MAX),
        "request_ms": _scaled(fields.get("request_time"), 1000, _MILLISECONDS_MAX),
        "upstream_ms": _upstream_ms(fields.get("upstream_time", "")),
        "gzip_ratio": _number(fields.get("gzip_ratio")),
    }


def _json_value(quoted: str | None, bare: str | None) -> str:
    if quoted is None:
        return bare or ""
    if "\\" not in quoted:
        return quoted
    try:
        decoded = str(json.loads(f'"{quoted}"', strict=False))
    except ValueError:
        return quoted
    return redact(decoded.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def _integer(value: str | None, largest: int) -> int | None:
    if value is None or not value.isascii() or not value.isdigit() or len(value) > 18:
        return None
    number = int(value)
    return number if number <= largest else None


def _number(value: str | None) -> float | None:
    if value is None or not re.fullmatch(r"\d{1,12}(\.\d{1,9})?", value, re.ASCII):
        return None
    return float(value)


def _scaled(value: str | None, factor: int, largest: int) -> int | None:
    number = _number(value)
    scaled = None if number is None else round(number * factor)
    return scaled if scaled is not None and scaled <= largest else None


def _upstream_ms(value: str) -> int | None:
    """nginx lists one time per upstream it tried; PHP spent their sum."""
    times = [_scaled(part.strip(), 1000, _MILLISECONDS_MAX) for part in re.split(r"[,:]", value)]
    known = [milliseconds for milliseconds in times if milliseconds is not None]
    return min(sum(known), _MILLISECONDS_MAX) if known else None
