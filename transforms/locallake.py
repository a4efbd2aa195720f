"""The lake on a local folder (see ``lake``): locks, atomic renames, holes.

Each owner of a (table, partition) holds a lock and has a scratch folder of its own, so that it may sweep away what a
killed owner before it left. A lock ends with its process, so a killed owner blocks nobody.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from transforms import durable, parquet
from transforms.lake import (
    DATE_FOLDER,
    FILE,
    NOTE_BYTES_MAX,
    RECENT_DATES,
    SENTINEL_DATE,
    SENTINEL_NAME,
    DamagedFileError,
    LakeError,
    LakeFile,
    LakeLockedError,
    Totals,
)
from transforms.settling import forget, settle

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from contextlib import AbstractContextManager

    from transforms.parquet import Footer, Provenance
    from transforms.pieces import Pieces

SENTINEL_LOCK_SECONDS: Final = 10.0
LOCK_POLL_SECONDS: Final = 0.02
_RETENTION: Final = "retention"


class LocalLake:
    """A lake in a folder of a local file system."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path).absolute()
        self._locks: dict[str, int] = {}
        self._unsettled: dict[tuple[str, str], set[LakeFile]] = {}

    @property
    def place(self) -> str:
        """The folder."""
        return str(self.path)

    def prepare(self) -> None:
        """Make folders and sentinels where they are missing or of an older schema."""
        for table in parquet.SCHEMAS:
            if not self._sentinel_is_current(table):
                with self._sentinel_lock(table):
                    self._write_sentinel(table, self.landed_logs(table))

    @contextmanager
    def own(self, table: str, partition: str) -> Iterator[None]:
        """Hold the lock of (table, partition)."""
        with self._lock(_owner(table, partition)):
            yield

    def dates(self, table: str) -> list[str]:
        """The dates a table has folders for."""
        found = (DATE_FOLDER.fullmatch(folder.name) for folder in _entries(self.path / table))
        return sorted(match[1] for match in found if match and match[1] != SENTINEL_DATE)

    def files(self, table: str, date: str, partition: str) -> list[LakeFile]:
        """The files of (table, date, partition), newest first."""
        shape = re.compile(re.escape(partition) + r"-(\d{6,})\.parquet")
        found = (shape.fullmatch(entry.name) for entry in _entries(self._folder(table, date)))
        sequences = sorted((int(match[1]) for match in found if match), reverse=True)
        return [LakeFile(table, date, partition, sequence) for sequence in sequences]

    def footer(self, file: LakeFile) -> Footer:
        """Read a file's footer. Raises DamagedFileError."""
        with self._whole(file):
            return parquet.read_footer(self._path(file))

    def foresee(self, files: Collection[LakeFile]) -> None:
        """Nothing to do: a footer is read at once."""

    def listing(self, table: str) -> dict[LakeFile, str]:
        """The files of a table, stamped with inode, length and time, of which each write makes another stamp."""
        found = {}
        for date in self.dates(table):
            for entry in os.scandir(self._folder(table, date)):
                if match := FILE.fullmatch(entry.name):
                    state = entry.stat()
                    file = LakeFile(table, date, match[1], int(match[2]))
                    found[file] = f"{state.st_ino}-{state.st_size}-{state.st_mtime_ns}"
        return found

    def read(self, file: LakeFile, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """All rows of a file, or these columns of them. Raises DamagedFileError."""
        with self._whole(file):
            return parquet.read(self._path(file), columns)

    def pieces(self, file: LakeFile, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """The rows of a file, row group by row group. Raises DamagedFileError."""
        with self._whole(file):
            yield from parquet.read_pieces(self._path(file), columns)

    def publish(
        self, file: LakeFile, rows: pl.DataFrame | Pieces, origin: Provenance, fault: durable.Fault = durable.no_fault
    ) -> None:
        """Put a file in place atomically, also over its version before."""
        place, owner = self._path(file), _owner(file.table, file.partition)

        def write(temporary: Path) -> None:
            if place.exists():
                parquet.write_next(rows, place, temporary, origin.metadata(), time.time())
            else:
                parquet.write(rows, temporary, origin.metadata())
            self._require_lock(owner)

        durable.publish(place, self._scratch(owner), write, fault)
        self._find_unsettled(file.table, file.partition).add(file)

    def seal(self, file: LakeFile) -> None:
        """Nothing to do: nobody writes without the lock."""
        self._require_lock(_owner(file.table, file.partition))

    def scratch(self, table: str, partition: str) -> Path:
        """The owner's scratch folder."""
        folder = self._scratch(_owner(table, partition))
        durable.make_folder(folder)
        return folder

    def settle(self, table: str, partition: str, now: float) -> None:
        """Make holes of what earlier versions take."""
        self._require_lock(_owner(table, partition))
        unsettled = self._find_unsettled(table, partition)
        settled = {file for file in unsettled if not self._path(file).exists() or settle(self._path(file), now)}
        unsettled -= settled

    def forget(self, file: LakeFile, written_by: float, now: float) -> bool:
        """Wipe what versions that were replaced up to a time left in the file."""
        self._require_lock(_owner(file.table, file.partition))
        return forget(self._path(file), written_by, now)

    def landed_logs(self, table: str) -> frozenset[str]:
        """The logs that a table has been landed from."""
        try:
            metadata = parquet.read_footer(self._sentinel(table)).metadata
            return frozenset(json.loads(metadata.get("drainlake.landed", "[]")))
        except (FileNotFoundError, parquet.TornFileError, ValueError):
            return frozenset()

    def add_landed_log(self, table: str, name: str) -> None:
        """Note in a table's sentinel that a log has been landed."""
        with self._sentinel_lock(table):
            self._write_sentinel(table, self.landed_logs(table) | {name})

    def note(self, name: str) -> bytes | None:
        """A small file beside the tables."""
        try:
            with (self.path / name).open("rb") as file:
                return file.read(NOTE_BYTES_MAX + 1)
        except FileNotFoundError:
            return None

    def change_note(self, name: str, change: Callable[[bytes | None], bytes]) -> bytes:
        """Put what ``change`` makes of a note, under its lock."""
        with self._lock(name, SENTINEL_LOCK_SECONDS):
            before = self.note(name)
            data = change(before)
            if data != before:
                durable.publish_bytes(self.path / name, self._scratch(name), data)
            return data

    def remove_date(self, table: str, date: str) -> None:
        """Take a date's folder away by one rename. Raises :class:`LakeLockedError` when another process does so."""
        if date == SENTINEL_DATE:
            raise ValueError(f"date={SENTINEL_DATE} holds the sentinel and is never removed")
        with self._lock(_RETENTION):
            durable.discard_folder(self._folder(table, date), self._scratch(_RETENTION))

    def totals(self) -> Totals | None:
        """Files, bytes and days; sizes are apparent ones, holes included."""
        files = list(self.path.glob("*/date=*/*.parquet"))
        landed = [path for path in files if path.parent.name != f"date={SENTINEL_DATE}"]
        days = {path.parent.name for path in landed}
        return Totals(len(landed), sum(path.stat().st_size for path in landed), len(days)) if files else None

    @contextmanager
    def _whole(self, file: LakeFile) -> Iterator[None]:
        """Name the file in the error when it turns out not to be whole: a good footer says nothing of the pages."""
        try:
            yield
        except (parquet.TornFileError, pl.exceptions.PolarsError) as error:
            said = str(error) if isinstance(error, parquet.TornFileError) else f"{self._path(file)} is damaged"
            raise DamagedFileError(
                f"{said}; move it out of the lake together with {self._sentinel(file.table)} "
                "and land again: what the log still holds is landed anew."
            ) from error

    def _find_unsettled(self, table: str, partition: str) -> set[LakeFile]:
        """Files written by this process, and those that an owner before it may have left unsettled."""
        if (table, partition) not in self._unsettled:
            self._unsettled[table, partition] = {
                file for date in self.dates(table)[-RECENT_DATES:] for file in self.files(table, date, partition)
            }
        return self._unsettled[table, partition]

    @contextmanager
    def _lock(self, name: str, wait_seconds: float = 0.0) -> Iterator[None]:
        """Hold a named lock, its scratch folder swept. Raises :class:`LakeLockedError` if it stays taken."""
        descriptor = self._acquire(name, time.monotonic() + wait_seconds)
        self._locks[name] = descriptor
        try:
            durable.sweep(self._scratch(name))
            yield
        finally:
            del self._locks[name]
            os.close(descriptor)

    def _acquire(self, name: str, deadline: float) -> int:
        file = self._lock_file(name)
        durable.make_folder(file.parent)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if time.monotonic() >= deadline:
                    os.close(descriptor)
                    raise LakeLockedError(f"another process owns {name} of the lake {self.path} just now.") from error
                time.sleep(LOCK_POLL_SECONDS)
            else:
                return descriptor

    def _sentinel_lock(self, table: str) -> AbstractContextManager[None]:
        """The lock of a table's sentinel, which is held for moments only: wait for it."""
        return self._lock(f"{table}-sentinel", SENTINEL_LOCK_SECONDS)

    def _require_lock(self, name: str) -> None:
        # The lock lives on the file's inode. If the lake was removed meanwhile, another process may hold the
        # lock of a new file: writing on would make two owners.
        if not self._holds_lock(name):
            raise LakeError(f"the lake's lock {self._lock_file(name)} is not held any more; land again.")

    def _holds_lock(self, name: str) -> bool:
        if name not in self._locks:
            return False
        try:
            return os.path.samestat(os.fstat(self._locks[name]), self._lock_file(name).stat())
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
        scratch = self._scratch(f"{table}-sentinel")
        durable.publish(self._sentinel(table), scratch, lambda path: parquet.write(rows, path, metadata))

    def _sentinel(self, table: str) -> Path:
        return self._folder(table, SENTINEL_DATE) / SENTINEL_NAME

    def _folder(self, table: str, date: str) -> Path:
        return self.path / table / f"date={date}"

    def _path(self, file: LakeFile) -> Path:
        return self._folder(file.table, file.date) / file.name

    def _lock_file(self, name: str) -> Path:
        return self.path / ".locks" / name

    def _scratch(self, name: str) -> Path:
        return self.path / ".tmp" / name


def _owner(table: str, partition: str) -> str:
    return f"{table}-{partition}"


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []
