"""Until when a certificate is valid, read from its file without a library for certificates. Pure.

A certificate is a SEQUENCE whose first member holds, after an optional version, serial number, algorithm and issuer,
the SEQUENCE of the two times (RFC 5280, 4.1).
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from typing import Final, NamedTuple

_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0
_UTC_TIME: Final = 0x17
_TIME: Final = 0x18
_END: Final = "-----END CERTIFICATE-----"


class _Item(NamedTuple):
    tag: int
    content: bytes
    rest: bytes


def valid_until(pem: str) -> datetime:
    """When the first certificate of a chain expires; raises ValueError for what holds none."""
    try:
        der = ssl.PEM_cert_to_DER_cert(pem[pem.index(ssl.PEM_HEADER) : pem.index(_END) + len(_END)])
        body = _expect(_expect(_item(der), _SEQUENCE), _SEQUENCE)
        if body[0] == _VERSION:
            body = _item(body).rest
        for _ in range(3):
            body = _item(body).rest
        return _time(_item(_item(_expect(body, _SEQUENCE)).rest))
    except (IndexError, ValueError):
        raise ValueError("it holds no certificate that can be read") from None


def _expect(found: _Item | bytes, tag: int) -> bytes:
    item = _item(found) if isinstance(found, bytes) else found
    if item.tag != tag:
        raise ValueError("another structure")
    return item.content


def _item(data: bytes) -> _Item:
    length, start = data[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start])
    if len(data) < start + length:
        raise ValueError("cut short")
    return _Item(data[0], data[start : start + length], data[start + length :])


def _time(item: _Item) -> datetime:
    text = item.content.decode("ascii")
    if item.tag == _UTC_TIME:  # two digits of the year: 50 to 99 are of the last century
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    elif item.tag != _TIME:
        raise ValueError("no time")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
