"""A batch of deliveries becomes entries of the event log: parse once, split by app, encode, count.

Beside the lines' own tables every delivery adds a row to the ledger (``deliveries``), from which coverage is
computed; what an earlier try had brought already is counted there and stored nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest import frames, headers
from ingest.columns import timestamps
from ingest.eventlog.contract import AlreadyHeld, EventLog, Mark, NewEntry
from ingest.eventlog.entry import encode
from ingest.parsing import Body, Tally, parse
from ingest.schema import DELIVERIES
from ingest.text import Spans, Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.deliveries import Delivery

REPEATS_MAX: Final = 3  # appends of one batch: each round learns of held pieces, and no more than two can be left


class Batch(NamedTuple):
    """Entries ready to append, the marks of their deliveries, and what was counted."""

    entries: list[NewEntry]
    marks: list[Mark]
    counts: Counts


class Counts(NamedTuple):
    """Lines of a batch, for the receiver's metrics."""

    lines: int
    parsed: int
    defects: int
    repeated: int


def prepare(deliveries: Sequence[Delivery]) -> Batch:
    """Parse and encode what is new in the deliveries."""
    received_at_us = max(delivery.received_at_us for delivery in deliveries)
    parsed = parse([Body(delivery.app, delivery.new) for delivery in deliveries], received_at_us)
    ledger = _ledger(deliveries, parsed.tally)
    entries = [
        NewEntry(name, app, rows.num_rows, encode(rows))
        for name, table in {**parsed.tables, DELIVERIES.name: ledger}.items()
        for app, rows in _by_app(table)
    ]
    marks = [mark for delivery in deliveries for mark in delivery.marks]
    totals = (pc.sum(ledger[name]).as_py() for name in ("lines", "parsed", "defects", "repeated"))
    return Batch(entries, marks, Counts(*totals))


def store(log: EventLog, deliveries: Sequence[Delivery]) -> Counts:
    """Append a batch; pieces that the log holds already are taken out and counted as repeated.

    No two of the deliveries may share a mark. Raises ``LogFull``; nothing is stored then.
    """
    for _ in range(REPEATS_MAX):
        batch = prepare(deliveries)
        try:
            log.append(batch.entries, batch.marks)
        except AlreadyHeld as answer:
            deliveries = [delivery.without(answer.digests) for delivery in deliveries]
        else:
            return batch.counts
    raise AssertionError("a piece that was taken out is held again")


def _by_app(table: pa.RecordBatch) -> list[tuple[str, pa.RecordBatch]]:
    apps = pc.unique(table["app"]).to_pylist()
    if len(apps) == 1:
        return [(apps[0], table)]
    return [(app, table.filter(pc.equal(table["app"], app))) for app in apps]


def _ledger(deliveries: Sequence[Delivery], tally: Tally) -> pa.RecordBatch:
    repeats = [_count_lines(delivery.repeated, delivery.received_at_us) for delivery in deliveries]
    repeated = np.array([lines for lines, _ in repeats], dtype=np.int64)
    last_us = np.where(tally.lines > 0, tally.last_us, [last for _, last in repeats])
    columns = {
        "timestamp": timestamps(last_us),
        "app": [delivery.app for delivery in deliveries],
        "received_at": timestamps(np.array([delivery.received_at_us for delivery in deliveries], dtype=np.int64)),
        "frame_id": [delivery.frame_id for delivery in deliveries],
        "announced": [delivery.announced for delivery in deliveries],
        "lines": tally.lines + repeated,
        "parsed": tally.parsed,
        "defects": tally.defects,
        "repeated": repeated,
        "octets": [len(delivery.body) for delivery in deliveries],
    }
    return pa.RecordBatch.from_pydict(columns, schema=DELIVERIES.arrow)


def _count_lines(octets: bytes, received_at_us: int) -> tuple[int, int]:
    """Lines in some bytes and the time of the last one."""
    if not octets:
        return 0, received_at_us
    text = Text(octets)
    found, junk = frames.split(text, Spans(np.array([0]), np.array([len(octets)])))
    header = headers.read(text, found)
    times = header.timestamp_us[header.readable]
    return len(found.start) + len(junk), int(times[-1]) if len(times) else received_at_us
