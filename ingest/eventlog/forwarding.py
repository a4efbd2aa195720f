"""Moves what a spool holds into the log that is shared, in order, and forgets nothing before it is kept there.

A portion's low watermark in the spool moves after the shared log has acknowledged it. A death in between writes the
portion again; every entry says since when it was on its way, so that landing finds what it repeats.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from ingest.eventlog.contract import NewEntry
from ingest.eventlog.embedded import PARTITION
from ingest.schema import TABLES
from ingest.sole import sole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ingest.eventlog.embedded import EmbeddedLog
    from ingest.eventlog.kafka.log import KafkaLog

PORTION_BYTES: Final = 4 << 20
PORTION_ROWS: Final = 500_000
WRITE_SECONDS: Final = 10.0


def forward(spool: EmbeddedLog, shared: KafkaLog) -> int:
    """Move one portion of each table; gives the number of entries. Raises LogUnavailable; nothing is lost then."""
    return sum(_forward_table(spool, shared, table) for table in TABLES)


def _forward_table(spool: EmbeddedLog, shared: KafkaLog, table: str) -> int:
    after = spool.position(table, PARTITION)
    entries = spool.read(table, PARTITION, after, rows_max=PORTION_ROWS, bytes_max=PORTION_BYTES)
    if entries:
        shared.write([NewEntry(e.table, e.app, e.rows, e.payload, e.appended_at) for e in entries], WRITE_SECONDS)
        spool.commit(table, PARTITION, entries[-1].offset)
    return len(entries)


@contextmanager
def sole_forwarder(log_path: Path) -> Iterator[bool]:
    """Whether this process is the one that empties the spool now; two would write everything twice, out of order."""
    with sole(log_path.with_name(f"{log_path.name}.forwarding")) as is_ours:
        yield is_ours
