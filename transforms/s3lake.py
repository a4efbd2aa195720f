"""The lake on S3 (see ``lake``): every step is one conditional write.

What a rename does on a local folder, one PUT does here. Nothing is locked. Whoever writes a file names the version it
read, by the object's ETag, or that there was none; the store refuses the write if that is not so any more, and the
loser learns it as :class:`StaleOwnerError`. An ETag is a digest of the content, so a version must never equal an
earlier one of the same file: each names in its footer when it replaced the one before.

What LocalLake gives to readers holds here as well: a new version keeps the bytes of the one before at their places
(``rewriting``), so that ranges read by an old footer are right. Space comes back later, in steps (``compacting``).
A day that retention removes goes object by object: there is no rename of a folder.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from transforms import compacting, durable, parquet
from transforms.lake import (
    DATE_FOLDER,
    FILE,
    RECENT_DATES,
    SENTINEL_DATE,
    SENTINEL_NAME,
    DamagedFileError,
    LakeError,
    LakeFile,
    StaleOwnerError,
    Totals,
)
from transforms.objects import ConditionError, NoObjectError, StoreError
from transforms.rewriting import KEPT_SECONDS, regions_in

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from contextlib import AbstractContextManager

    from transforms.objects import ObjectStore
    from transforms.parquet import Footer, Provenance
    from transforms.pieces import Pieces

TAIL_BYTES: Final = 64 << 10  # more than the footer of any file of ours
FOOTERS_MAX: Final = 1_024  # some KB each; those of a year of two derived tables have room
FOOTER_THREADS: Final = 16  # one after the other, the footers of a year would take ten seconds of round trips
SENTINEL_TRIES: Final = 30
SENTINEL_WAIT_SECONDS: Final = 0.05


class _Held(NamedTuple):
    """The bytes of one version of a file."""

    file: LakeFile
    version: str
    data: bytes


class S3Lake:
    """A lake under a prefix of a bucket. For one thread; other threads and processes have their own."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._footers: OrderedDict[tuple[LakeFile, str], Footer] = OrderedDict()
        self._held: _Held | None = None  # between reading a tail and rewriting it, so that it comes over once
        self._unsettled: dict[tuple[str, str], dict[LakeFile, float]] = {}

    @property
    def place(self) -> str:
        """The address, ``s3://bucket/prefix``."""
        return self._store.place

    def prepare(self) -> None:
        """Make sentinels where they are missing or of an older schema."""
        for table in parquet.SCHEMAS:
            with _told():
                self._change_sentinel(table, frozenset())

    def own(self, table: str, partition: str) -> AbstractContextManager[None]:  # noqa: ARG002 - Lake's signature
        """Nothing to do: conditional writes decide."""
        return nullcontext()

    def dates(self, table: str) -> list[str]:
        """The dates a table has objects for."""
        with _told():
            folders, _ = self._store.children(table)
        found = (DATE_FOLDER.fullmatch(folder.rpartition("/")[2]) for folder in folders)
        return sorted(match[1] for match in found if match and match[1] != SENTINEL_DATE)

    def files(self, table: str, date: str, partition: str) -> list[LakeFile]:
        """The files of (table, date, partition) with their versions, newest first."""
        shape = re.compile(re.escape(partition) + r"-(\d{6,})\.parquet")
        with _told():
            _, found = self._store.children(_folder(table, date))
        files = [
            LakeFile(table, date, partition, int(match[1]), each.version)
            for each in found
            if (match := shape.fullmatch(each.key.rpartition("/")[2]))
        ]
        return sorted(files, key=lambda file: file.sequence, reverse=True)

    def footer(self, file: LakeFile) -> Footer:
        """The footer of this version of a file. Raises StaleOwnerError when it is another one by now."""
        known = self._footers.get((file, file.version or ""))
        if known is not None:
            return known
        with _told(), self._whole(file):
            return self._remember(file, *self._fetched(file))

    def foresee(self, files: Collection[LakeFile]) -> None:
        """Fetch the footers that are not known, some at a time; what is not there, or not whole, is left out."""
        unknown = [file for file in files if (file, file.version or "") not in self._footers][-FOOTERS_MAX:]
        # When the store fails, the first error ends it: `map` gives up what has not begun.
        with _told(), ThreadPoolExecutor(FOOTER_THREADS, "lake-footers") as pool:
            for file, found in zip(unknown, pool.map(self._fetched_if_there, unknown), strict=True):
                if found is not None:
                    self._remember(file, *found)

    def listing(self, table: str) -> dict[LakeFile, str]:
        """The files of a table, stamped with their versions."""
        with _told():
            found = self._store.below(table)
        return {file: each.version for each in found if (file := _file(each.key, each.version))}

    def read(self, file: LakeFile, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """All rows of this version of a file, or some columns. Raises StaleOwnerError when it is another one by now."""
        with _told(), self._whole(file):
            return _rows(self._hold(file).data, columns)

    def pieces(self, file: LakeFile, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """The rows of this version of a file, row group by row group. Raises what :meth:`read` does."""
        with _told(), self._whole(file):
            yield from parquet.read_pieces(BytesIO(self._hold(file).data), columns)

    def publish(
        self, file: LakeFile, rows: pl.DataFrame | Pieces, origin: Provenance, fault: durable.Fault = durable.no_fault
    ) -> None:
        """Create a file that has no version yet, or replace exactly the version it has; else StaleOwnerError."""
        with _told(), self._whole(file):
            if file.version is None:
                data = parquet.encode(rows, origin.metadata())
            else:
                data = parquet.encode_next(rows, self._hold(file).data, origin.metadata(), time.time())
            self._held = None
            fault("temporary written")
            self._put(file, data)
        fault("renamed")

    def seal(self, file: LakeFile) -> None:
        """Write the tail once more as a file that nobody may write again; else StaleOwnerError."""
        origin = self.footer(file).origin
        if origin is None or origin.sealed:
            return
        with _told(), self._whole(file):
            data = self._hold(file).data
            self._held = None
            sealed = replace(origin, sealed=True)
            self._put(file, parquet.encode_next(_rows(data), data, sealed.metadata(), time.time()))

    def scratch(self, table: str, partition: str) -> None:
        """None: it lies on no disk."""

    def settle(self, table: str, partition: str, now: float) -> None:
        """Take the next step for each file that has dead space and was not rewritten of late."""
        unsettled = self._find_unsettled(table, partition)
        due = {file for file, due_at in unsettled.items() if due_at <= now}
        for date in sorted({file.date for file in due}):
            there = {file: file for file in self.files(table, date, partition)}
            for file in (file for file in due if file.date == date):
                if file not in there or self._is_settled(there[file], now):
                    del unsettled[file]
                else:
                    unsettled[file] = now + KEPT_SECONDS

    def forget(self, file: LakeFile, written_by: float, now: float) -> bool:
        """Take the file's next step, until nothing is left of versions that were replaced up to a time."""
        regions = regions_in(self.footer(file).metadata)
        return all(region.replaced_at > written_by for region in regions) or self._is_settled(file, now)

    def landed_logs(self, table: str) -> frozenset[str]:
        """The logs that a table has been landed from, as its sentinel says; none if the sentinel is gone."""
        with _told():
            _, footer = self._sentinel(table)
        return _logs(footer)

    def add_landed_log(self, table: str, name: str) -> None:
        """Note in a table's sentinel that a log has been landed; others may do so at the same time."""
        with _told():
            self._change_sentinel(table, frozenset({name}))

    def note(self, name: str) -> bytes | None:
        """A small object beside the tables."""
        with _told():
            return self._note(name)[1]

    def change_note(self, name: str, change: Callable[[bytes | None], bytes]) -> bytes:
        """Put what ``change`` makes of a note, over exactly the version that it was made of."""
        for _ in range(SENTINEL_TRIES):
            with _told():
                version, before = self._note(name)
                data = change(before)
                if data == before or self._put_if_same(name, data, version):
                    return data
            time.sleep(random.uniform(0, SENTINEL_WAIT_SECONDS))  # noqa: S311 - spreads writers, hides nothing
        raise LakeError(f"{self.place}/{name} is written by others all the time; land again.")

    def remove_date(self, table: str, date: str) -> None:
        """Remove a date of a table for good, oldest sequences first. The sentinel's date is refused."""
        if date == SENTINEL_DATE:
            raise ValueError(f"date={SENTINEL_DATE} holds the sentinel and is never removed")
        with _told():
            self._store.delete([found.key for found in self._store.below(_folder(table, date))])

    def totals(self) -> Totals | None:
        """What lies in the lake; None when there is nothing at all."""
        with _told():
            found = [each for each in self._store.below("") if each.key.endswith(".parquet")]
        landed = [each for each in found if f"/date={SENTINEL_DATE}/" not in each.key]
        days = {each.key.split("/")[-2] for each in landed}
        return Totals(len(landed), sum(each.size_bytes for each in landed), len(days)) if found else None

    def _put(self, file: LakeFile, data: bytes) -> None:
        if file.version is None:
            version = self._store.put_new(_key(file), data)
        else:
            version = self._store.put_over(_key(file), data, file.version)
        self._remember(file, version, parquet.read_footer(BytesIO(data)))
        self._find_unsettled(file.table, file.partition)[replace(file, version=None)] = time.time() + KEPT_SECONDS

    def _note(self, name: str) -> tuple[str | None, bytes | None]:
        try:
            piece = self._store.get(name)
        except NoObjectError:
            return None, None
        return piece.version, piece.data

    def _put_if_same(self, key: str, data: bytes, version: str | None) -> bool:
        """Write over a version, or create where there was none; False if another writer was first."""
        try:
            if version is None:
                self._store.put_new(key, data)
            else:
                self._store.put_over(key, data, version)
        except ConditionError:
            return False
        return True

    def _hold(self, file: LakeFile) -> _Held:
        """The bytes of this version of a file, which stay until it is rewritten or another one is read."""
        if self._held is None or (self._held.file, self._held.version) != (file, file.version):
            self._held = None  # two files at once would be more memory than need be
            piece = self._store.get(_key(file), file.version)
            self._held = _Held(file, piece.version, piece.data)
        return self._held

    def _fetched(self, file: LakeFile) -> tuple[str, Footer]:
        """A file's version and footer; uses nothing of this lake but its store, since many threads are in here."""
        piece = self._store.tail(_key(file), TAIL_BYTES, file.version)
        missing = _footer_bytes(piece.data) - len(piece.data)
        if 0 < missing <= piece.start:
            piece = self._store.tail(_key(file), len(piece.data) + missing, piece.version)
        return piece.version, parquet.read_footer(BytesIO(piece.data))

    def _fetched_if_there(self, file: LakeFile) -> tuple[str, Footer] | None:
        try:
            return self._fetched(file)
        except (ConditionError, NoObjectError, parquet.TornFileError):
            return None  # whoever asks for it is told

    def _remember(self, file: LakeFile, version: str, footer: Footer) -> Footer:
        self._footers[replace(file, version=None), version] = footer
        while len(self._footers) > FOOTERS_MAX:
            self._footers.popitem(last=False)
        return footer

    def _find_unsettled(self, table: str, partition: str) -> dict[LakeFile, float]:
        """Files that may have dead space, and when to look at them: those of this process and of the one before it."""
        known = self._unsettled.get((table, partition))
        if known is None:
            dates = self.dates(table)[-RECENT_DATES:]
            found = (file for date in dates for file in self.files(table, date, partition))
            known = self._unsettled[table, partition] = {replace(file, version=None): 0.0 for file in found}
        return known

    def _is_settled(self, file: LakeFile, now: float) -> bool:
        """Take a file's next step if it is due; True if it needs none any more."""
        try:
            due = compacting.is_due(self.footer(file).metadata, now)
            if not due:
                return due is None
            with _told(), self._whole(file):
                following = compacting.next_step(self._store.get(_key(file), file.version).data, now)
                if following is None:
                    return True
                self._put(file, following)
                return compacting.is_due(parquet.read_footer(BytesIO(following)).metadata, now) is None
        except StaleOwnerError:
            return False  # written meanwhile, here or elsewhere: the next look will find out

    def _sentinel(self, table: str) -> tuple[str | None, Footer | None]:
        """A table's sentinel: its version and its footer, None where it is missing or not whole."""
        try:
            piece = self._store.get(_sentinel_key(table))
        except NoObjectError:
            return None, None
        try:
            return piece.version, parquet.read_footer(BytesIO(piece.data))
        except parquet.TornFileError:
            return piece.version, None

    def _change_sentinel(self, table: str, more: frozenset[str]) -> None:
        """Make sure that the sentinel has the current schema and names the logs ``more``, whoever else writes it."""
        for _ in range(SENTINEL_TRIES):
            version, footer = self._sentinel(table)
            logs = _logs(footer)
            if footer is not None and footer.schema == parquet.SCHEMAS[table] and more <= logs:
                return
            metadata = {
                "drainlake.version": parquet.SCHEMA_VERSION,
                "drainlake.landed": json.dumps(sorted(logs | more)),
            }
            data = parquet.encode(pl.DataFrame(schema=parquet.SCHEMAS[table]), metadata)
            if self._put_if_same(_sentinel_key(table), data, version):
                return
            time.sleep(random.uniform(0, SENTINEL_WAIT_SECONDS))  # noqa: S311 - spreads writers, hides nothing
        raise LakeError(f"{self.place}/{_sentinel_key(table)} is written by others all the time; land again.")

    @contextmanager
    def _whole(self, file: LakeFile) -> Iterator[None]:
        """Name the file in the error when it turns out not to be whole."""
        try:
            yield
        except (parquet.TornFileError, pl.exceptions.PolarsError) as error:
            raise DamagedFileError(
                f"{self.place}/{_key(file)} is no whole Parquet file; move it out of the lake together with "
                f"{self.place}/{_sentinel_key(file.table)} and land again: what the log still holds is landed anew."
            ) from error


@contextmanager
def _told() -> Iterator[None]:
    """Tell a failure of the store as one of the lake."""
    try:
        yield
    except (ConditionError, NoObjectError) as error:
        raise StaleOwnerError(str(error)) from error
    except StoreError as error:
        raise LakeError(str(error)) from error


def _rows(data: bytes, columns: Sequence[str] | None = None) -> pl.DataFrame:
    return parquet.read(BytesIO(data), columns)


def _logs(footer: Footer | None) -> frozenset[str]:
    try:
        return frozenset(json.loads(footer.metadata.get("drainlake.landed", "[]"))) if footer else frozenset()
    except ValueError:
        return frozenset()


def _footer_bytes(tail: bytes) -> int:
    """How many bytes from the end the footer takes, by a file's last eight bytes."""
    return int.from_bytes(tail[-8:-4], "little") + 8


def _file(key: str, version: str) -> LakeFile | None:
    """The file of a key that counts from the lake; None for the sentinel and for names that are not ours."""
    table, _, rest = key.partition("/")
    folder, _, name = rest.partition("/")
    date, shape = DATE_FOLDER.fullmatch(folder), FILE.fullmatch(name)
    if date is None or shape is None or date[1] == SENTINEL_DATE:
        return None
    return LakeFile(table, date[1], shape[1], int(shape[2]), version)


def _folder(table: str, date: str) -> str:
    return f"{table}/date={date}"


def _key(file: LakeFile) -> str:
    return f"{_folder(file.table, file.date)}/{file.name}"


def _sentinel_key(table: str) -> str:
    return f"{_folder(table, SENTINEL_DATE)}/{SENTINEL_NAME}"
