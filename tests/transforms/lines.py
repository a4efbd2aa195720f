"""Small entries for the landing tests: rows known by a text column."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pyarrow as pa

from ingest.eventlog.contract import NewEntry
from ingest.eventlog.entry import encode
from ingest.schema import DIGEST_BYTES
from transforms.bites import entry_schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ingest.eventlog.contract import EventLog

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def payload(rows: pl.DataFrame) -> bytes:
    """Rows as the receiver encodes them: plain Arrow strings."""
    table = rows.rechunk().to_arrow()
    text = (pa.large_string(), pa.string_view())
    plain = pa.schema([(field.name, pa.string() if field.type in text else field.type) for field in table.schema])
    return encode(pa.RecordBatch.from_struct_array(table.cast(plain).to_struct_array().combine_chunks()))


def entry(table: str, rows: Sequence[Mapping[str, object]], app: str = "shop") -> NewEntry:
    """An entry of rows given as dicts; absent columns are NULL, `timestamp` defaults to noon."""
    full = [{"timestamp": NOON, "app": app, **row} for row in rows]
    frame = pl.DataFrame(full, schema=entry_schema(table, with_pieces=True))
    return NewEntry(table, app, frame.height, payload(frame))


def requests(ids: Sequence[int], *, day: int = 0, app: str = "shop") -> NewEntry:
    """An entry of router rows, one per id, which stands in `request_id`."""
    start = NOON + timedelta(days=day)
    rows = [
        {"timestamp": start + timedelta(seconds=i % 3600), "request_id": str(i), "path": f"/users/{i}"} for i in ids
    ]
    return entry("router", rows, app)


def part(name: str) -> bytes:
    """The digest of a part of a delivery, as entries name it."""
    return name.encode().ljust(DIGEST_BYTES, b"\0")


def parts_of(name: str, ids: Sequence[int], *, day: int = 0) -> NewEntry:
    """An entry of router rows that all come from one part."""
    start = NOON + timedelta(days=day)
    return entry("router", [{"timestamp": start, "request_id": str(i), "piece": part(name)} for i in ids])


def append_requests(log: EventLog, ids: Sequence[int], *, day: int = 0, app: str = "shop") -> None:
    """Append one entry of router rows."""
    log.append([requests(ids, day=day, app=app)])


def landed_ids(lake: Path, table: str = "router", column: str = "request_id") -> list[int]:
    """The ids in the lake as any reader sees them, sorted; a row that is there twice is there twice."""
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"SELECT {column}::BIGINT FROM read_parquet('{lake}/{table}/**/*.parquet') ORDER BY 1"
        ).fetchall()
    return [int(row[0]) for row in rows]
