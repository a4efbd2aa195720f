"""Deliveries, and how Heroku's repeats of them are recognised.

A delivery whose reply was lost comes again with the same Frame-Id; its body can change between the tries, since
an L10 notice is put in front of it anew each time. So a delivery has two pieces, the notice and all the rest,
and each is known by a digest of its own bytes. A try brings as new only the pieces that the log does not hold. A
sender that uses one Frame-Id for different bodies loses nothing: other bytes are another piece. Without a Frame-Id a
delivery is one piece, known to this try alone.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, NamedTuple

from ingest.eventlog.contract import Mark
from ingest.plain import FRAMED
from ingest.schema import DIGEST_BYTES

# What follows the notice must begin a frame, or a notice of a wrong length would cut a line in two.
_NOTICE: Final = re.compile(rb"(\d{1,7}) (<\d{1,3}>1 \S+ \S+ heroku logplex - )")
_FRAME: Final = re.compile(rb"\d{1,7} <")
LASTING_PREFIX: Final = "import:"


class Piece(NamedTuple):
    """A part of a delivery that is kept or recognised as a whole."""

    digest: bytes
    octets: bytes


def _unique() -> bytes:
    return os.urandom(DIGEST_BYTES)


@dataclass(frozen=True)
class Delivery:
    """One POST of a drain: whose it is, what it says of itself, and its bytes (decompressed).

    ``held`` are the digests of pieces that the log holds already. ``attempt`` names this try. ``form`` says what the
    bytes are if they are not what Heroku sends: one of those in ``ingest.plain``. ``request_id`` is what Heroku's
    router called the request, where the receiver stands behind it.
    """

    app: str
    body: bytes
    received_at_us: int  # UTC microseconds
    frame_id: str | None = None
    drain_token: str | None = None
    announced: int | None = None
    form: str | None = None
    request_id: str | None = None
    held: frozenset[bytes] = frozenset()
    attempt: bytes = field(default_factory=_unique)

    @property
    def new(self) -> list[Piece]:
        """The pieces that have to be stored."""
        return [piece for piece in self._pieces if piece.digest not in self.held]

    @property
    def repeated(self) -> list[Piece]:
        """The pieces that an earlier try brought."""
        return [piece for piece in self._pieces if piece.digest in self.held]

    @property
    def marks(self) -> list[Mark]:
        """The marks of the pieces that are new; none without a Frame-Id, since no other try can be known."""
        if self.frame_id is None:
            return []
        lasting = self.frame_id.startswith(LASTING_PREFIX)
        return [Mark(piece.digest, lasting=lasting) for piece in self.new]

    def without(self, held: frozenset[bytes]) -> Delivery:
        """This delivery, knowing which of its pieces the log holds."""
        return replace(self, held=self.held | held)

    @cached_property
    def _pieces(self) -> list[Piece]:
        if self.frame_id is None:
            return [Piece(self.attempt, self.body)] if self.body else []
        end = _notice_end(self.body) if self.form in FRAMED else 0
        notice, rest = self.body[:end], self.body[end:]
        # The time in the notice's header changes from try to try; what it says is what counts.
        said = notice.partition(b" heroku logplex ")[2]
        return [
            Piece(self._digest(number, named), octets)
            for number, (named, octets) in enumerate(((said, notice), (rest, rest)))
            if octets
        ]

    def _digest(self, number: int, said: bytes) -> bytes:
        digest = hashlib.sha256(f"{self.app}\0{self.drain_token}\0{self.frame_id}\0{number}\0".encode())
        digest.update(said)
        return digest.digest()[:DIGEST_BYTES]


def _notice_end(body: bytes) -> int:
    """Where the L10 notice in front of a body ends; 0 if there is none."""
    match = _NOTICE.match(body)
    end = min(match.start(2) + int(match[1]), len(body)) if match else 0
    return end if end == len(body) or _FRAME.match(body, end) else 0
