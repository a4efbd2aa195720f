"""How the embedded log stands, read beside the process that writes it and cheap at any backlog.

Counting goes over the index alone, never over the entries; a reader of its own never waits for the writer, nor the
writer for it. What takes longer than ``READ_SECONDS`` is given up.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ingest.eventlog.embedded import used_bytes
from ingest.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

READ_SECONDS: Final = 2.0
_STEPS: Final = 10_000  # of SQLite's machine, between two looks at the clock
_WAITING: Final = """
SELECT count(*), (SELECT appended_at FROM entries WHERE "table" = ?1 AND "offset" > ?2 ORDER BY "offset" LIMIT 1)
FROM entries WHERE "table" = ?1 AND "offset" > ?2
"""


@dataclass(frozen=True)
class Waiting:
    """Entries of one table that are not landed (from a spool: not forwarded) yet, and when the oldest was appended."""

    entries: int
    oldest_at: float | None


@dataclass(frozen=True)
class LogStanding:
    """``used_bytes`` counts landed entries that are kept for a while too. Times in seconds since 1970."""

    used_bytes: int
    landed_at: float | None
    waiting: Mapping[str, Waiting]
    apps: tuple[str, ...]


def read_standing(path: Path) -> LogStanding:
    """The log as it is now, of all tables; raises ``sqlite3.Error`` where it cannot be read in time."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=READ_SECONDS)) as connection:
        deadline = time.monotonic() + READ_SECONDS
        connection.set_progress_handler(lambda: int(time.monotonic() > deadline), _STEPS)
        positions = dict(connection.execute('SELECT "table", "offset" FROM positions'))
        landed_at = connection.execute("SELECT max(landed_at) FROM positions").fetchone()[0]
        waiting = {
            table: Waiting(*connection.execute(_WAITING, (table, positions.get(table, -1))).fetchone())
            for table in TABLES
        }
        apps = tuple(app for (app,) in connection.execute("SELECT DISTINCT app FROM credentials ORDER BY app"))
        return LogStanding(used_bytes(connection), landed_at, waiting, apps)
