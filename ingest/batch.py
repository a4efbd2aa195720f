"""A batch of deliveries becomes entries of the event log: parse once, split by app, encode, count.

Each row says which part of a delivery it comes from, so that landing can tell one that the log holds twice.
Beside the lines' own tables every delivery adds a row to the ledger.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow.compute as pc

from ingest import loops, plain
from ingest.columns import fixed_bytes, integers
from ingest.eventlog.contract import AlreadyHeld, Appender, Mark, NewEntry
from ingest.eventlog.entry import encode
from ingest.ledger import account
from ingest.parsing import Body, Parts
from ingest.schema import DELIVERIES, DIGEST_BYTES, PIECE, ROUTER

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import pyarrow as pa

    from ingest.deliveries import Delivery
    from ingest.loops import OwnDrains, Post
    from ingest.parsing import Parsed
    from ingest.text import Positions


class Batch(NamedTuple):
    """Entries ready to append, the marks of their deliveries, what was counted, and what could tell of a loop."""

    entries: list[NewEntry]
    marks: list[Mark]
    counts: Counts
    posts: list[Post]


class Counts(NamedTuple):
    """Lines of a batch, bytes of its deliveries and lines by app, for the receiver's metrics."""

    lines: int
    parsed: int
    defects: int
    repeated: int
    octets: int
    by_app: Mapping[str, int]


def prepare(deliveries: Sequence[Delivery]) -> Batch:
    """Parse and encode what is new in the deliveries, which are all of one form."""
    received_at_us = max(delivery.received_at_us for delivery in deliveries)
    new = [delivery.new for delivery in deliveries]
    pieces = [(delivery.app, piece) for delivery, some in zip(deliveries, new, strict=True) for piece in some]
    [form] = {delivery.form for delivery in deliveries}
    parsed = plain.parse_as(form, [Body(app, piece.octets) for app, piece in pieces], received_at_us)
    digests = _digests([piece.digest for _, piece in pieces], parsed.parts)
    tables = {
        name: table.append_column(PIECE, fixed_bytes(digests, parsed.places[name]))
        for name, table in parsed.tables.items()
    }
    delivery_of = np.repeat(np.arange(len(deliveries)), [len(some) for some in new])[parsed.parts.body]
    ledger = account(deliveries, delivery_of, digests, parsed.tally)
    apps = {delivery.app for delivery in deliveries}
    entries = [
        NewEntry(name, app, rows.num_rows, encode(rows))
        for name, table in {**tables, DELIVERIES.name: ledger}.items()
        for app, rows in _by_app(table, apps)
    ]
    marks = [mark for delivery in deliveries for mark in delivery.marks]
    return Batch(entries, marks, _count(deliveries, ledger), _posts(deliveries, parsed, delivery_of))


def _posts(deliveries: Sequence[Delivery], parsed: Parsed, delivery_of: Positions) -> list[Post]:
    """The router lines about deliveries, each with the number of the delivery that brought it."""
    if (router := parsed.tables.get(ROUTER.name)) is None:
        return []
    return loops.posts(deliveries, router, delivery_of[parsed.places[ROUTER.name]])


def _digests(pieces: Sequence[bytes], parts: Parts) -> list[bytes]:
    """What each part of the pieces is known by; the first one by the piece's own digest."""
    return [
        pieces[body] if not number else hashlib.sha256(pieces[body] + number.to_bytes(4)).digest()[:DIGEST_BYTES]
        for body, number in zip(parts.body.tolist(), parts.number.tolist(), strict=True)
    ]


def store(log: Appender, deliveries: Sequence[Delivery], own_drains: OwnDrains | None = None) -> Counts:
    """Append a batch; pieces that the log holds already are taken out and counted as repeated.

    No two of the deliveries may share a mark. ``own_drains`` looks at what was stored. Raises ``LogFull``; nothing is
    stored then.
    """
    # Each round but the last takes a piece out that the log held; another worker can store more of them in between.
    for _ in range(1 + sum(len(delivery.marks) for delivery in deliveries)):
        batch = prepare(deliveries)
        try:
            log.append(batch.entries, batch.marks)
        except AlreadyHeld as answer:
            deliveries = [delivery.without(answer.digests) for delivery in deliveries]
        else:
            if own_drains is not None:
                own_drains.look(deliveries, batch.posts)
            return batch.counts
    raise AssertionError("a piece that was taken out is held again")


def _count(deliveries: Sequence[Delivery], ledger: pa.RecordBatch) -> Counts:
    columns = {name: integers(ledger.column(name)) for name in ("lines", "parsed", "defects", "repeated")}
    lines, parsed, defects, repeated = (int(column.sum()) for column in columns.values())
    by_app: Counter[str] = Counter()
    for delivery, count in zip(deliveries, columns["lines"].tolist(), strict=True):
        by_app[delivery.app] += count
    return Counts(lines, parsed, defects, repeated, sum(len(delivery.body) for delivery in deliveries), by_app)


def _by_app(table: pa.RecordBatch, apps: Collection[str]) -> list[tuple[str, pa.RecordBatch]]:
    """The rows of each of some apps that has any."""
    if len(apps) == 1:  # as almost always
        return [(app, table) for app in apps]
    return [(app, table.filter(pc.equal(table["app"], app))) for app in pc.unique(table["app"]).to_pylist()]
