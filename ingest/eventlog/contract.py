"""What an event log is: the promises both implementations keep and one test suite holds them to.

The log stores *entries*. An entry is a batch of rows of one table for one app (an Arrow IPC stream, zstd), at
an *offset* that only grows within its (table, partition). The receiver appends; landing reads forward and
commits how far the lake has come.

Promised:

* ``append`` returns only when all entries and marks of the call are durable, and stores all of them or
  none: ``kill -9`` at any moment leaves no half of an append.
* ``read`` gives entries in offset order, never one twice, never one that is not durable yet.
* An append with a mark the log holds already is refused with :class:`AlreadyHeld`, and nothing of it is stored;
  the caller takes the repeated pieces out and appends again.

Not promised: order across tables or partitions; that offsets are consecutive; that an entry stays readable
once its offset has been committed (it is kept for a grace period for ``tail`` and for a lost lake).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True)
class NewEntry:
    """Rows of one table for one app, encoded, not yet in the log."""

    table: str
    app: str
    rows: int
    payload: bytes


@dataclass(frozen=True)
class Entry:
    """An entry as it lies in the log. ``offset`` grows within (table, partition)."""

    table: str
    app: str
    rows: int
    payload: bytes
    partition: str
    offset: int


class Mark(NamedTuple):
    """Names a piece of a delivery for ever, so that Heroku's next try of it is recognised.

    ``digest`` is taken over app, drain, Frame-Id and the piece's bytes. ``lasting`` marks never expire: those
    of imported files, which can come again after months.
    """

    digest: bytes
    lasting: bool = False


class AlreadyHeld(Exception):  # noqa: N818 - it is an answer, not a failure
    """The log holds the pieces with these digests already. Nothing of the call was stored."""

    def __init__(self, digests: Iterable[bytes]) -> None:
        self.digests = frozenset(digests)
        super().__init__(f"{len(self.digests)} pieces of deliveries are in the log already")


class LogFull(Exception):  # noqa: N818
    """The disk budget is used up, or the disk is: nothing was stored, the sender must try again."""


@dataclass(frozen=True)
class Backlog:
    """How far landing is behind: what was appended and is not in the lake yet, by table."""

    rows: Mapping[str, int]
    payload_bytes: int
    oldest_appended_at: float | None


class EventLog(Protocol):
    """See the module's docstring for what implementations promise."""

    @property
    def identity(self) -> str:
        """Names this log for ever; lake files carry it beside the offset, since another log counts anew."""

    def append(self, entries: Sequence[NewEntry], marks: Sequence[Mark] = ()) -> None:
        """Make all of it durable or none. Raises :class:`AlreadyHeld` or :class:`LogFull`."""

    def partitions(self, table: str) -> Sequence[str]:
        """The partitions of a table that this process may land, as file name stems such as ``e0``."""

    def position(self, table: str, partition: str) -> int:
        """The committed low watermark: every row at or below this offset is in the lake."""

    def commit(self, table: str, partition: str, offset: int) -> None:
        """Move the low watermark, once the files are in place."""

    def read(self, table: str, partition: str, after: int, *, rows_max: int, bytes_max: int) -> list[Entry]:
        """Entries above ``after`` in order; at least one if there is any, else within both limits."""

    def backlog(self) -> Backlog:
        """What is not landed yet."""

    def close(self) -> None:
        """Release files and threads; nothing acknowledged depends on it."""
