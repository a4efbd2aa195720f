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
from ingest.ledger import Stored, account
from ingest.parsing import Body
from ingest.portions import portions, whole
from ingest.schema import DELIVERIES, DIGEST_BYTES, PIECE, ROUTER

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import pyarrow as pa

    from ingest.deliveries import Delivery, Piece
    from ingest.loops import OwnDrains, Post
    from ingest.parsing import Parsed, Parts
    from ingest.portions import Slice
    from ingest.text import Positions


class Batch(NamedTuple):
    """Entries ready to append, the marks of their deliveries, what was counted, and what could tell of a loop."""

    entries: list[NewEntry]
    marks: list[Mark]
    counts: Counts
    posts: list[Post]


class Counts(NamedTuple):
    """Lines of a batch, bytes of its deliveries, lines by app, and deliveries with another number of lines than was
    announced; for the receiver's metrics."""

    lines: int
    parsed: int
    defects: int
    repeated: int
    octets: int
    by_app: Mapping[str, int]
    miscounted: int = 0


def prepare(deliveries: Sequence[Delivery]) -> Batch:
    """Parse and encode what is new in the deliveries, which are all of one form."""
    new = [(number, piece) for number, delivery in enumerate(deliveries) for piece in delivery.new]
    octets = [piece.octets for _, piece in new]
    apps = {delivery.app for delivery in deliveries}
    entries: list[NewEntry] = []
    stored: list[Stored] = []
    posts: list[Post] = []
    for portion in portions(octets) if deliveries[0].form in plain.FRAMED else [whole(octets)]:
        # Encoded before the next is parsed: only one portion is held as columns.
        some, part, lines = _read(deliveries, [(*new[each.body], each) for each in portion], apps)
        entries += some
        stored.append(part)
        posts += lines
    ledger = account(deliveries, stored)
    entries += _encoded({DELIVERIES.name: ledger}, apps)
    marks = [mark for delivery in deliveries for mark in delivery.marks]
    return Batch(entries, marks, _count(deliveries, ledger), posts)


def _read(
    deliveries: Sequence[Delivery], slices: Sequence[tuple[int, Piece, Slice]], apps: Collection[str]
) -> tuple[list[NewEntry], Stored, list[Post]]:
    """The entries of some slices, each with its piece and the number of its delivery; what they count; router lines."""
    [form] = {delivery.form for delivery in deliveries}
    received_at_us = max(delivery.received_at_us for delivery in deliveries)
    bodies = [Body(deliveries[number].app, each.octets) for number, _, each in slices]
    parsed = plain.parse_as(form, bodies, received_at_us)
    digests = _digests([(piece.digest, each.first_part) for _, piece, each in slices], parsed.parts)
    delivery_of = np.array([number for number, _, _ in slices], dtype=np.int64)[parsed.parts.body]
    tables = {
        name: table.append_column(PIECE, fixed_bytes(digests, parsed.places[name]))
        for name, table in parsed.tables.items()
    }
    posts = _posts(deliveries, parsed, delivery_of)
    return _encoded(tables, apps), Stored(delivery_of, digests, parsed.tally), posts


def _encoded(tables: Mapping[str, pa.RecordBatch], apps: Collection[str]) -> list[NewEntry]:
    return [
        NewEntry(name, app, rows.num_rows, encode(rows))
        for name, table in tables.items()
        for app, rows in _by_app(table, apps)
    ]


def _posts(deliveries: Sequence[Delivery], parsed: Parsed, delivery_of: Positions) -> list[Post]:
    """The router lines about deliveries, each with the number of the delivery that brought it."""
    if (router := parsed.tables.get(ROUTER.name)) is None:
        return []
    return loops.posts(deliveries, router, delivery_of[parsed.places[ROUTER.name]])


def _digests(slices: Sequence[tuple[bytes, int]], parts: Parts) -> list[bytes]:
    """What each part is known by, of slices of pieces; the first of a piece by the piece's own digest."""
    known = [
        (slices[body][0], slices[body][1] + number) for body, number in zip(*map(np.ndarray.tolist, parts), strict=True)
    ]
    return [
        digest if not number else hashlib.sha256(digest + number.to_bytes(4)).digest()[:DIGEST_BYTES]
        for digest, number in known
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
    miscounted = 0
    for delivery, count in zip(deliveries, columns["lines"].tolist(), strict=True):
        by_app[delivery.app] += count
        miscounted += delivery.announced not in (None, count)
    octets = sum(len(delivery.body) for delivery in deliveries)
    return Counts(lines, parsed, defects, repeated, octets, by_app, miscounted)


def _by_app(table: pa.RecordBatch, apps: Collection[str]) -> list[tuple[str, pa.RecordBatch]]:
    """The rows of each of some apps that has any."""
    if len(apps) == 1:  # as almost always
        return [(app, table) for app in apps]
    return [(app, table.filter(pc.equal(table["app"], app))) for app in pc.unique(table["app"]).to_pylist()]
