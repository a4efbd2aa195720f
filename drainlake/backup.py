"""A backup of the home: event log, lake, reports, pins. A folder that is a home itself.

The order is what makes it one to go on from. The log is taken first, as of one moment, then the lake's files, and the
log appears in the backup last. So in a finished backup the files are at least as new as the log, which landing expects
after any crash: what they hold is skipped by their own offsets. A backup that was killed leaves the log of the one
before beside files some of which are newer, and that is right by the same reason.

What was acknowledged after the log was taken, and not landed before its file was copied, is not in the backup.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from drainlake.errors import Failure, WrongUse
from drainlake.places import S3Place, lake_errors
from ingest.sole import sole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from drainlake.settings import Settings
    from transforms.backup import Copied
    from transforms.durable import Fault

_LOCK: Final = ".backup.lock"
_SCRATCH: Final = ".tmp"


def back_up(settings: Settings, target: Path, fault: Fault = lambda _: None) -> Copied:
    """Copy log and lake into a folder, as far as they are files on this host; raises :class:`Failure`."""
    from transforms import durable  # noqa: PLC0415 - polars is slow to import
    from transforms.backup import Copied  # noqa: PLC0415

    target = target.resolve()
    _refuse(settings, target)
    copied = Copied()
    copy_rest = partial(_copy_files, settings, target, copied, fault)
    with _sole_backup(target), lake_errors("drainlake status"):
        durable.sweep(target / _SCRATCH)  # first: what a killed backup left can be as large as the log
        if settings.log.is_file():
            durable.publish(target / "log.db", target / _SCRATCH, _taken_before(settings.log, copy_rest), fault)
        else:
            copy_rest()
        durable.sweep(target / _SCRATCH)
    return copied


def _taken_before(log: Path, copy_rest: Callable[[], None]) -> Callable[[Path], None]:
    def write(temporary: Path) -> None:
        try:
            with closing(sqlite3.connect(f"{log.as_uri()}?mode=ro", uri=True)) as connection:
                connection.execute("VACUUM INTO ?", (str(temporary),))  # one moment, without the pages of deleted rows
        except sqlite3.Error as error:
            raise Failure(
                f"The event log {log} cannot be copied: {error}.", "the disk of the backup; drainlake status"
            ) from None
        copy_rest()

    return write


def _copy_files(settings: Settings, target: Path, copied: Copied, fault: Fault) -> None:
    from transforms.backup import copy_file, copy_lake  # noqa: PLC0415 - polars is slow to import

    if not isinstance(settings.lake, S3Place):
        copy_lake(settings.lake, target / "lake", copied, fault)
    pins = settings.routes or settings.home / "routes.toml"
    if pins.is_file():
        copy_file(pins, target / "routes.toml", target / _SCRATCH, copied)
    for report in sorted((settings.home / "reports").glob("*")):
        if report.is_file() and not report.name.startswith("."):
            copy_file(report, target / "reports" / report.name, target / _SCRATCH, copied)


def _refuse(settings: Settings, target: Path) -> None:
    lakes = () if isinstance(settings.lake, S3Place) else (settings.lake,)
    # Resolved: a link to a folder of the home is one, too.
    for place in (each.resolve() for each in (settings.home, settings.log.parent, *lakes)):
        if target == place or place.is_relative_to(target) or target.is_relative_to(place):
            raise WrongUse(f"{target} and {place} lie in one another.", "a folder elsewhere, best on another disk")
    if (target / "log.db-wal").exists():
        raise WrongUse(f"{target} is in use as a home: it has a log.db-wal.", "a folder that only backups go to")
    if isinstance(settings.lake, S3Place) and not settings.log.is_file():
        raise Failure(
            f"There is nothing to copy: the lake is {settings.lake}, and no log is on this host.",
            "versioning or replication of the bucket",
        )


@contextmanager
def _sole_backup(target: Path) -> Iterator[None]:
    target.mkdir(mode=0o700, parents=True, exist_ok=True)  # as the home should be: it holds every line, too
    with sole(target / _LOCK) as is_ours:
        if not is_ours:
            raise Failure(f"Another backup to {target} is running.", "wait for its end")
        yield
