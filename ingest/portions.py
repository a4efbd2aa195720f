"""Bodies in portions: what parsing holds at a time is bounded by one of them, however large or hostile a body is.

Parsing takes up to a hundred times the bytes of hostile text: a body of 16 MB can be four million lines. Heroku's
deliveries have 0.1 MB, so a batch is one portion and nothing is cut. A larger body is cut between frames; where none
stand, at the next place that looks like one, or anywhere. So what is whole stays whole, each byte is of one portion,
and where a body is cut depends on its bytes alone, so that it is the same whenever the body comes again. Pure.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from ingest.parsing import PART_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PORTION_BYTES: Final = 1 << 20
_HEAD: Final = re.compile(rb"([0-9]{1,7}) <[0-9]{1,3}>[0-9]{1,3} ")
_HEAD_MAX_BYTES: Final = 17
_ELSEWHERE: Final = re.compile(rb"(?<![0-9])" + _HEAD.pattern)


class Slice(NamedTuple):
    """Bytes of a body, which body it is, and the number of the first of their parts within it."""

    body: int
    first_part: int
    octets: bytes


def portions(bodies: Sequence[bytes]) -> Iterator[list[Slice]]:
    """The bodies in portions of at most ``PORTION_BYTES`` but for a frame that is larger; at least one portion."""
    portion: list[Slice] = []
    size = 0
    for number, body in enumerate(bodies):
        for place, (begin, end) in enumerate(pairwise([*cuts(body), len(body)])):
            if portion and size + end - begin > PORTION_BYTES:
                yield portion
                portion, size = [], 0
            # A slice's last part and the first of the next could share a number, if not for the slice's place.
            portion.append(Slice(number, begin // PART_BYTES + place, body[begin:end]))
            size += end - begin
    yield portion


def whole(bodies: Sequence[bytes]) -> list[Slice]:
    """The bodies as they are: those of files are small."""
    return [Slice(number, 0, body) for number, body in enumerate(bodies)]


def cuts(body: bytes) -> list[int]:
    """Where the slices of a body begin."""
    begins = [0]
    at = 0 if len(body) > PORTION_BYTES else len(body)  # as almost always
    while at < len(body):
        following = _following(body, at)
        if following - begins[-1] > PORTION_BYTES and at > begins[-1]:
            begins.append(at)
        at = following
    return begins


def _following(body: bytes, at: int) -> int:
    """Where to look next: behind the frame that begins at a place, else at what looks like another.

    A count is believed where another frame follows, or where none is inside.
    """
    head = _HEAD.match(body, at)
    end = head.end(1) + 1 + int(head[1]) if head else 0
    if end == len(body) or (at < end < len(body) and _HEAD.match(body, end)):
        return end
    furthest = min(at + PORTION_BYTES, len(body))
    found = _ELSEWHERE.search(body, at + 1, furthest + _HEAD_MAX_BYTES)  # one that lies across must not be cut
    following = min(found.start(), furthest) if found else furthest
    return end if at < end <= following else following
