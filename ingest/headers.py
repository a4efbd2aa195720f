"""The header of every frame: ``<PRI>1 TIMESTAMP HOST APPNAME PROCID MSGID MSG``.

Logplex writes no structured data: after MSGID, which is always ``-``, one blank and the message follow. The
syslog form (HOST is a drain's token) has a nil ``- `` there, which is taken off. Some relays write the header as
``heroku logs`` prints it (``TIMESTAMP app[web.1]: ``); such frames are read one by one. A frame whose header does
not read either way is no record; it is kept whole as a line with a defect.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ingest.defects import HEADER_INCOMPLETE, TIMESTAMP_UNREADABLE
from ingest.text import Mask, Positions, Spans, Text
from ingest.times import iso_microseconds

if TYPE_CHECKING:
    from ingest.frames import Frames


class Headers(NamedTuple):
    """One row per frame. ``readable`` says whether the frame is a record; else ``defect`` is one of the ``DEFECTS``."""

    timestamp_us: Positions
    source: Spans  # APPNAME: heroku, app, or a log token's name
    process: Spans  # PROCID: router, web.1, heroku-postgres …
    message: Spans
    defect: Positions

    @property
    def readable(self) -> Mask:
        """Frames that are records."""
        return self.defect < 0


# An equals sign in MSGID shows that the fields before it are missing and this is the message.
_AS_PRINTED: Final = re.compile(
    rb"<\d{1,3}>\d{1,3} (\S+) (?:([\w-]+)\[([^\]\s]+)\]: ?|(app|heroku) ([\w.-]+): ?|d\.[^ ]+ ([^ ]+) ([^ ]+) )",
    re.ASCII,
)


def read(text: Text, frames: Frames) -> Headers:
    """Cut the header off each frame."""
    blank = _blanks(text, frames)
    complete = (blank[4] < frames.end) & _has_message_id(text, blank, frames.end)
    complete &= (np.diff(blank[:5], axis=0) > 1).all(axis=0)  # no field is empty
    complete &= ~_is_bare_syslog(text, blank, frames.end)
    blank = np.where(complete, blank, frames.head)  # any place inside the text: the values are not used
    stamp = Spans(blank[0] + 1, blank[1])
    source, process = Spans(blank[2] + 1, blank[3]), Spans(blank[3] + 1, blank[4])
    message = _message(text, blank, frames.end)
    for row in np.flatnonzero(~complete):
        complete[row] = _read_as_printed(text, frames, int(row), (stamp, source, process, message))
    timestamp_us, dated = iso_microseconds(text, stamp)
    defect = np.full(len(frames.head), -1)
    defect[~dated] = TIMESTAMP_UNREADABLE
    defect[~complete] = HEADER_INCOMPLETE
    return Headers(timestamp_us, source, process, message, defect)


def _blanks(text: Text, frames: Frames) -> Positions:
    """The six blanks behind ``<PRI>1``, TIMESTAMP, HOST, APPNAME, PROCID and MSGID, as far as there are any."""
    places = np.append(text.positions(b" "), np.full(6, text.size))
    first = np.searchsorted(places[:-6], frames.head)
    blank: Positions = places[first + np.arange(6)[:, None]]
    return blank


def _has_message_id(text: Text, blank: Positions, end: Positions) -> Mask:
    """MSGID and a blank follow, or a ``-`` and nothing: the message is empty and even the blank is missing."""
    after = np.minimum(blank[4] + 2, text.size)
    bare = (after == end) | ((after + 1 == end) & (text.octets[after] == ord("\n")))
    nil: Mask = (text.octets[after - 1] == ord("-")) & (((blank[5] == after) & (after < end)) | bare)
    if nil.all():
        return nil
    named = (blank[5] < end) & (blank[5] > blank[4] + 1)
    named &= text.count(b"=", Spans(blank[4], np.minimum(blank[5], end))) == 0
    found: Mask = nil | named
    return found


def _is_bare_syslog(text: Text, blank: Positions, end: Positions) -> Mask:
    """Syslog drains of 2014: HOST is the drain's id and there is no MSGID, not even ``-``."""
    of_drain: Mask = text.starts_with(np.minimum(blank[1] + 1, text.size), b"d.")
    of_drain &= blank[2] - blank[1] > len(" d.")
    if not of_drain.any():
        return of_drain
    place = np.minimum(blank[4] + 1, text.size)
    ends = (place + 1 == end) | ((place + 2 == end) & (text.octets[np.minimum(place + 1, text.size)] == ord("\n")))
    nil = (text.octets[place] == ord("-")) & (ends | (text.octets[np.minimum(place + 1, text.size)] == ord(" ")))
    bare: Mask = of_drain & ~nil
    return bare


def _read_as_printed(text: Text, frames: Frames, row: int, fields: tuple[Spans, Spans, Spans, Spans]) -> bool:
    """Fill the fields of a frame whose header is the one ``heroku logs`` prints; whether it is."""
    head, end = int(frames.head[row]), int(frames.end[row])
    match = _AS_PRINTED.match(text.slice(head, end))
    if match is None:
        return False
    source, process = next(group for group in ((2, 3), (4, 5), (6, 7)) if match[group[0]])
    places = [match.span(1), match.span(source), match.span(process), (match.end(), end - head)]
    for field, (start, stop) in zip(fields, places, strict=True):
        field.start[row], field.end[row] = head + start, head + stop
    message = match.string[match.end() :]
    fields[3].end[row] -= (
        len(message) - len(message.removesuffix(b"\n").removesuffix(b"\r")) if message[-1:] == b"\n" else 0
    )
    return True


def _message(text: Text, blank: Positions, end: Positions) -> Spans:
    start = np.where(blank[5] < end, blank[5] + 1, np.minimum(blank[4] + 2, end))
    start = np.where(_has_nil_data(text, blank, start, end), start + 2, start)
    newline = (end > start) & (text.octets[np.maximum(end, 1) - 1] == ord("\n"))
    end = end - newline
    carriage_return = newline & (end > start) & (text.octets[np.maximum(end, 1) - 1] == ord("\r"))
    return Spans(start, end - carriage_return)


def _has_nil_data(text: Text, blank: Positions, start: Positions, end: Positions) -> Mask:
    from_logplex = text.equals(Spans(blank[1] + 1, blank[2]), b"host")
    return ~from_logplex & text.starts_with(start, b"- ") & (start + 2 <= end)
