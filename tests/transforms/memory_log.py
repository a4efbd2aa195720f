"""An event log in memory for the tests of landing: keeps the contract, can fail at any call, can be replaced.

``fail_next("commit")`` makes the next call of that name raise; ``forget(table, offset)`` drops old entries
as the embedded log does after its grace period.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from typing import TYPE_CHECKING

from ingest.eventlog.contract import AlreadyHeld, Backlog, Entry, Mark, NewEntry

if TYPE_CHECKING:
    from collections.abc import Sequence


class LogFailureError(Exception):
    """The failure that a test asked for."""


class MemoryLog:
    """An :class:`ingest.eventlog.contract.EventLog` without durability."""

    def __init__(self, identity: str | None = None, partition: str = "e0", first_offset: int = 1) -> None:
        self._identity = identity or uuid.uuid4().hex
        self.partition = partition
        self._first = first_offset
        self._next = first_offset
        self.entries: dict[str, list[Entry]] = defaultdict(list)
        self.positions: dict[tuple[str, str], int] = {}
        self.digests: set[bytes] = set()
        self._failures: set[str] = set()

    @property
    def identity(self) -> str:
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
        self.digests |= digests
        for entry in entries:
            self.entries[entry.table].append(
                Entry(entry.table, entry.app, entry.rows, entry.payload, self.partition, self._next)
            )
            self._next += 1

    def partitions(self, table: str) -> Sequence[str]:
        """The one partition."""
        self._maybe_fail("partitions")
        return [self.partition]

    def position(self, table: str, partition: str) -> int:
        """The low watermark."""
        self._maybe_fail("position")
        return self.positions.get((table, partition), self._first - 1)

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

    def backlog(self) -> Backlog:
        """What is not landed yet."""
        open_entries = [
            entry
            for table, entries in self.entries.items()
            for entry in entries
            if entry.offset > self.position(table, self.partition)
        ]
        rows: dict[str, int] = defaultdict(int)
        for entry in open_entries:
            rows[entry.table] += entry.rows
        return Backlog(rows, sum(len(entry.payload) for entry in open_entries), None)

    def close(self) -> None:
        """Nothing to release."""
        self._maybe_fail("close")

    def _maybe_fail(self, call: str) -> None:
        if call in self._failures:
            self._failures.discard(call)
            raise LogFailureError(f"{call} failed as the test asked")
