"""The embedded event log: one SQLite file in WAL mode, for a host with a lasting disk. Also the spool before Kafka.

``synchronous=FULL`` makes every commit wait for the disk, and one append is one transaction: after ``kill -9``
or a power cut the log holds all of an append or nothing of it (SQLite's checksums drop a torn WAL page). Several
processes may have the file open: one writes at a time, readers never wait. An append looks for known marks and takes
its offsets while it holds the right to write, so of two processes with the same delivery the second finds the marks of
the first, and no entry ever appears below one that could have been read.

Offsets grow for ever, also when the file is replaced by an older copy: a process begins at the clock's
microseconds or behind the last offset, whichever is larger. Otherwise entries appended after such a restore
would carry offsets that lake files claim to hold already, and would be skipped.

Landed entries stay for ``KEEP_LANDED_SECONDS``, so that ``tail`` can show them and a lost lake can be filled
again, then make room. Deleted space is used again; the file never shrinks but is bounded by the disk budget.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from ingest.eventlog.contract import AlreadyHeld, Entry, Lag, LogFull

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ingest.eventlog.contract import Mark, NewEntry

PARTITION: Final = "e0"
KEEP_LANDED_SECONDS: Final = 3600
KEEP_MARKS_SECONDS: Final = 7 * 86_400  # Heroku tries again within seconds
KEEP_MARKS_MIN: Final = 10_000  # the newest, however old: between two tries a clock can jump
ROOM_SHARE: Final = 0.01  # of the budget: with less, deliveries would soon be refused again
KEEP_LANDED_SHARE: Final = 0.5  # of the budget: beyond it landed entries go at once, however young
BUSY_SECONDS: Final = 3.0  # below the receiver's 4 s: a blocked log answers 503 in time
TURN_SECONDS: Final = 0.001  # between two looks whether another process has finished writing
TRIM_EVERY_SECONDS: Final = 30.0
TRIM_ENTRIES_MAX: Final = 200  # per append, so that making room never delays a reply noticeably

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS log (identity TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS entries (
  "offset" INTEGER PRIMARY KEY, "table" TEXT NOT NULL, app TEXT NOT NULL, rows INTEGER NOT NULL,
  appended_at REAL NOT NULL, payload BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS entries_by_table ON entries ("table", "offset");
CREATE TABLE IF NOT EXISTS positions ("table" TEXT PRIMARY KEY, "offset" INTEGER NOT NULL, landed_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS marks (digest BLOB PRIMARY KEY, expires_at REAL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS marks_by_expiry ON marks (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS credentials (
  app TEXT NOT NULL, digest BLOB NOT NULL, created_at REAL NOT NULL, PRIMARY KEY (app, digest)) WITHOUT ROWID;
INSERT INTO log SELECT lower(hex(randomblob(16))) WHERE NOT EXISTS (SELECT * FROM log);
"""


def connect(path: Path) -> sqlite3.Connection:
    """Open the log's file, made if need be. Raises ``sqlite3.Error`` when it cannot be opened."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=64
    )
    _write_ahead(connection)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA journal_size_limit=67108864")
    if not _is_made(connection):
        _create(connection)
    return connection


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Turn WAL mode on. While another process does so in a file just made, SQLite refuses at once; it does not wait."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() >= deadline:
                raise
            time.sleep(TURN_SECONDS)
        else:
            return


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def _is_made(connection: sqlite3.Connection) -> bool:
    """Whether the newest table is there, and the identity: an older version, killed, could leave tables without it."""
    has_tables = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'credentials'").fetchone() is not None
    return has_tables and connection.execute("SELECT 1 FROM log").fetchone() is not None


def _create(connection: sqlite3.Connection) -> None:
    """Make the tables and the identity, or nothing; of several that start at once one does, the others find them."""
    connection.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}COMMIT;")


class EmbeddedLog:
    """See ``contract.EventLog``. Safe to use from several threads; each call is one transaction."""

    def __init__(self, path: Path, *, size_max_bytes: int = 10 << 30) -> None:
        self._path = path
        self._size_max_bytes = size_max_bytes
        self._lock = threading.Lock()
        self._connection = connect(path)
        self._file = _file_at(path)
        self._identity: str = self._connection.execute("SELECT identity FROM log").fetchone()[0]
        self._floor = time.time_ns() // 1000
        self._trim_at = 0.0
        self._refused_bytes = 0

    @property
    def may_repeat(self) -> bool:
        """Never: marks and entries are stored in one transaction."""
        return False

    def identity(self, table: str) -> str:
        """The file's own id, the same for all tables."""
        del table
        return self._identity

    def append(self, entries: Sequence[NewEntry], marks: Sequence[Mark] = ()) -> None:
        """Store all of it in one transaction; durable at return. Never into a file that nobody can find any more."""
        if _file_at(self._path) != self._file:
            raise LogFull(
                f"the event log {self._path} was deleted or replaced while it was open: start drainlake again"
            )
        with self._transaction() as connection:
            if held := _held(connection, marks):
                raise AlreadyHeld(held)
            now = time.time()
            self._make_room(connection, now, sum(len(entry.payload) for entry in entries))
            self._floor = max(self._floor, _last_offset(connection) + 1)
            connection.executemany(
                "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (self._floor + n, entry.table, entry.app, entry.rows, now, entry.payload)
                    for n, entry in enumerate(entries)
                ],
            )
            connection.executemany(
                "INSERT INTO marks VALUES (?, ?)",
                [(mark.digest, None if mark.lasting else now + KEEP_MARKS_SECONDS) for mark in marks],
            )
        self._floor += len(entries)
        self._refused_bytes = 0

    def has_room(self) -> bool:
        """Whether the budget has room for what it refused last and for some batches, and the disk takes a page."""
        try:
            with self._transaction() as connection:
                # A batch of many deliveries may be larger than the whole budget, and the next one is not.
                refused = min(self._refused_bytes, int(self._size_max_bytes * KEEP_LANDED_SHARE))
                self._make_room(connection, time.time(), max(refused, int(self._size_max_bytes * ROOM_SHARE)))
                # Something has to change, or SQLite writes nothing.
                connection.execute("INSERT INTO marks VALUES (x'', 0)")
                connection.execute("DELETE FROM marks WHERE digest = x''")
        except LogFull:
            return False
        return _file_at(self._path) == self._file

    def partitions(self, table: str) -> Sequence[str]:
        """The embedded log has one partition per table."""
        del table
        return (PARTITION,)

    def all_partitions(self, table: str) -> Sequence[str]:
        """The one partition."""
        return self.partitions(table)

    def position(self, table: str, partition: str) -> int:
        """The committed low watermark, -1 before the first landing."""
        del partition
        row = self._rows('SELECT "offset" FROM positions WHERE "table" = ?', (table,))
        return int(row[0][0]) if row else -1

    def commit(self, table: str, partition: str, offset: int) -> None:
        """Move the low watermark."""
        del partition
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO positions VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET landed_at=excluded.landed_at,"
                ' "offset"=max("offset", excluded."offset")',
                (table, offset, time.time()),
            )

    def read(self, table: str, partition: str, after: int, *, rows_max: int, bytes_max: int) -> list[Entry]:
        """Entries above ``after`` in order, within both limits but at least one."""
        entries: list[Entry] = []
        rows = octets = 0
        with self._lock:
            cursor = self._connection.execute(
                'SELECT app, rows, payload, "offset", appended_at FROM entries'
                ' WHERE "table" = ? AND "offset" > ? ORDER BY "offset"',
                (table, after),
            )
            for app, height, payload, offset, appended_at in cursor:
                rows, octets = rows + height, octets + len(payload)
                if entries and (rows > rows_max or octets > bytes_max):
                    break
                entries.append(Entry(table, app, height, payload, partition, offset, appended_at))
            cursor.close()
        return entries

    def held(self, marks: Sequence[Mark]) -> list[bytes]:
        """The digests among some marks that the log holds."""
        with self._lock:
            return _held(self._connection, marks)

    def is_landed(self) -> bool:
        """Whether every table's low watermark has come to its end."""
        ends = dict(self._rows('SELECT "table", max("offset") FROM entries GROUP BY "table"'))
        landed = dict(self._rows('SELECT "table", "offset" FROM positions'))
        return all(landed.get(table, -1) >= end for table, end in ends.items())

    def backlog(self) -> Sequence[Lag]:
        """What lies above the low watermarks."""
        found = self._rows(
            'SELECT e."table", count(*), sum(e.rows), sum(length(e.payload)), min(e.appended_at) FROM entries e'
            ' LEFT JOIN positions p ON p."table" = e."table" WHERE e."offset" > coalesce(p."offset", 0)'
            ' GROUP BY e."table"',
        )
        return [Lag(table, PARTITION, *counts) for table, *counts in found]

    def last_landed_at(self) -> float | None:
        """When the low watermark last moved (seconds since 1970); None before the first landing."""
        landed_at: float | None = self._rows("SELECT max(landed_at) FROM positions")[0][0]
        return landed_at

    def end(self, table: str, partition: str) -> int:
        """The last offset of a table, 0 when it has no entry."""
        del partition
        return int(self._rows('SELECT max("offset") FROM entries WHERE "table" = ?', (table,))[0][0] or 0)

    def before(self, table: str, partition: str, appended_at: float) -> int:
        """The last offset of what was appended before, 0 when nothing was."""
        del partition
        row = self._rows(
            'SELECT max("offset") FROM entries WHERE "table" = ? AND appended_at < ?', (table, appended_at)
        )
        return int(row[0][0] or 0)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """One durable transaction; whatever the disk refuses becomes :class:`LogFull`, and nothing is stored."""
        with self._lock:
            try:
                self._begin()
                yield self._connection
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                self._roll_back()
                raise LogFull(f"the event log {self._path} cannot be written: {error}") from error
            except BaseException:
                self._roll_back()
                raise

    def _begin(self) -> None:
        """Begin to write as soon as no other process does; raises ``sqlite3.Error`` after ``BUSY_SECONDS``.

        SQLite's own pauses grow to 100 ms: of several processes that write without a break one would wait for seconds.
        """
        deadline = time.monotonic() + BUSY_SECONDS
        self._connection.execute("PRAGMA busy_timeout=0")
        try:
            while not self._begins(is_last=time.monotonic() >= deadline):
                time.sleep(TURN_SECONDS)
        finally:
            self._connection.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000:.0f}")

    def _begins(self, *, is_last: bool) -> bool:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if is_last or not _is_busy(error):
                raise
            return False
        return True

    def _roll_back(self) -> None:
        """Back to before the transaction; a failed COMMIT can have ended it already."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _rows(self, statement: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(statement, values).fetchall()

    def _make_room(self, connection: sqlite3.Connection, now: float, more_bytes: int) -> None:
        """Delete what nobody waits for, then refuse what the budget has no room for."""
        used = used_bytes(connection) + more_bytes
        crowded = used > self._size_max_bytes * KEEP_LANDED_SHARE
        if crowded or now >= self._trim_at:
            _trim(connection, landed_before=now if crowded else now - KEEP_LANDED_SECONDS, now=now)
            self._trim_at = now + TRIM_EVERY_SECONDS
            used = used_bytes(connection) + more_bytes
        if used > self._size_max_bytes:
            self._refused_bytes = more_bytes
            raise LogFull(f"the event log {self._path} has reached its budget of {self._size_max_bytes} bytes")


def _file_at(path: Path) -> tuple[int, int] | None:
    """Which file lies there; None where it cannot be found."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _held(connection: sqlite3.Connection, marks: Sequence[Mark]) -> list[bytes]:
    return [
        mark.digest
        for mark in marks
        if connection.execute("SELECT 1 FROM marks WHERE digest = ?", (mark.digest,)).fetchone()
    ]


def _last_offset(connection: sqlite3.Connection) -> int:
    """The largest offset ever given: entries that were landed may be deleted by now, the low watermarks stay.

    An entry below a low watermark would never be landed.
    """
    row = connection.execute(
        'SELECT (SELECT max("offset") FROM entries), (SELECT max("offset") FROM positions)'
    ).fetchone()
    return max(int(offset or 0) for offset in row)


def used_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of pages in use: entries that were deleted have made room already."""
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _trim(connection: sqlite3.Connection, *, landed_before: float, now: float) -> None:
    """Delete some landed entries and expired marks."""
    delete_landed(connection, landed_before)
    # The + keeps SQLite from counting the newest marks before it knows that one has expired.
    connection.execute(
        "DELETE FROM marks WHERE digest IN (SELECT digest FROM marks WHERE expires_at < ? AND +expires_at < (SELECT"
        " expires_at FROM marks WHERE expires_at IS NOT NULL ORDER BY expires_at DESC LIMIT 1 OFFSET ?) LIMIT ?)",
        (now, KEEP_MARKS_MIN - 1, TRIM_ENTRIES_MAX),
    )


def delete_landed(connection: sqlite3.Connection, appended_before: float) -> int:
    """Delete some landed entries, never one above the low watermark; how many, at most ``TRIM_ENTRIES_MAX``."""
    return connection.execute(
        'DELETE FROM entries WHERE "offset" IN (SELECT e."offset" FROM entries e JOIN positions p'
        ' ON p."table" = e."table" AND e."offset" <= p."offset" WHERE e.appended_at < ? LIMIT ?)',
        (appended_before, TRIM_ENTRIES_MAX),
    ).rowcount
