"""A bound on the bytes of all bodies that are arriving or being inflated.

Group commit bounds what waits to be stored; before that each request holds its body. Without a bound 200 senders
with 16 MB each would hold 3 GB. A body that announces its size holds all of it from the start, so that those that
begin also get through, and the others are refused at once; only requests with good credentials hold anything.
Large bodies never take the last quarter: ordinary deliveries, of 100 KB, still find room.
"""

from __future__ import annotations

from typing import Final

BODIES_MAX_BYTES: Final = 48 << 20  # the receiver promises to stay under 400 MB
SMALL_MAX_BYTES: Final = 256 << 10
LARGE_SHARE: Final = 0.75
LARGE_MAX_BYTES: Final = int(BODIES_MAX_BYTES * LARGE_SHARE)  # more finds no room even where it arrives alone


class BodiesFull(Exception):  # noqa: N818
    """The bodies that are arriving hold all the memory they may."""


class BodyMemory:
    """The bytes that all bodies hold."""

    def __init__(self, bytes_max: int = BODIES_MAX_BYTES) -> None:
        self.bytes_max = bytes_max
        self.held_bytes = 0


class Reservation:
    """The share of one request."""

    __slots__ = ("_held_bytes", "_memory", "_used_bytes")

    def __init__(self, memory: BodyMemory) -> None:
        self._memory = memory
        self._held_bytes = 0
        self._used_bytes = 0

    def take(self, count: int) -> None:
        """Hold this many bytes more. Raises :class:`BodiesFull`, and then holds no more than before."""
        held_bytes = self._held_bytes + count
        share = 1.0 if held_bytes <= SMALL_MAX_BYTES else LARGE_SHARE
        if self._memory.held_bytes + count > self._memory.bytes_max * share:
            raise BodiesFull
        self._memory.held_bytes += count
        self._held_bytes = held_bytes

    def use(self, count: int) -> None:
        """This many bytes came: hold more if they are not held yet. Raises :class:`BodiesFull`."""
        self._used_bytes += count
        if self._used_bytes > self._held_bytes:
            self.take(self._used_bytes - self._held_bytes)

    def release(self) -> None:
        """Hold none any more; more than once does no harm."""
        self._memory.held_bytes -= self._held_bytes
        self._held_bytes = self._used_bytes = 0
