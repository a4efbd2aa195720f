"""An event log in memory for the tests of landing: keeps the contract, can fail at any call, can be replaced.

``fail_next("commit")`` makes the next call of that name raise; ``forget(table, offset)`` drops old entries
as the embedded log does after its grace period.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from typing import TYPE_CHECKING

from ingest.eventlog.contract import AlreadyHeld, Entry, Lag, Mark, NewEntry

if TYPE_CHECKING:
    from collections.abc import Sequence


class LogFailureError(Exception):
    """The failure that a test asked for."""


class MemoryLog:
    """An :class:`ingest.eventlog.contract.EventLog` without durability."""

    may_repeat = False

    def __init__(self, identity: str | None = None, partition: str = "e0", first_offset: int = 1) -> None:
        self._identity = identity or uuid.uuid4().hex
        self.partition = partition
        self._first = first_offset
        self._next = first_offset
        self.entries: dict[str, list[Entry]] = defaultdict(list)
        self.positions: dict[tuple[str, str], int] = {}
        self.digests: set[bytes] = set()
        self._failures: set[str] = set()
        self.clock = 1_795_000_000.0

    def identity(self, table: str) -> str:
        """Names this log."""
        return self._identity

    def fail_next(self, call: str) -> None:
        """Make the next call of this name raise :class:`LogFailureError` before it does anything."""
        self._failures.add(call)

    def append(self, entries: Sequence[NewEntry], marks: Sequence[Mark] = ()) -> None:
        """All or nothing."""
        self._maybe_fail("append")
        digests = {mark.digest for mark in marks}
        if held := digests & self.digests:
            raise AlreadyHeld(held)
        self.digests |= set() if self.may_repeat else digests
        for entry in entries:
            self.entries[entry.table].append(
                Entry(**vars(entry), partition=self.partition, offset=self._next, appended_at=self.clock)
            )
            self._next += 1

    def partitions(self, table: str) -> Sequence[str]:
        """The one partition."""
        self._maybe_fail("partitions")
        return [self.partition]

    def all_partitions(self, table: str) -> Sequence[str]:
        """The one partition."""
        return self.partitions(table)

    def position(self, table: str, partition: str) -> int:
        """The low watermark."""
        self._maybe_fail("position")
        return self.positions.get((table, partition), -1)

    def commit(self, table: str, partition: str, offset: int) -> None:
        """Move the low watermark."""
        self._maybe_fail("commit")
        self.positions[table, partition] = max(offset, self.position(table, partition))

    def read(self, table: str, partition: str, after: int, *, rows_max: int, bytes_max: int) -> list[Entry]:
        """Entries in order, within both limits but at least one."""
        self._maybe_fail("read")
        found: list[Entry] = []
        rows = size = 0
        for entry in self.entries[table]:
            if entry.offset <= after:
                continue
            rows += entry.rows
            size += len(entry.payload)
            if found and (rows > rows_max or size > bytes_max):
                break
            found.append(entry)
        return found

    def forget(self, table: str, offset: int) -> None:
        """Drop the entries up to an offset, as a log does some time after they were landed."""
        self.entries[table] = [entry for entry in self.entries[table] if entry.offset > offset]

    def backlog(self) -> list[Lag]:
        """What is not landed yet."""
        found = []
        for table, entries in self.entries.items():
            waiting = [entry for entry in entries if entry.offset > self.position(table, self.partition)]
            if waiting:
                rows, size = (sum(x) for x in zip(*((e.rows, len(e.payload)) for e in waiting), strict=True))
                found.append(Lag(table, self.partition, len(waiting), rows, size, waiting[0].appended_at))
        return found

    def end(self, table: str, partition: str) -> int:
        """The last offset."""
        return self.entries[table][-1].offset if self.entries[table] else self._first - 1

    def before(self, table: str, partition: str, appended_at: float) -> int:
        """An offset that all entries appended since lie above."""
        earlier = [entry.offset for entry in self.entries[table] if entry.appended_at < appended_at]
        return max(earlier, default=self._first - 1)

    def last_landed_at(self) -> float | None:
        """Not kept."""
        return None

    def close(self) -> None:
        """Nothing to release."""
        self._maybe_fail("close")

    def _maybe_fail(self, call: str) -> None:
        if call in self._failures:
            self._failures.discard(call)
            raise LogFailureError(f"{call} failed as the test asked")
