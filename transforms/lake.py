"""The lake on a local folder: the few operations that landing, retention and the catalog need.

Layout: ``<lake>/<table>/date=YYYY-MM-DD/<partition>-<sequence>.parquet``. Every file is whole and says in
its footer which log it was landed from and the last offset it includes. The newest file of (table, date,
partition) is the *tail*; only the tail is ever replaced. Every table has a 0-row *sentinel* with the full
schema, so that globs and views work on an empty lake. The sentinel also says from which logs the table has
been landed completely. It goes when the table's folders go, so a lost lake cannot look like a landed one.

Nothing else in the project builds a path inside the lake. An S3 lake will have the same public methods.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from transforms import durable, parquet
from transforms.settling import settle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transforms.parquet import Footer, Origin

SENTINEL_DATE: Final = "1970-01-01"
SENTINEL_NAME: Final = "empty-0.parquet"
PREPARE_TRIES: Final = 3
RECENT_DATES: Final = 2  # at start only these are looked through: older ones were settled by the process before
FILE: Final = re.compile(r"(.+)-(\d{6,})\.parquet")
DATE_FOLDER: Final = re.compile(r"date=(\d{4}-\d{2}-\d{2})")


class LakeError(Exception):
    """The lake is not as it must be; the message says which file and what to try."""


class LakeLockedError(LakeError):
    """Another process lands into this lake or cleans it up."""


class StaleOwnerError(LakeError):
    """Another lander has written meanwhile, so this one is not the owner any more; nothing was written."""


@dataclass(frozen=True)
class LakeFile:
    """The place of one landed file. ``sequence`` counts from 1 within (table, date, partition)."""

    table: str
    date: str
    partition: str
    sequence: int
    version: str | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """The file's name in its date folder."""
        return f"{self.partition}-{self.sequence:06d}.parquet"


@dataclass(frozen=True)
class Totals:
    """What lies in the lake; sentinels do not count."""

    files: int
    size_bytes: int
    days: int


class LocalLake:
    """A lake in a folder of a local file system. See the module's docstring for what lies where."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path).absolute()
        self._scratch = self.path / ".tmp"
        self._lock_file = self.path / ".lock"
        self._lock: int | None = None
        self._owner: int | None = None
        self._unsettled: set[LakeFile] | None = None  # None: not looked for yet

    def prepare(self) -> None:
        """Make folders and sentinels where they are missing or of an older schema. Needs no lock."""
        for table in parquet.SCHEMAS:
            if not self._sentinel_is_current(table):
                self._write_sentinel(table, self.landed_logs(table))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Own the lake: no other process lands or removes meanwhile. May be nested in one thread.

        The lock ends with the process, so a killed owner blocks nobody. Raises :class:`LakeLockedError`.
        """
        if self._lock is not None and self._owner == threading.get_ident():
            yield
            return
        descriptor = self._acquire()
        self._lock, self._owner = descriptor, threading.get_ident()
        try:
            durable.sweep(self._scratch)
            yield
        finally:
            self._lock = self._owner = None
            os.close(descriptor)

    def dates(self, table: str) -> list[str]:
        """The dates a table has folders for, in order; the sentinel's own folder does not count."""
        found = (DATE_FOLDER.fullmatch(folder.name) for folder in _entries(self.path / table))
        return sorted(match[1] for match in found if match and match[1] != SENTINEL_DATE)

    def files(self, table: str, date: str, partition: str) -> list[LakeFile]:
        """The files of (table, date, partition), newest first. Names of another shape are not ours."""
        shape = re.compile(re.escape(partition) + r"-(\d{6,})\.parquet")
        found = (shape.fullmatch(entry.name) for entry in _entries(self._folder(table, date)))
        sequences = sorted((int(match[1]) for match in found if match), reverse=True)
        return [LakeFile(table, date, partition, sequence) for sequence in sequences]

    def footer(self, file: LakeFile) -> Footer:
        """Read a file's footer. Raises :class:`LakeError` naming the file if it is not whole."""
        try:
            return parquet.read_footer(self._path(file))
        except parquet.TornFileError as error:
            raise LakeError(
                f"{error}; move it out of the lake together with {self._sentinel(file.table)} "
                "and land again: what the log still holds is landed anew."
            ) from error

    def read(self, file: LakeFile) -> pl.DataFrame:
        """All rows of a file."""
        return parquet.read(self._path(file))

    def publish(
        self, file: LakeFile, rows: pl.DataFrame, origin: Origin, fault: durable.Fault = durable.no_fault
    ) -> None:
        """Put a file in place atomically, also over its version before. The lock must be held."""
        place = self._path(file)

        def write(temporary: Path) -> None:
            if place.exists():
                parquet.write_next(rows, place, temporary, origin.metadata(), time.time())
            else:
                parquet.write(rows, temporary, origin.metadata())
            self._require_lock()

        durable.publish(place, self._scratch, write, fault)
        self._find_unsettled().add(file)

    def settle(self, now: float) -> None:
        """Free what earlier versions take of files that were not rewritten of late. The lock must be held."""
        self._require_lock()
        unsettled = self._find_unsettled()
        settled = {file for file in unsettled if not self._path(file).exists() or settle(self._path(file), now)}
        unsettled -= settled

    def _find_unsettled(self) -> set[LakeFile]:
        """Files written by this process, and those that one before it may have left unsettled."""
        if self._unsettled is None:
            self._unsettled = {
                LakeFile(table, date, match[1], int(match[2]))
                for table in parquet.SCHEMAS
                for date in self.dates(table)[-RECENT_DATES:]
                for entry in _entries(self._folder(table, date))
                if (match := FILE.fullmatch(entry.name))
            }
        return self._unsettled

    def landed_logs(self, table: str) -> frozenset[str]:
        """The logs that a table has been landed from, as its sentinel says; none if the sentinel is gone."""
        try:
            metadata = parquet.read_footer(self._sentinel(table)).metadata
            return frozenset(json.loads(metadata.get("drainlake.landed", "[]")))
        except (FileNotFoundError, parquet.TornFileError, ValueError):
            return frozenset()

    def add_landed_log(self, table: str, name: str) -> None:
        """Note in a table's sentinel that a log has been landed. The lock must be held."""
        self._require_lock()
        self._write_sentinel(table, self.landed_logs(table) | {name})

    def remove_date(self, table: str, date: str) -> None:
        """Remove a date of a table for good. The lock must be held. The sentinel's folder is refused."""
        self._require_lock()
        if date == SENTINEL_DATE:
            raise ValueError(f"date={SENTINEL_DATE} holds the sentinel and is never removed")
        durable.discard_folder(self._folder(table, date), self._scratch)

    def _acquire(self) -> int:
        durable.make_folder(self.path)
        descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise LakeLockedError(
                f"another lander owns this lake ({self.path}); stop it, or wait until it has finished."
            ) from error
        return descriptor

    def _require_lock(self) -> None:
        # The lock lives on the file's inode. If the lake was removed meanwhile, another process may hold the
        # lock of a new .lock: writing on would make two owners.
        if not self._holds_lock():
            raise LakeError(f"the lake's lock {self._lock_file} is not held any more; land again.")

    def _holds_lock(self) -> bool:
        if self._lock is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._lock), self._lock_file.stat())
        except OSError:
            return False

    def _sentinel_is_current(self, table: str) -> bool:
        try:
            return parquet.read_footer(self._sentinel(table)).schema == parquet.SCHEMAS[table]
        except (FileNotFoundError, parquet.TornFileError):
            return False

    def _write_sentinel(self, table: str, logs: frozenset[str]) -> None:
        metadata = {"drainlake.version": parquet.SCHEMA_VERSION, "drainlake.landed": json.dumps(sorted(logs))}
        rows = pl.DataFrame(schema=parquet.SCHEMAS[table])
        for attempt in range(1, PREPARE_TRIES + 1):
            try:
                durable.publish(self._sentinel(table), self._scratch, lambda path: parquet.write(rows, path, metadata))
            except FileNotFoundError:
                # A lander that takes the lock just now sweeps the scratch folder, our temporary with it.
                if attempt == PREPARE_TRIES:
                    raise
            else:
                return

    def _sentinel(self, table: str) -> Path:
        return self._folder(table, SENTINEL_DATE) / SENTINEL_NAME

    def _folder(self, table: str, date: str) -> Path:
        return self.path / table / f"date={date}"

    def _path(self, file: LakeFile) -> Path:
        return self._folder(file.table, file.date) / file.name


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []
