"""Octet-counted framing: the bodies of deliveries in, frames and junk out. Pure; any bytes give an answer.

A body is a row of frames with nothing between them: ``<count> <PRI>1 …`` where the count says how many bytes
follow the blank. A frame may or may not end in a newline, so only the counts tell where one ends; a line that
ends in a digit runs straight into the next count (``tls1.3303 <134>1 …``).

A frame *fits* when its bytes lie within the body; it is *proved* when a head or the end of the body follows it.
Junk are the bytes from a place where no frame fits up to the next where one does. Inside a run of digits only
a proved frame is taken: else the last frame of a cut body, ``255 <158>1 …``, would be read as ``55 <158>1 …``.
A frame that is not proved, with a proved one inside it, had a wrong count: its bytes up to that one are junk.

The work is done for a whole batch at once. Every place that looks like the head of a frame is found; the
distances between neighbours give the counts that a flawless body would have; where the counts as written agree
all along a body, that body is read. Any other body is walked frame by frame.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ingest.defects import COUNT_TOO_LARGE, COUNT_TOO_SMALL, COUNT_WRONG, NO_COUNT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingest.text import Mask, Positions, Spans, Text

COUNT_MAX_DIGITS: Final = 7  # 9,999,999 bytes: a thousand times what Heroku sends as one message
JUNK_MAX_BYTES: Final = 1 << 20  # junk is stored in pieces of at most this size


class Frames(NamedTuple):
    """Frames of a batch in order: where the count begins, where ``<PRI>`` stands, where the message ends."""

    start: Positions
    head: Positions
    end: Positions
    body: Positions


class Junk(NamedTuple):
    """Runs of bytes that are no frames: where they are, of which body, and which of the ``DEFECTS`` they have.

    In columns, like frames: a body of 16 MB can hold two million of them.
    """

    start: Positions
    end: Positions
    body: Positions
    defect: Positions


NO_JUNK: Final = Junk(*np.zeros((4, 0), dtype=np.int64))


class _Heads(NamedTuple):
    """Places that look like ``<PRI>1 `` behind a count."""

    at: Positions  # of the ``<``
    width: Positions  # bytes of ``<PRI>1 ``: a count cannot be smaller
    digits: Positions  # how many stand in front, up to COUNT_MAX_DIGITS
    values: NDArray[np.int64]  # values[k] of the last k + 1 digits
    longer: Mask  # whether yet another digit stands before those


def split(text: Text, bodies: Spans) -> tuple[Frames, Junk]:
    """Cut the bodies, which lie one behind the other in ``text``, into frames and junk."""
    heads = _find_heads(text)
    of_body = np.searchsorted(bodies.end, heads.at, side="right")
    frames, flawless = _read_flawless(heads, of_body, bodies)
    if flawless.all():
        return frames, NO_JUNK
    return _read_the_rest(heads, of_body, bodies, frames, flawless)


def _find_heads(text: Text) -> _Heads:
    octets = text.octets
    body = octets[: text.size]
    at = np.flatnonzero((body[2:] == ord("<")) & (body[1:-1] == ord(" "))) + 2
    at = at[_is_digit(octets[at - 2])]
    width = _head_widths(octets, at)
    at, width = at[width > 0], width[width > 0]
    digits, values = _counts_before(text, at)
    before = at - 2 - COUNT_MAX_DIGITS
    longer = (digits == COUNT_MAX_DIGITS) & (before >= 0) & _is_digit(octets[np.maximum(before, 0)])
    return _Heads(at, width, digits, values, longer)


def _is_digit(octets: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return (octets >= ord("0")) & (octets <= ord("9"))


def _head_widths(octets: NDArray[np.uint8], at: Positions) -> Positions:
    """Bytes of ``<PRI>VERSION `` at each place, 0 where there is none. RFC 5424 allows both up to three digits."""
    priority = _run_of_digits(octets, at + 1)
    version_at = at + 1 + priority + 1
    version = _run_of_digits(octets, version_at)
    found = (priority > 0) & (version > 0) & (octets[version_at - 1] == ord(">"))
    found &= octets[version_at + version] == ord(" ")
    return np.where(found, version_at + version + 1 - at, 0)


def _run_of_digits(octets: NDArray[np.uint8], at: Positions) -> Positions:
    """How many digits stand at each place, up to three."""
    first, second, third = (_is_digit(octets[at + n]).astype(np.int64) for n in range(3))
    return first * (1 + second * (1 + third))


def _counts_before(text: Text, at: Positions) -> tuple[Positions, NDArray[np.int64]]:
    run = np.ones(len(at), dtype=np.bool_)
    digits = np.zeros(len(at), dtype=np.int64)
    value = np.zeros(len(at), dtype=np.int64)
    values = np.zeros((COUNT_MAX_DIGITS, len(at)), dtype=np.int64)
    for place in range(COUNT_MAX_DIGITS):
        place_at = at - 2 - place
        octet = text.octets[np.maximum(place_at, 0)]
        run &= _is_digit(octet) & (place_at >= 0)
        digits += run
        value = value + np.where(run, (octet.astype(np.int64) - ord("0")) * 10**place, 0)
        values[place] = value
    return digits, values


def _read_flawless(heads: _Heads, of_body: Positions, bodies: Spans) -> tuple[Frames, NDArray[np.bool_]]:
    """The frames that flawless bodies would have, and which bodies are flawless."""
    at = heads.at
    last = np.append(of_body[1:] != of_body[:-1], True)[: len(at)]  # the last head of its body
    room = np.where(last, bodies.end[of_body], np.append(at[1:], 0)[: len(at)] - 1) - at
    digits = _decimal_digits(room)
    for _ in range(2):  # a count's length depends on the next count's length: near a power of ten, twice
        count = room - np.where(last, 0, np.append(digits[1:], 0)[: len(at)])
        digits = _decimal_digits(count)
    start = at - 1 - digits
    first = np.append(True, last[:-1])[: len(at)]
    agrees = (count >= heads.width) & (digits <= heads.digits) & (heads.values[digits - 1, np.arange(len(at))] == count)
    agrees &= np.where(first, start == bodies.start[of_body], True)
    flawless = np.bincount(of_body[~agrees], minlength=len(bodies.start)) == 0
    flawless &= (np.bincount(of_body, minlength=len(bodies.start)) > 0) | (bodies.length == 0)
    return Frames(start, at, at + count, of_body), flawless


def _decimal_digits(numbers: Positions) -> Positions:
    powers = 10 ** np.arange(1, COUNT_MAX_DIGITS, dtype=np.int64)
    return 1 + np.searchsorted(powers, numbers, side="right")


def _read_the_rest(
    heads: _Heads, of_body: Positions, bodies: Spans, frames: Frames, flawless: NDArray[np.bool_]
) -> tuple[Frames, Junk]:
    """Keep the frames of flawless bodies, walk the others."""
    kept = flawless[of_body]
    columns = [np.column_stack(frames)[kept]]
    junk = [np.column_stack(NO_JUNK)]
    for body in np.flatnonzero(~flawless):
        walk = _Walk(_heads_of(heads, of_body, int(body)), int(bodies.start[body]), int(bodies.end[body]))
        columns.append(_of_body(np.array(walk.frames(), dtype=np.int64).reshape(-1, 3), int(body), 3))
        junk.append(_of_body(_pieces(np.array(walk.junk, dtype=np.int64).reshape(-1, 3)), int(body), 2))
    rows = np.concatenate(columns)
    return Frames(*rows[np.argsort(rows[:, 0], kind="stable")].T), Junk(*np.concatenate(junk).T)


def _of_body(rows: NDArray[np.int64], body: int, place: int) -> NDArray[np.int64]:
    return np.insert(rows, place, body, axis=1)


def _heads_of(heads: _Heads, of_body: Positions, body: int) -> _Heads:
    first, last = np.searchsorted(of_body, [body, body + 1])
    rows = slice(int(first), int(last))
    return _Heads(heads.at[rows], heads.width[rows], heads.digits[rows], heads.values[:, rows], heads.longer[rows])


def _pieces(runs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Runs of start, end and defect in pieces that can be stored."""
    if not len(runs) or (runs[:, 1] - runs[:, 0]).max() <= JUNK_MAX_BYTES:
        return runs
    pieces = [
        (piece, min(piece + JUNK_MAX_BYTES, end), defect)
        for start, end, defect in runs.tolist()
        for piece in range(start, end, JUNK_MAX_BYTES)
    ]
    return np.array(pieces, dtype=np.int64)


class _Counted(NamedTuple):
    at: int
    octets: int
    holds_header: bool


class _Frame(NamedTuple):
    start: int
    head: int
    end: int


class _Walk:
    """Reads one body frame by frame, finding its place again after junk.

    It keeps to arrays: a hostile body of 16 MB can look like two million heads.
    """

    def __init__(self, heads: _Heads, start: int, end: int) -> None:
        self._heads = heads
        self._at = array("q", heads.at.tobytes())
        self._start, self._end = start, end
        self.junk = array("q")  # start, end and defect of each run

    def frames(self) -> array[int]:
        """Start, head and end of each frame in order; what lies between them is added to ``junk``."""
        found = array("q")
        place = self._start
        while place < self._end:
            frame = self._frame_at(place)
            if frame is None:
                following = self._next_place(place)
                self._add_junk(place, following, self._defect(place))
                place = following
            elif self._is_proved(frame) or (inner := self._proved_inside(frame)) is None:
                found.extend(frame)
                place = frame.end
            else:
                self._add_junk(place, inner, COUNT_WRONG)
                place = inner
        return found

    def _add_junk(self, start: int, end: int, defect: int) -> None:
        """Junk that touches junk is one run, with the defect of its first bytes."""
        if self.junk and self.junk[-2] == start:
            self.junk[-2] = end
        else:
            self.junk.extend((start, end, defect))

    def _head_at(self, place: int) -> _Counted | None:
        """The head whose count begins at ``place``; None where there is no such head."""
        index = bisect_left(self._at, place + 2)
        if index == len(self._at):
            return None
        at = self._at[index]
        digits = at - 1 - place
        if not 1 <= digits <= self._heads.digits[index]:
            return None
        count = int(self._heads.values[digits - 1, index])
        return _Counted(at, count, count >= self._heads.width[index])

    def _frame_at(self, place: int) -> _Frame | None:
        """The frame that begins at ``place``, if it fits."""
        head = self._head_at(place)
        if head is None or not head.holds_header or head.at + head.octets > self._end:
            return None
        return _Frame(place, head.at, head.at + head.octets)

    def _is_proved(self, frame: _Frame) -> bool:
        if frame.end == self._end:
            return True
        following = self._head_at(frame.end)
        return following is not None and following.holds_header

    def _counts_before(self, index: int) -> range:
        """Where the count of a head can begin, the longest first."""
        at = self._at[index]
        return range(at - 1 - int(self._heads.digits[index]), at - 1)

    def _proved_inside(self, outer: _Frame) -> int | None:
        """Where the first proved frame inside an unproved one begins."""
        for index in range(bisect_left(self._at, outer.head), len(self._at)):
            places = self._counts_before(index)
            if places.start >= outer.end:
                break
            for place in places:
                frame = self._frame_at(place) if outer.start < place < outer.end else None
                if frame is not None and self._is_proved(frame):
                    return place
        return None

    def _next_place(self, place: int) -> int:
        """Where the next frame begins behind junk at ``place``: at a run of digits, or proved inside one."""
        for index in range(bisect_left(self._at, place + 3), len(self._at)):
            longest = self._counts_before(index).start
            for candidate in range(max(longest, place + 1), self._at[index] - 1):
                frame = self._frame_at(candidate)
                begins_run = candidate == longest and not self._heads.longer[index]
                if frame is not None and (begins_run or self._is_proved(frame)):
                    return candidate
        return self._end

    def _defect(self, place: int) -> int:
        head = self._head_at(place)
        if head is None:
            return NO_COUNT
        return COUNT_TOO_LARGE if head.holds_header else COUNT_TOO_SMALL
