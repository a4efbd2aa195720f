"""Reads the header of one frame: ``<PRI>1 TIMESTAMP HOST APPNAME PROCID MSGID MSG``.

* Fields are separated by single blanks and are not empty; PRI is ignored (heroku-logs.md 1.4).
* MSGID is ``-``; other senders write a name or a number there. An equals sign in it shows that fields are
  missing and this is the message. The blank after ``-`` may be missing when the message is empty.
* Some relays write the fields as ``heroku logs`` prints them: ``TIMESTAMP app[web.1]: MSG``.
* Syslog drains of 2014 write the drain's id as HOST (``d.…``) and no MSGID at all.
* TIMESTAMP may end in ``Z+00:00``, as one of Heroku's own documents writes it.
* When HOST is not ``host`` (syslog-drain form), a nil structured-data field ``- `` before the text is
  dropped.
"""

from __future__ import annotations

import codecs
import re
from datetime import datetime, timedelta
from typing import NamedTuple

FEW_FIELDS = "fewer header fields than expected"
BAD_TIMESTAMP = "bad timestamp"

START = r"<[0-9]{1,3}>[0-9]{1,3} (?P<stamp>[^ ]+) "
LAYOUTS = tuple(
    re.compile(f"{START}{fields}".encode(), re.DOTALL)
    for fields in (
        r"(?P<host>d\.[^ ]+) (?P<app>[^ ]+) (?P<process>[^ ]+) (?!- |-\n?\Z)(?P<message>.*)",
        r"(?P<host>[^ ]+) (?P<app>[^ ]+) (?P<process>[^ ]+) (?:[^ =]+ (?P<message>.*)|-\n?)",
        r"(?P<app>[A-Za-z0-9_-]+)\[(?P<process>[^\]\s]+)\]: ?(?P<message>.*)",
        r"(?P<app>app|heroku) (?P<process>[A-Za-z0-9_.-]+): ?(?P<message>.*)",
    )
)
STAMP = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?(Z|Z?[+-][0-9]{2}:[0-9]{2})"
)
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - all sums here are made in UTC without zone objects
FIRST_US = (datetime.min - EPOCH) // timedelta(microseconds=1)  # noqa: DTZ901
LAST_US = (datetime.max - EPOCH) // timedelta(microseconds=1)  # noqa: DTZ901


class Line(NamedTuple):
    """One frame's fields as text; ``timestamp`` in microseconds since the epoch, UTC."""

    timestamp: int
    app: str
    process: str
    message: str


def _escape(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "".join(f"\\x{byte:02X}" for byte in error.object[error.start : error.end]), error.end


codecs.register_error("drainlake-reference", _escape)


def text(raw: bytes) -> str:
    r"""Bytes as text; each byte that is not UTF-8 becomes ``\xFF`` with upper-case digits."""
    return raw.decode("utf-8", "drainlake-reference")


def read(counted: bytes) -> Line | str:
    """The fields of a frame's counted bytes, or the reason why they cannot be read."""
    match = next(filter(None, (layout.fullmatch(counted) for layout in LAYOUTS)), None)
    if match is None:
        return FEW_FIELDS
    fields = match.groupdict()
    timestamp = microseconds(text(fields["stamp"]))
    if timestamp is None:
        return BAD_TIMESTAMP
    host = text(fields.get("host") or b"host")
    message = _message(fields["message"] or b"", host)
    return Line(timestamp, text(fields["app"]), text(fields["process"]), text(message))


def _message(raw: bytes, host: str) -> bytes:
    if host != "host":
        raw = raw.removeprefix(b"- ")
    return raw.removesuffix(b"\n").removesuffix(b"\r") if raw.endswith(b"\n") else raw


def microseconds(stamp: str) -> int | None:
    """An ISO time with zone as microseconds since the epoch; None if there is no such time in UTC.

    Fraction digits after the sixth are cut. No leap seconds (RFC 5424), years 0001 to 9999 in UTC.
    """
    match = STAMP.fullmatch(stamp)
    if match is None:
        return None
    seconds, fraction, zone = match.groups()
    offset = zone_minutes(zone)
    try:
        naive = datetime.strptime(seconds, "%Y-%m-%dT%H:%M:%S")  # noqa: DTZ007 - the offset is applied below
    except ValueError:
        return None
    return None if offset is None else instant(naive, offset, int((fraction or "")[:6].ljust(6, "0")))


def instant(naive: datetime, offset_minutes: int, fraction_us: int = 0) -> int | None:
    """A local time and its offset as microseconds since the epoch, None outside the years 0001 to 9999."""
    us = (naive - EPOCH) // timedelta(microseconds=1) + fraction_us - offset_minutes * 60_000_000
    return us if FIRST_US <= us <= LAST_US else None


def zone_minutes(zone: str) -> int | None:
    """The offset of ``Z``, ``+hh:mm`` or ``+hhmm`` in minutes; None if there is no such offset."""
    if zone == "Z":
        return 0
    zone = zone.removeprefix("Z")
    hours, minutes = int(zone[1:3]), int(zone[-2:])
    if hours > 23 or minutes > 59:
        return None
    return (hours * 60 + minutes) * (-1 if zone[0] == "-" else 1)
