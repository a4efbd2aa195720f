"""The event log as commands open it: one that must be there already, errors as one sentence."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from drainlake.errors import Failure
from ingest.eventlog.contract import LogFull
from ingest.eventlog.embedded import EmbeddedLog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drainlake.settings import Settings


@contextmanager
def open_log(settings: Settings, *, make: bool = False) -> Iterator[EmbeddedLog]:
    """The event log, closed at the end; raises :class:`Failure` when it is not there or cannot be used.

    With ``make`` a missing one is made.
    """
    if not make and not settings.log.is_file():
        raise Failure(f"There is no event log at {settings.log}.", "drainlake up, or --home DIR for the right folder")
    with (
        log_errors(settings),
        closing(EmbeddedLog(settings.log, size_max_bytes=settings.spool_max_bytes)) as log,
    ):
        yield log


@contextmanager
def log_errors(settings: Settings) -> Iterator[None]:
    """Turn what SQLite and the log refuse into :class:`Failure`."""
    try:
        yield
    except (sqlite3.Error, LogFull) as error:
        raise Failure(
            f"The event log {settings.log} cannot be used: {error}.",
            "free disk space, or move a damaged log away; a new one is made",
        ) from None
