"""Octet-counted framing: the bodies of deliveries in, frames and junk out. Pure; any bytes give an answer.

A body is a row of frames with nothing between them: ``<count> <PRI>1 …`` where the count says how many bytes
follow the blank. A frame may or may not end in a newline, so only the counts tell where one ends; a line that
ends in a digit runs straight into the next count (``tls1.3303 <134>1 …``).

What is junk: bytes from a place where no frame stands up to the next place where one fits. One count is
believed less than the rest: if a frame fits, but neither a frame nor the end of the body follows it, while one
that stands inside it is followed so, then the outer count was wrong and swallowed the start of its neighbour.

The work is done for a whole batch at once. Every place that looks like the head of a frame is found; the
distances between neighbours give the counts that a flawless body would have; where the counts as written agree
all along a body, that body is read. Any other body is walked frame by frame.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ingest.text import Positions, Spans, Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

COUNT_MAX_DIGITS: Final = 7  # 9,999,999 bytes: a thousand times what Heroku sends as one message
JUNK_MAX_BYTES: Final = 1 << 20  # junk is stored in pieces of at most this size

NO_COUNT: Final = "no octet count and header where a frame should begin"
COUNT_TOO_LARGE: Final = "the octet count exceeds the body"
COUNT_WRONG: Final = "the octet count runs into the next frame"


class Frames(NamedTuple):
    """Frames of a batch in order: where the count begins, where ``<PRI>`` stands, where the message ends."""

    start: Positions
    head: Positions
    end: Positions
    delivery: Positions


class Junk(NamedTuple):
    """A run of bytes that is no frame, and why."""

    start: int
    end: int
    delivery: int
    defect: str


class _Heads(NamedTuple):
    """Places that look like ``<PRI>1 `` behind a count: position of ``<``, digits in front, their values."""

    at: Positions
    digits: Positions
    values: NDArray[np.int64]  # values[k] of the last k + 1 digits


def split(text: Text, bodies: Spans) -> tuple[Frames, list[Junk]]:
    """Cut the bodies, which lie one behind the other in ``text``, into frames and junk."""
    heads = _find_heads(text)
    delivery = np.searchsorted(bodies.end, heads.at, side="right")
    frames, flawless = _read_flawless(heads, delivery, bodies)
    if flawless.all():
        return frames, []
    return _read_the_rest(heads, delivery, bodies, frames, flawless)


def _find_heads(text: Text) -> _Heads:
    octets = text.octets
    at = text.positions(b"<")
    at = at[(at >= 2) & (octets[np.maximum(at, 1) - 1] == ord(" "))]
    at = at[_is_digit(octets[at - 2])]
    at = at[_is_head(text, at)]
    return _Heads(at, *_counts_before(text, at))


def _is_digit(octets: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return (octets >= ord("0")) & (octets <= ord("9"))


def _is_head(text: Text, at: Positions) -> NDArray[np.bool_]:
    found = np.zeros(len(at), dtype=np.bool_)
    digits = np.ones(len(at), dtype=np.bool_)
    for width in (1, 2, 3):
        digits &= _is_digit(text.octets[at + width])
        found |= digits & text.starts_with(at + 1 + width, b">1 ")
    return found


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


def _read_flawless(heads: _Heads, delivery: Positions, bodies: Spans) -> tuple[Frames, NDArray[np.bool_]]:
    """The frames that flawless bodies would have, and which bodies are flawless."""
    at = heads.at
    last = np.append(delivery[1:] != delivery[:-1], True)[: len(at)]  # the last head of its body
    room = np.where(last, bodies.end[delivery], np.append(at[1:], 0)[: len(at)] - 1) - at
    digits = _decimal_digits(room)
    for _ in range(2):  # a count's length depends on the next count's length: near a power of ten, twice
        count = room - np.where(last, 0, np.append(digits[1:], 0)[: len(at)])
        digits = _decimal_digits(count)
    start = at - 1 - digits
    first = np.append(True, last[:-1])[: len(at)]
    agrees = (digits <= heads.digits) & (heads.values[digits - 1, np.arange(len(at))] == count)
    agrees &= np.where(first, start == bodies.start[delivery], True)
    flawless = np.bincount(delivery[~agrees], minlength=len(bodies.start)) == 0
    flawless &= (np.bincount(delivery, minlength=len(bodies.start)) > 0) | (bodies.length == 0)
    return Frames(start, at, at + count, delivery), flawless


def _decimal_digits(numbers: Positions) -> Positions:
    powers = 10 ** np.arange(1, COUNT_MAX_DIGITS, dtype=np.int64)
    return 1 + np.searchsorted(powers, numbers, side="right")


def _read_the_rest(
    heads: _Heads, delivery: Positions, bodies: Spans, frames: Frames, flawless: NDArray[np.bool_]
) -> tuple[Frames, list[Junk]]:
    """Keep the frames of flawless bodies, walk the others."""
    kept = flawless[delivery]
    columns = [np.column_stack(frames)[kept]]
    junk: list[Junk] = []
    for body in np.flatnonzero(~flawless):
        walk = _Walk(_heads_of(heads, delivery, body), int(bodies.start[body]), int(bodies.end[body]))
        found = list(walk.frames())
        columns.append(np.array([(*frame, body) for frame in found], dtype=np.int64).reshape(-1, 4))
        junk += [Junk(start, end, int(body), defect) for start, end, defect in _pieces(walk.junk)]
    rows = np.concatenate(columns)
    return Frames(*rows[np.argsort(rows[:, 0], kind="stable")].T), junk


def _heads_of(heads: _Heads, delivery: Positions, body: int) -> list[tuple[int, int, list[int]]]:
    rows = np.flatnonzero(delivery == body)
    values = heads.values[:, rows].T.tolist()
    return list(zip(heads.at[rows].tolist(), heads.digits[rows].tolist(), values, strict=True))


def _pieces(junk: Sequence[tuple[int, int, str]]) -> Iterator[tuple[int, int, str]]:
    for start, end, defect in junk:
        for piece in range(start, end, JUNK_MAX_BYTES):
            yield piece, min(piece + JUNK_MAX_BYTES, end), defect


class _Walk:
    """Reads one body frame by frame, finding its place again after junk."""

    def __init__(self, heads: list[tuple[int, int, list[int]]], start: int, end: int) -> None:
        self._heads = heads
        self._at = [head[0] for head in heads]
        self._start, self._end = start, end
        self.junk: list[tuple[int, int, str]] = []

    def frames(self) -> Iterator[tuple[int, int, int]]:
        """(start, head, end) of each frame; what lies between is added to ``junk``."""
        place = self._start
        while place < self._end:
            frame = self._frame_at(place)
            if frame is None:
                place = self._skip(place)
            elif self._is_followed(frame[2]) or (inner := self._well_placed_inside(frame)) is None:
                yield frame
                place = frame[2]
            else:
                self.junk.append((place, inner, COUNT_WRONG))
                place = inner

    def _frame_at(self, place: int) -> tuple[int, int, int] | None:
        """The frame whose count begins exactly at ``place``, if it fits into the body."""
        index = bisect_left(self._at, place + 2)
        if index == len(self._heads):
            return None
        at, digits, values = self._heads[index]
        width = at - 1 - place
        if not 1 <= width <= digits:
            return None
        end = at + values[width - 1]
        return (place, at, end) if at < end <= self._end else None

    def _is_followed(self, end: int) -> bool:
        return end == self._end or self._frame_at(end) is not None

    def _well_placed_inside(self, frame: tuple[int, int, int]) -> int | None:
        """Where a frame begins inside ``frame`` that ends at a frame or at the body's end."""
        for index in range(bisect_left(self._at, frame[1] + 1), bisect_left(self._at, frame[2])):
            inner = self._longest_frame(index, frame[1] + 1)
            if inner is not None and self._is_followed(inner[2]):
                return inner[0]
        return None

    def _longest_frame(self, index: int, floor: int) -> tuple[int, int, int] | None:
        """The frame of a head with as many digits as fit: in junk nothing else says where a count begins."""
        at, digits, _ = self._heads[index]
        for width in range(digits, 0, -1):
            place = at - 1 - width
            if place >= floor and (frame := self._frame_at(place)) is not None:
                return frame
        return None

    def _skip(self, place: int) -> int:
        """Add the junk from ``place`` on and return where the next frame begins."""
        first = bisect_left(self._at, place + 2)
        for index in range(first, len(self._heads)):
            frame = self._longest_frame(index, place)
            if frame is not None:
                self.junk.append((place, frame[0], self._reason(place)))
                return frame[0]
        self.junk.append((place, self._end, self._reason(place)))
        return self._end

    def _reason(self, place: int) -> str:
        index = bisect_left(self._at, place + 2)
        counted = index < len(self._heads) and 1 <= self._at[index] - 1 - place <= self._heads[index][1]
        return COUNT_TOO_LARGE if counted else NO_COUNT
