"""Takes rows out of the lake for good: file by file, each replaced by one without them.

The protocol, for each file that holds such rows, as the owner of its (table, partition), which is waited for:

1. Publish the file's next version without them. It keeps the footer's log, offset and seal: landing goes on behind it
   and lands nothing again, also where no row is left. The footer counts the rows that were erased from the file, and
   landing carries that count on; so minutes made of the rows before show that they are old.
2. The new version still holds the bytes of the one before, for readers in the middle of a scan (``rewriting``). When
   none can be left, after KEPT_SECONDS, these bytes go too: :func:`forget`.

Killed anywhere, each file is whole, with or without the rows. The next run finds those that still have some, and by the
count in their footers those whose bytes of before may still be there.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ingest.eventlog.embedded import PARTITION as EMBEDDED
from ingest.schema import DELIVERIES, TABLES
from transforms import rewriting
from transforms.bites import memory_bytes
from transforms.durable import no_fault
from transforms.erasure import are_meant
from transforms.lake import SENTINEL_DATE, LakeError, LakeLockedError, StaleOwnerError
from transforms.parquet import ERASED_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from transforms.durable import Fault
    from transforms.erasure import Target
    from transforms.lake import Lake, LakeFile
    from transforms.parquet import Footer, Provenance

WAIT_SECONDS: Final = 60.0  # a landing of a long backlog holds its partition
POLL_SECONDS: Final = 0.2
STALE_TRIES: Final = 20
FORGET_SECONDS: Final = 6 * rewriting.KEPT_SECONDS  # on S3 the space goes in two or three steps
# The ledger counts lines and holds none.
ERASABLE: Final = tuple(name for name in TABLES if name != DELIVERIES.name)


@dataclass(frozen=True)
class Found:
    """A file, without its version, and how many rows of it are meant."""

    file: LakeFile
    rows: int


@dataclass(frozen=True)
class _Foreign:
    """The footer of a file that drainlake did not land, as far as it outlives a rewrite."""

    footer: Footer
    erased: int

    def metadata(self) -> dict[str, str]:
        ours = {key: value for key, value in self.footer.metadata.items() if key.startswith("drainlake.")}
        return {**ours, ERASED_KEY: str(self.erased)}


def find(lake: Lake, target: Target) -> Iterator[Found]:
    """The files with rows that are meant. Needs no owner, so a file can change meanwhile."""
    for table in ERASABLE:
        for file in sorted(_files(lake, table), key=lambda file: (file.date, file.name)):
            if target.may_have(file.date):
                rows = _count(lake, file, target)
                if rows:
                    yield Found(replace(file, version=None), rows)


def _files(lake: Lake, table: str) -> Iterator[LakeFile]:
    """All files of a table, also of the sentinel's date, which no listing has: lines can claim to be of it."""
    listed = list(lake.listing(table))
    yield from listed
    for partition in sorted({EMBEDDED, *(file.partition for file in listed)}):
        yield from lake.files(table, SENTINEL_DATE, partition)


def _count(lake: Lake, file: LakeFile, target: Target) -> int:
    for _ in range(STALE_TRIES):
        current = _current(lake, file)
        if current is None:
            return 0  # retention took it
        try:
            lake.footer(current)  # tells of a file that is not whole
            return int(are_meant(file.table, lake.read(current), target).sum())
        except (FileNotFoundError, StaleOwnerError):
            time.sleep(POLL_SECONDS)
    raise LakeError(f"{lake.place}: {file.table} of {file.date} is written all the time; erase again.")


def erase(lake: Lake, files: Sequence[LakeFile], target: Target, fault: Fault = no_fault) -> Counter[str]:
    """Step 1 for files that :func:`find` gave; the erased rows by table. What landed meanwhile goes as well.

    Raises LakeLockedError if a partition stays another's for WAIT_SECONDS, and what else the lake raises; then those
    before it are done, and a next call does the rest.
    """
    erased: Counter[str] = Counter()
    for file in files:
        for left in reversed(range(STALE_TRIES)):
            try:
                with owned(lake, file):
                    erased[file.table] += _rewrite(lake, file, target, fault)
                break
            except (FileNotFoundError, StaleOwnerError):  # retention, or a lander on S3, was quicker
                if not left:
                    raise
                time.sleep(POLL_SECONDS)
    return erased


def _rewrite(lake: Lake, file: LakeFile, target: Target, fault: Fault) -> int:
    current = _current(lake, file)
    if current is None:
        return 0
    footer, rows = lake.footer(current), lake.read(current)
    meant = are_meant(file.table, rows, target)
    if not meant.any():
        return 0
    kept, count = rows.filter(~meant), int(meant.sum())
    del rows
    before = int(footer.metadata.get(ERASED_KEY, "0"))
    origin: Provenance = _Foreign(footer, before + count)
    if footer.origin:
        origin = replace(footer.origin, memory_bytes=memory_bytes(kept), erased=before + count)
    lake.publish(current, kept, origin, fault)
    return count


def erased_before(lake: Lake, tables: Sequence[str] = ERASABLE) -> Iterator[LakeFile]:
    """The files that rows were erased from by now, and whose bytes of before may still be there."""
    for table in tables:
        for file in _files(lake, table):
            metadata = _metadata(lake, file)
            if ERASED_KEY in metadata and rewriting.regions_in(metadata):
                yield replace(file, version=None)


def _metadata(lake: Lake, file: LakeFile) -> Mapping[str, str]:
    """What a file's footer says now, whatever a lander made of it since it was listed; nothing when it is gone."""
    current: LakeFile | None = file
    for _ in range(STALE_TRIES):
        try:
            return lake.footer(current).metadata if current else {}
        except (FileNotFoundError, StaleOwnerError):
            current = _current(lake, file)
    raise LakeError(f"{lake.place}: {file.table} of {file.date} is written all the time; erase again.")


def forget(lake: Lake, files: Sequence[LakeFile], fault: Fault = no_fault) -> list[LakeFile]:
    """Step 2 for files, most of the time waiting. Gives those of which bytes may be left after FORGET_SECONDS."""
    written_by = time.time()
    deadline = time.monotonic() + FORGET_SECONDS
    left = list(files)
    while left and time.monotonic() < deadline:
        fault("forgetting")
        left = [file for file in left if not _is_forgotten(lake, file, written_by)]
        if left:
            time.sleep(POLL_SECONDS)
    return left


def _is_forgotten(lake: Lake, file: LakeFile, written_by: float) -> bool:
    try:
        with lake.own(file.table, file.partition):
            current = _current(lake, file)
            return current is None or lake.forget(current, written_by, time.time())
    except (LakeLockedError, StaleOwnerError, FileNotFoundError):
        return False


@contextmanager
def owned(lake: Lake, file: LakeFile) -> Iterator[None]:
    """Be the owner of a file's partition; another owner is waited for, a while."""
    deadline = time.monotonic() + WAIT_SECONDS
    with ExitStack() as owning:
        while True:
            try:
                owning.enter_context(lake.own(file.table, file.partition))
                break
            except LakeLockedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_SECONDS)
        yield


def _current(lake: Lake, file: LakeFile) -> LakeFile | None:
    """The file as it is now; None if it is gone."""
    there = lake.files(file.table, file.date, file.partition)
    return next((each for each in there if each.sequence == file.sequence), None)


def by_table(found: Sequence[Found]) -> Mapping[str, int]:
    """The rows that are meant, by table."""
    counts: Counter[str] = Counter()
    for each in found:
        counts[each.file.table] += each.rows
    return counts
