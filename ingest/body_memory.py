"""A bound on the bytes of all bodies that are arriving or being inflated.

Group commit bounds what waits to be stored; before that each request holds its body. Without a bound 200 senders
with 16 MB each would hold 3 GB. Bytes count when they are here, not when they are announced: a sender that announces
much and sends nothing takes no room from others.
"""

from __future__ import annotations

from typing import Final

BODIES_MAX_BYTES: Final = 48 << 20  # the receiver promises to stay under 400 MB


class BodiesFull(Exception):  # noqa: N818
    """The bodies that are arriving hold all the memory they may."""


class BodyMemory:
    """The bytes that all bodies hold."""

    def __init__(self, bytes_max: int = BODIES_MAX_BYTES) -> None:
        self.bytes_max = bytes_max
        self.held_bytes = 0


class Reservation:
    """The share of one request."""

    __slots__ = ("_held_bytes", "_memory")

    def __init__(self, memory: BodyMemory) -> None:
        self._memory = memory
        self._held_bytes = 0

    def take(self, count: int) -> None:
        """Hold more bytes. Raises :class:`BodiesFull`, and then holds no more than before."""
        if self._memory.held_bytes + count > self._memory.bytes_max:
            raise BodiesFull
        self._memory.held_bytes += count
        self._held_bytes += count

    def release(self) -> None:
        """Hold none any more; more than once does no harm."""
        self._memory.held_bytes -= self._held_bytes
        self._held_bytes = 0
