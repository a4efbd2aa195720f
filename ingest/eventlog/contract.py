"""What an event log is: the promises both implementations keep and one test suite holds them to.

The log stores *entries*. An entry is a batch of rows of one table for one app (an Arrow IPC stream, zstd), at
an *offset* that only grows within its (table, partition). The receiver appends; landing reads forward and
commits how far the lake has come.

Promised:

* ``append`` returns only when all entries and marks of the call are durable: ``kill -9`` of any process at any moment
  loses nothing of them.
* ``read`` gives entries in offset order, never one twice, never one that is not durable yet.
* An append with a mark that the log knows is refused with :class:`AlreadyHeld`, and nothing of it is stored;
  the caller takes the repeated pieces out and appends again.
* If ``may_repeat`` is false, an append stores all of its entries or none, and the log knows every mark for a week,
  lasting ones for ever. If it is true, neither holds: an append that raised :class:`LogUnavailable` may have stored
  some entries, now or later, and another receiver's marks are not known. So parts of deliveries can be in the log
  twice. Landing keeps the first (``transforms.repeats``): every row names its part, and all tries of a delivery are in
  the same partition, since those of an app are.

Not promised: order across tables or partitions; that offsets are consecutive; that an entry stays readable
once its offset has been committed (it is kept for a grace period for ``tail`` and for a lost lake).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True)
class NewEntry:
    """Rows of one table for one app, encoded, not yet in the log.

    ``since`` (seconds since 1970) says how long it has been on its way, if it comes from a spool: what it repeats was
    appended after that, or not long before.
    """

    table: str
    app: str
    rows: int
    payload: bytes
    since: float | None = None


@dataclass(frozen=True)
class Entry:
    """An entry as it lies in the log. ``offset`` grows within (table, partition); times in seconds since 1970."""

    table: str
    app: str
    rows: int
    payload: bytes
    partition: str
    offset: int
    appended_at: float
    since: float | None = None


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


class LogUnavailable(Exception):  # noqa: N818
    """The log cannot be reached or refuses; the message is a sentence. What an append stored is not known."""


class OwnershipLost(Exception):  # noqa: N818 - a rebalance is no failure
    """Another process lands this partition now; it goes on from what the files say."""


@dataclass(frozen=True)
class Lag:
    """How far landing is behind in one (table, partition): what was appended and is not in the lake yet.

    ``rows`` and ``payload_bytes`` are None where the log does not know them without reading the entries. ``lost``
    entries were removed from the log before they were landed.
    """

    table: str
    partition: str
    entries: int
    rows: int | None
    payload_bytes: int | None
    oldest_appended_at: float | None
    lost: int = 0


class Appender(Protocol):
    """Where the receiver puts its batches."""

    def append(self, entries: Sequence[NewEntry], marks: Sequence[Mark] = ()) -> None:
        """Make all of it durable. Raises :class:`AlreadyHeld`, :class:`LogFull` or :class:`LogUnavailable`."""


class LocalAppender(Appender, Protocol):
    """One that keeps what it is given on this host's disk, or what Kafka does not take at once."""

    def has_room(self) -> bool:
        """Whether an append that was refused as :class:`LogFull` would be taken now, as far as one can tell."""


class EventLog(Appender, Protocol):
    """See the module's docstring for what implementations promise.

    All but ``append`` raise :class:`LogUnavailable` where the log is not on this host.
    """

    @property
    def may_repeat(self) -> bool:
        """Whether a part of a delivery can be in the log twice."""

    def identity(self, table: str) -> str:
        """Names a table's log for ever; lake files carry it beside the offset, since another log counts anew."""

    def partitions(self, table: str) -> Sequence[str]:
        """The partitions of a table that this process may land, as file name stems such as ``e0``."""

    def all_partitions(self, table: str) -> Sequence[str]:
        """The partitions of a table, whoever lands them."""

    def position(self, table: str, partition: str) -> int:
        """The committed low watermark: all rows up to this offset are in the lake; -1 before the first landing."""

    def commit(self, table: str, partition: str, offset: int) -> None:
        """Move the low watermark, once the files are in place. Raises :class:`OwnershipLost`."""

    def read(self, table: str, partition: str, after: int, *, rows_max: int, bytes_max: int) -> list[Entry]:
        """Entries above ``after`` in order; at least one if there is any, else within both limits."""

    def end(self, table: str, partition: str) -> int:
        """The last offset of a partition; below all entries when there is none."""

    def before(self, table: str, partition: str, appended_at: float) -> int:
        """An offset that all entries appended at or after that time (seconds since 1970) lie above."""

    def backlog(self) -> Sequence[Lag]:
        """What is not landed yet, of every partition that has any, whoever lands it."""

    def last_landed_at(self) -> float | None:
        """When a low watermark last moved (seconds since 1970); None before the first landing."""

    def close(self) -> None:
        """Release files, connections and threads; nothing acknowledged depends on it."""
