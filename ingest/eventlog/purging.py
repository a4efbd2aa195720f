"""Takes landed entries out of the embedded log at once, bytes and all.

The log deletes them by itself after a while, but SQLite leaves deleted bytes in its file until they are written over.
Here deleted pages are zeroed, then the file is written anew (VACUUM) and the write-ahead log cut to nothing. Each step
is a transaction of SQLite: a kill leaves the log as before or after it, and nothing that is not landed goes.

The receiver cannot append while the file is written anew. That takes as long as what has not landed is large, so more
than :data:`WAITING_MAX_BYTES` are refused.
"""

from __future__ import annotations

import math
import time
from contextlib import closing
from typing import TYPE_CHECKING, Final

from ingest.eventlog.embedded import connect, delete_landed

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

WAITING_MAX_BYTES: Final = 100 << 20
CHECKPOINT_TRIES: Final = 50
CHECKPOINT_WAIT_SECONDS: Final = 0.1

_WAITING: Final = (
    'SELECT coalesce(sum(length(e.payload)), 0) FROM entries e LEFT JOIN positions p ON p."table" = e."table"'
    ' WHERE e."offset" > coalesce(p."offset", -1)'
)


class PurgeRefused(Exception):  # noqa: N818 - an answer
    """The log cannot be purged now; the message is "what is wrong; what to try"."""


def purge_landed(path: Path) -> int:
    """Delete the landed entries of a log for good, and give how many. Raises :class:`PurgeRefused`, ``sqlite3.Error``.

    A lake that is lost cannot be filled from them again.
    """
    with closing(connect(path)) as connection:
        (waiting_bytes,) = connection.execute(_WAITING).fetchone()
        if waiting_bytes > WAITING_MAX_BYTES:
            raise PurgeRefused(f"the event log holds {waiting_bytes:,} bytes that have not landed; land them first")
        connection.execute("PRAGMA secure_delete=ON")
        deleted = 0
        while gone := delete_landed(connection, math.inf):
            deleted += gone
        connection.execute("VACUUM")
        _cut_write_ahead_log(connection)
    return deleted


def _cut_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Readers hold the end of the write-ahead log for moments."""
    for _ in range(CHECKPOINT_TRIES):
        (is_busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not is_busy:
            return
        time.sleep(CHECKPOINT_WAIT_SECONDS)
    raise PurgeRefused("the event log was read all the time, so its write-ahead log keeps old bytes; try again")
