"""Deliveries, and how Heroku's repeats of them are recognised.

A delivery whose reply was lost comes again with the same Frame-Id; its body can change between the tries, since
an L10 notice is put in front of it anew each time. So a delivery has two pieces, the notice and all the rest,
and each is marked by its own bytes. A try brings as new only the pieces whose marks the log does not hold. A
sender that uses one Frame-Id for different bodies loses nothing: other bytes are other marks.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, NamedTuple

from ingest.eventlog.contract import Mark

_NOTICE: Final = re.compile(rb"(\d{1,7}) (<\d{1,3}>1 \S+ \S+ heroku logplex - )")
_DIGEST_BYTES: Final = 16
LASTING_PREFIX: Final = "import:"


class Piece(NamedTuple):
    """A part of a delivery that is kept or recognised as a whole."""

    mark: Mark
    octets: bytes


@dataclass(frozen=True)
class Delivery:
    """One POST of a drain: whose it is, what it says of itself, and its bytes (decompressed).

    ``held`` are the digests of pieces that the log holds already.
    """

    app: str
    body: bytes
    received_at_us: int  # UTC microseconds
    frame_id: str | None = None
    drain_token: str | None = None
    announced: int | None = None
    held: frozenset[bytes] = frozenset()

    @property
    def marks(self) -> list[Mark]:
        """The marks of the pieces that are new; none without a Frame-Id."""
        return [piece.mark for piece in self._pieces if piece.mark.digest not in self.held]

    @property
    def new(self) -> bytes:
        """The bytes that have to be stored."""
        if not self.held:
            return self.body
        return b"".join(piece.octets for piece in self._pieces if piece.mark.digest not in self.held)

    @property
    def repeated(self) -> bytes:
        """The bytes that an earlier try brought."""
        return b"".join(piece.octets for piece in self._pieces if piece.mark.digest in self.held)

    def without(self, held: frozenset[bytes]) -> Delivery:
        """This delivery, knowing which of its pieces the log holds."""
        return replace(self, held=self.held | held)

    @cached_property
    def _pieces(self) -> list[Piece]:
        if self.frame_id is None:
            return []
        match = _NOTICE.match(self.body)
        end = min(match.start(2) + int(match[1]), len(self.body)) if match else 0
        notice, rest = self.body[:end], self.body[end:]
        # The time in the notice's header changes from try to try; what it says is what counts.
        said = notice.partition(b" heroku logplex ")[2]
        return [
            Piece(self._mark(number, named), octets)
            for number, (named, octets) in enumerate(((said, notice), (rest, rest)))
            if octets
        ]

    def _mark(self, number: int, said: bytes) -> Mark:
        assert self.frame_id is not None
        digest = hashlib.sha256(f"{self.app}\0{self.drain_token}\0{self.frame_id}\0{number}\0".encode())
        digest.update(said)
        return Mark(digest.digest()[:_DIGEST_BYTES], lasting=self.frame_id.startswith(LASTING_PREFIX))
