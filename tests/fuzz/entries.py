"""Target of the event log's entries: whatever a damaged disk makes of one, landing names it and goes on."""

from __future__ import annotations

import contextlib
import io

from ingest.eventlog.contract import Entry
from ingest.schema import TABLES
from transforms import bites

NAMES = [*TABLES]


def entry(data: bytes) -> None:
    """The first byte chooses the table, the rest is the payload: rows that can be landed, or EntryError."""
    if not data:
        return
    table = NAMES[data[0] % len(NAMES)]
    with contextlib.suppress(bites.EntryError):
        rows = bites.rows_of(Entry(table, "shop", 1, data[1:], "e0", 1, 0.0), with_pieces=True)
        assert rows.schema == bites.entry_schema(table, with_pieces=True)
        if rows.height <= 10_000:
            rows.sort("app", "timestamp").write_parquet(io.BytesIO())
