"""Landing: from the event log into the lake, every acknowledged row exactly once.

The protocol, for each (table, partition), as its owner (see ``lake``):

1. Read the entries above the log's position (a low watermark) in bounded bites. Where the log can hold a part of a
   delivery twice, take the repeats out (see ``repeats``).
2. Cut the bite by date. For each date find the newest file of *this* log: its footer says the last offset
   it includes. Files grow in order of offset, so every row of this date up to that offset is in the lake.
   Rows at or below it are skipped: a landing that died after the rename had brought them already. Files of
   another log (another identity) and files that are not ours skip nothing and are never rewritten.
3. Write the rest. If it fits into the tail, the newest file, the tail is rewritten with it; else it goes
   into the next sequences. A file always ends with a whole entry, and its footer gives that entry's offset.
   Each file is published atomically, in order of sequence, so a kill in between leaves a prefix. Before a next
   sequence begins the tail is sealed, and files of one bite but its last are written sealed: an owner that was
   replaced meanwhile cannot go on beside the new one.
4. When the files of all dates are in place, commit the position. A kill before it repeats 1 to 3, which finds
   everything skipped; a kill between two dates repeats only the dates that are missing.
5. When a table has been landed to its end, its sentinel is given the log's identity. Where a sentinel does
   not name the log, the position is not believed and landing starts at the oldest entry the log still
   holds: the lake was removed or replaced, or has not been landed to the end yet. What is in the lake
   nevertheless is skipped by step 2. The sentinel is written last, so a kill during such a repeat repeats
   it again.

Why no row is lost: the position moves only after every row below it is in a durable file, and it is
believed only beside the sentinel, which vanishes with the files. Why no row doubles: a row's date never
changes, only the owner can write, and the newest offset of a date covers all its rows below. What a user
or retention deletes stays deleted. All this needs what the log promises: offsets grow for ever under one
identity.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import polars as pl

from ingest.eventlog.contract import OwnershipLost
from ingest.schema import CONTINUES, TABLES
from transforms.bites import BITE_MEMORY_BYTES, OFFSET, EntryError, bites, least_memory_bytes, memory_bytes
from transforms.distinct import has_one_app, rank
from transforms.durable import no_fault
from transforms.lake import SENTINEL_DATE, DamagedFileError, LakeFile, LakeLockedError, StaleOwnerError
from transforms.lean_memory import use_lean_memory
from transforms.parquet import SCHEMAS, Footer, Origin
from transforms.php_events import days_of_heads, join_continuations
from transforms.privacy import KEEP_ALL, Privacy, masked
from transforms.repeats import Repeats
from transforms.route_book import RouteBook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ingest.eventlog.contract import EventLog
    from transforms.durable import Fault
    from transforms.lake import Lake

BEFORE_FIRST: Final = -1
# A tail is read and sorted anew at each landing, so its size bounds landing's memory, whatever file_rows
# says.
FILE_MEMORY_BYTES: Final = BITE_MEMORY_BYTES
_BEFORE_ALL_TIME: Final = -(1 << 63)


@dataclass(frozen=True)
class Landed:
    """What a landing did: log lines per table, files written, and sentences the operator should read.

    ``busy`` names the partitions, such as ``router e0``, that another process was landing.
    """

    rows: Mapping[str, int]
    files: int
    notices: tuple[str, ...] = ()
    complete: bool = True
    busy: tuple[str, ...] = ()


class _Tail(NamedTuple):
    """The newest file of (table, date, partition), and how far this log has come in it.

    ``footer`` is None when the file cannot be written on: none there, another log's, an older schema, sealed.
    """

    file: LakeFile
    footer: Footer | None
    offset: int


def never() -> bool:
    """Do not stop before the backlog is empty."""
    return False


def land_once(  # noqa: PLR0913 - all but two are given by name
    log: EventLog,
    lake: Lake,
    *,
    file_rows: int,
    stop: Callable[[], bool] = never,
    on_progress: Callable[[str, int], None] | None = None,
    fault: Fault = no_fault,
    repeats: Repeats | None = None,
    book: RouteBook | None = None,
    privacy: Privacy = KEEP_ALL,
) -> Landed:
    """Land the backlog of all tables; ends when it is empty or ``stop`` says so between two bites.

    ``file_rows`` bounds a file's rows; only a single entry that is larger makes a larger file.
    ``on_progress`` is told the table and the lines landed by each bite. ``fault`` is for tests: it is called
    at the points "read", "tail read", "temporary written", "renamed", "before commit" and "committed".
    ``repeats`` is what landings of the same log before have remembered, ``book`` what they have learned of
    routes, with the user's pins. ``privacy`` is what is taken out of rows on their way. A partition that another
    process lands is left to it. Raises LakeError for a lake that cannot be reached, LogUnavailable,
    OSError for a full disk; after any of them the next call carries on. Once the other partitions are landed, raises
    EntryError for an entry that cannot be decoded, DamagedFileError for a file that cannot be read: nothing behind the
    one, nor beside the other, is landed.
    """
    if file_rows < 1:
        raise ValueError(f"file_rows is {file_rows}; it must be at least 1")
    use_lean_memory()
    landing = _Landing(log, lake, file_rows, fault, repeats or Repeats(log), book or RouteBook(), privacy)
    lake.prepare()
    landing.read_book()
    for table in TABLES:
        for partition in log.partitions(table):
            for rows in landing.land_as_owner(table, partition):
                if on_progress:
                    on_progress(table, rows)
                if stop():
                    return landing.result(complete=False)
    if landing.broken:
        raise landing.broken[0]
    return landing.result(complete=True)


@dataclass
class _Landing:
    """One run: the log, the lake, and what has been done so far."""

    log: EventLog
    lake: Lake
    file_rows: int
    fault: Fault
    repeats: Repeats
    book: RouteBook
    privacy: Privacy
    rows: Counter[str] = field(default_factory=Counter)
    files: int = 0
    notices: list[str] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)
    broken: list[EntryError | DamagedFileError] = field(default_factory=list)

    def result(self, *, complete: bool) -> Landed:
        counts = {table: self.rows[table] for table in TABLES}
        return Landed(counts, self.files, tuple(self.notices), complete, tuple(self.busy))

    def read_book(self) -> None:
        notice = self.book.read(self.lake)
        self.notices += [notice] if notice else []

    def land_as_owner(self, table: str, partition: str) -> Iterator[int]:
        """Land one (table, partition) unless another process is its owner, or becomes it meanwhile."""
        try:
            with self.lake.own(table, partition):
                yield from self.land(table, partition)
                self.lake.settle(table, partition, time.time())
        except (LakeLockedError, StaleOwnerError, OwnershipLost):
            self.busy.append(f"{table} {partition}")
        except (EntryError, DamagedFileError) as error:
            self.broken.append(error)  # stays where it is and is not passed over; the other partitions go on

    def land(self, table: str, partition: str) -> Iterator[int]:
        """Steps 1 to 5 for one (table, partition); gives the lines landed after each committed bite."""
        name = f"{self.log.identity(table)} {partition}"
        position = self.log.position(table, partition)
        known = name in self.lake.landed_logs(table)
        if not known and position == BEFORE_FIRST:
            # Nothing of it was landed anywhere: from here on its position counts the rows of this lake, also if
            # this landing is stopped halfway.
            self.lake.add_landed_log(table, name)
            known = True
        if not known:
            self.notices.append(
                f"{table}: the lake does not show that this log was landed into it before, "
                "so landing began again at the oldest entry the log still holds."
            )
        after = position if known else BEFORE_FIRST
        for bite in bites(self.log, table, partition, after):
            self.fault("read")
            new = masked(table, self.repeats.first_only(table, partition, after, bite), self.privacy)
            after = bite.last
            del bite  # what is not needed any more must not be in memory besides what is made of it
            new = self.book.learn(new, self.lake)
            rows = sum(self._land_date(table, date, partition, group) for date, group in split_by_date(new))
            del new
            self._commit(table, partition, after, position)
            self.rows[table] += rows
            yield rows
        if not known:
            self.lake.add_landed_log(table, name)

    def _commit(self, table: str, partition: str, offset: int, position: int) -> None:
        self.fault("before commit")
        if offset > position:  # a repeat from the oldest entry must not move the position back
            self.log.commit(table, partition, offset)
        self.fault("committed")

    def _land_date(self, table: str, date: str, partition: str, rows: pl.DataFrame) -> int:
        tail = self._tail(table, date, partition)
        new = rows.filter(pl.col(OFFSET) > tail.offset) if tail.offset >= rows[OFFSET][0] else rows
        file, footer = tail.file, tail.footer
        pieces = list(split_by_entry(new, self.file_rows))
        for number, piece in enumerate(pieces, 1):
            fits = footer is not None and self._fits(footer, piece)
            if not fits:
                if footer is not None:
                    self.lake.seal(file)
                file = file.next()
            self._write(file, piece, footer if fits else None, sealed=number < len(pieces))
            footer = None  # only the newest file before this bite is ever rewritten: pieces are full files
        return new.height

    def _tail(self, table: str, date: str, partition: str) -> _Tail:
        files = self.lake.files(table, date, partition)
        newest = files[0] if files else LakeFile(table, date, partition, 0)
        footer = None
        for file in files:
            found = self.lake.footer(file)
            if found.origin is None or found.origin.identity != self.log.identity(table):
                continue
            if file == newest and found.schema == SCHEMAS[table] and not found.origin.sealed:
                footer = found
            return _Tail(newest, footer, found.origin.offset)
        return _Tail(newest, None, BEFORE_FIRST)

    def _fits(self, tail: Footer, piece: pl.DataFrame) -> bool:
        room = FILE_MEMORY_BYTES - (tail.origin.memory_bytes if tail.origin else 0)
        if tail.rows + count_rows(piece) > self.file_rows or least_memory_bytes(piece) > room:
            return False
        return memory_bytes(piece) <= room

    def _write(self, file: LakeFile, piece: pl.DataFrame, tail: Footer | None, *, sealed: bool) -> None:
        """Write a piece, behind the rows of the file if that is a ``tail``."""
        held, routes = self.lake.read(file) if tail else None, self.book.fingerprint
        self.fault("tail read")
        if held is not None and tail and tail.origin and tail.origin.routes != routes:
            held = self.book.name(held, anew=True)
        rows = self.book.name(shape(held, piece.drop(OFFSET)))
        offset = piece[OFFSET][-1]
        erased = tail.origin.erased if tail and tail.origin else 0
        identity, size_bytes = self.log.identity(file.table), memory_bytes(rows)
        origin = Origin(identity, offset, size_bytes, sealed=sealed, routes=routes, erased=erased)
        del held, piece
        self.lake.publish(file, rows, origin, self.fault)
        self.files += 1


def shape(tail: pl.DataFrame | None, new: pl.DataFrame) -> pl.DataFrame:
    """The rows of one file from its tail and new rows of the log: joined and sorted. Pure."""
    if tail is not None:
        new = pl.concat([tail, new], how="diagonal" if CONTINUES in new.columns else "vertical")
    if CONTINUES in new.columns:
        new = join_continuations(new)
    return _sort(new)


def _sort(rows: pl.DataFrame) -> pl.DataFrame:
    """By app and time; NULL comes first, equal rows keep their order."""
    # NumPy's merge of runs: entries come nearly in order of time, and it takes a third of the time of polars' sort.
    time_us = rows["timestamp"].to_physical().fill_null(_BEFORE_ALL_TIME).to_numpy()
    order = np.lexsort([time_us] if has_one_app(rows) else [time_us, rank(rows["app"]).to_numpy()])
    if (np.diff(order) == 1).all():
        return rows  # one app in order is the usual case, and a copy costs memory
    return rows[pl.Series(order, dtype=pl.UInt32)]


def split_by_date(rows: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Each UTC day as YYYY-MM-DD with its rows, in order of days; the rows keep the order of arrival.

    A continuation line goes to the day of its head, in which it becomes part of it.
    """
    day = rows["timestamp"].dt.date().to_physical()  # as numbers: Python has no date for the year 0000
    if CONTINUES in rows.columns:
        day = days_of_heads(rows, day, OFFSET)
    days = day.unique().sort()
    names = days.cast(pl.Date).dt.strftime("%Y-%m-%d")
    for value, name in zip(days, names, strict=True):
        yield name or SENTINEL_DATE, rows if len(days) == 1 else rows.filter(day.eq_missing(value))


def split_by_entry(rows: pl.DataFrame, rows_max: int) -> Iterator[pl.DataFrame]:
    """Pieces of at most ``rows_max`` rows that end with a whole entry; a larger entry is its own piece."""
    if rows.height <= rows_max:
        if rows.height:
            yield rows
        return
    ends = np.append(np.flatnonzero(np.diff(rows[OFFSET].to_numpy())) + 1, rows.height)
    start = 0
    while start < rows.height:
        # The last end within reach; if even the first one is not, the entry there is larger than a file.
        index = int(np.searchsorted(ends, start + rows_max, side="right")) - 1
        end = int(ends[max(index, int(np.searchsorted(ends, start, side="right")))])
        yield rows[start:end]
        start = end


def count_rows(piece: pl.DataFrame) -> int:
    """Rows a piece will add to a file: continuation lines join a head and are none."""
    return piece.height - int(piece[CONTINUES].sum()) if CONTINUES in piece.columns else piece.height
