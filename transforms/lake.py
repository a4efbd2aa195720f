"""What a lake is: the operations that landing, retention and status need, on a local folder or on S3.

Layout: ``<lake>/<table>/date=YYYY-MM-DD/<partition>-<sequence>.parquet``. Every file is whole and says in
its footer which log it was landed from and the last offset it includes. The newest file of (table, date,
partition) is the *tail*; landing replaces only the tail, and a *sealed* file never. Erasing replaces any file by one
with fewer rows. Every table has a 0-row *sentinel* with the full schema, so that globs and views work on an empty lake.
The sentinel also says from which logs the table has been landed completely. It goes when the table's folders go, so a
lost lake cannot look like a landed one.
Beside the tables lie *notes*: small files that all landers of the lake share, such as ``_routes.json``.

Of each (table, partition) one lander is the owner, but an owner can be stopped for a minute, be replaced, and go on
without knowing. What it then writes must fail. On a local folder the owner holds a lock. On S3 the files of (table,
date, partition) are a chain, and every step is one conditional write at its end: replace the tail, seal the tail before
the next sequence begins, or create the first file. Whoever decided by an older end of the chain is refused with
:class:`StaleOwnerError`.

Nothing else in the project builds a path inside the lake, but for ``backup``, which copies the files as they lie.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from transforms.durable import no_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import polars as pl

    from transforms.durable import Fault
    from transforms.parquet import Footer, Provenance
    from transforms.pieces import Pieces

SENTINEL_DATE: Final = "1970-01-01"
SENTINEL_NAME: Final = "empty-0.parquet"
NOTE_BYTES_MAX: Final = 4 << 20
RECENT_DATES: Final = 2  # at start only these are looked through: older ones were settled by the process before
FILE: Final = re.compile(r"(.+)-(\d{6,})\.parquet")
DATE_FOLDER: Final = re.compile(r"date=(\d{4}-\d{2}-\d{2})")


class LakeError(Exception):
    """The lake is not as it must be, or cannot be reached; the message says what and what to try."""


class DamagedFileError(LakeError):
    """A file cannot be read; the message names it. Only its own partition has to wait for somebody to mend that."""


class LakeLockedError(LakeError):
    """Another process is the owner just now."""


class StaleOwnerError(LakeError):
    """Another lander has written meanwhile, so this one is not the owner any more; nothing was written."""


@dataclass(frozen=True)
class LakeFile:
    """The place of one landed file. ``sequence`` counts from 1 within (table, date, partition).

    ``version`` is what a conditional write compares: None on a local folder, and for a file that is not there yet.
    """

    table: str
    date: str
    partition: str
    sequence: int
    version: str | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """The file's name in its date folder."""
        return f"{self.partition}-{self.sequence:06d}.parquet"

    def next(self) -> LakeFile:
        """The next sequence of the same (table, date, partition)."""
        return LakeFile(self.table, self.date, self.partition, self.sequence + 1)


@dataclass(frozen=True)
class Totals:
    """What lies in the lake; sentinels do not count."""

    files: int
    size_bytes: int
    days: int


class Lake(Protocol):
    """See the module's docstring for what lies where. Every method raises :class:`LakeError` or OSError."""

    @property
    def place(self) -> str:
        """The folder, or ``s3://bucket/prefix``, as messages name it."""

    def prepare(self) -> None:
        """Make sentinels where they are missing or of an older schema. Needs no owner."""

    def own(self, table: str, partition: str) -> AbstractContextManager[None]:
        """Be the owner of (table, partition). Raises :class:`LakeLockedError` when another process is."""

    def dates(self, table: str) -> list[str]:
        """The dates a table has files for, in order; the sentinel's own does not count."""

    def files(self, table: str, date: str, partition: str) -> list[LakeFile]:
        """The files of (table, date, partition), newest first. Names of another shape are not ours."""

    def footer(self, file: LakeFile) -> Footer:
        """The footer of this version of a file; the error names a file that is not whole."""

    def foresee(self, files: Collection[LakeFile]) -> None:
        """The footers of these files will be asked for: where each takes a round trip, fetch them side by side."""

    def listing(self, table: str) -> dict[LakeFile, str]:
        """The files of all dates and partitions of a table, each with a stamp that is another one after each write.

        A stamp can change without a write of rows, too: it only says where nothing is to be looked for.
        """

    def read(self, file: LakeFile, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """All rows of this version of a file, or these columns of them."""

    def pieces(self, file: LakeFile, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """The same rows in the pieces that they were written in, one at a time in memory."""

    def publish(self, file: LakeFile, rows: pl.DataFrame | Pieces, origin: Provenance, fault: Fault = no_fault) -> None:
        """Put a file in place atomically, over exactly this version of it. Only the owner may."""

    def seal(self, file: LakeFile) -> None:
        """Make sure that nobody can write the tail any more, before a later sequence begins. Only the owner may."""

    def scratch(self, table: str, partition: str) -> Path | None:
        """A folder of the owner for files without a name, on the lake's disk; None if it lies on none."""

    def settle(self, table: str, partition: str, now: float) -> None:
        """Free what earlier versions take of files that were not rewritten of late. Only the owner may."""

    def forget(self, file: LakeFile, written_by: float, now: float) -> bool:
        """Free what is left of versions that were replaced up to a time; False while a reader may look one up.

        Other than :meth:`settle` it makes sure that these bytes cannot be read any more. Only the owner may.
        """

    def landed_logs(self, table: str) -> frozenset[str]:
        """The logs that a table has been landed from, as its sentinel says; none if the sentinel is gone."""

    def add_landed_log(self, table: str, name: str) -> None:
        """Note in a table's sentinel that a log has been landed; owners of other partitions may do so too."""

    def note(self, name: str) -> bytes | None:
        """A small file beside the tables; None if it is not there.

        Of one that is no small file at all so much comes back that it is longer than :data:`NOTE_BYTES_MAX`.
        """

    def change_note(self, name: str, change: Callable[[bytes | None], bytes]) -> bytes:
        """Put what ``change`` makes of a note, whole or not at all, and give it; no change of another is lost.

        ``change`` can be called again when another process was first. Needs no owner.
        """

    def remove_date(self, table: str, date: str) -> None:
        """Remove a date of a table for good. The sentinel's is refused with ValueError."""

    def totals(self) -> Totals | None:
        """What lies in the lake; None when there is nothing at all, not even a sentinel."""
