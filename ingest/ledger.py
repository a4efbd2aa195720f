"""The ledger: a row for every delivery, from which coverage is computed.

What an earlier try had brought already is counted as repeated and stored nowhere else. The log itself can hold a part
of a delivery twice (see ``eventlog.contract``); then landing moves its counts to repeated. For that an entry says what
each new part counts, in a column that does not come into the lake.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa

from ingest import frames, headers, plain
from ingest.columns import fixed_bytes, indices, timestamps
from ingest.parsing import Body, Tally
from ingest.portions import cuts
from ingest.schema import DELIVERIES, PIECE, PIECES, PIECES_TYPE, entry_schema
from ingest.text import Spans, Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.deliveries import Delivery
    from ingest.text import Positions

_SCHEMA: Final = entry_schema(DELIVERIES)


class Stored(NamedTuple):
    """What a portion brought: the delivery of each of its parts, what each is known by, and what was counted."""

    delivery_of: Positions
    digests: list[bytes]
    tally: Tally


def account(deliveries: Sequence[Delivery], stored: Sequence[Stored]) -> pa.RecordBatch:
    """One row per delivery, from what was counted in the parts of the deliveries' new pieces, in order."""
    delivery_of = np.concatenate([each.delivery_of for each in stored])
    digests = [digest for each in stored for digest in each.digests]
    tally = Tally.together([each.tally for each in stored])
    repeats = _count_repeats(deliveries)
    repeated = np.array([lines for lines, _ in repeats], dtype=np.int64)

    def total(counts: Positions) -> Positions:
        return np.bincount(delivery_of, counts, minlength=len(deliveries)).astype(np.int64)

    received_at_us = np.array([delivery.received_at_us for delivery in deliveries], dtype=np.int64)
    last_us = received_at_us.copy()
    has_lines = tally.lines > 0
    last_us[delivery_of[has_lines]] = tally.last_us[has_lines]  # of several parts the last is written last
    found = total(tally.lines)
    octets = np.array([len(delivery.body) for delivery in deliveries], dtype=np.int64)
    columns = {
        "timestamp": timestamps(np.where(found > 0, last_us, [last for _, last in repeats])),
        "app": pa.array([delivery.app for delivery in deliveries], pa.string()),
        "received_at": timestamps(received_at_us),
        "frame_id": pa.array([delivery.frame_id for delivery in deliveries], pa.string()),
        "announced": pa.array([delivery.announced for delivery in deliveries], pa.int64()),
        "lines": indices(found + repeated),
        "parsed": indices(total(tally.parsed)),
        "defects": indices(total(tally.defects)),
        "repeated": indices(repeated),
        "octets": indices(octets),
        "drain_token": pa.array([delivery.drain_token for delivery in deliveries], pa.string()),
        PIECES: _counted(len(deliveries), delivery_of, digests, tally),
        PIECE: fixed_bytes([delivery.attempt for delivery in deliveries], np.arange(len(deliveries))),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in _SCHEMA.names], schema=_SCHEMA)


def _counted(deliveries: int, delivery_of: Positions, digests: Sequence[bytes], tally: Tally) -> pa.ListArray:
    """By delivery, what each of its new parts counts."""
    found: list[list[tuple[object, ...]]] = [[] for _ in range(deliveries)]
    counts = zip(digests, tally.lines.tolist(), tally.parsed.tolist(), tally.defects.tolist(), strict=True)
    for delivery, counted in zip(delivery_of.tolist(), counts, strict=True):
        found[delivery].append(counted)
    return pa.array(found, PIECES_TYPE)


def _count_repeats(deliveries: Sequence[Delivery]) -> list[tuple[int, int]]:
    """By delivery, lines in the pieces that an earlier try brought, and the time of the last one."""
    if not any(delivery.held for delivery in deliveries):  # as almost always
        return [(0, each.received_at_us) for each in deliveries]
    form = deliveries[0].form
    if form is None:
        return [_count_frames([piece.octets for piece in each.repeated], each.received_at_us) for each in deliveries]
    bodies = [Body(each.app, b"".join(piece.octets for piece in each.repeated)) for each in deliveries]
    tally = plain.parse_as(form, bodies, deliveries[0].received_at_us).tally  # a part is a body
    return list(zip(tally.lines.tolist(), tally.last_us.tolist(), strict=True))


def _count_frames(bodies: Sequence[bytes], received_at_us: int) -> tuple[int, int]:
    """Lines, and the time of the last, of bodies that are cut as when they were stored."""
    lines, last_us = 0, received_at_us
    for body in bodies:
        for begin, end in pairwise([*cuts(body), len(body)]):
            text = Text(body[begin:end])
            found, junk = frames.split(text, Spans(np.array([0]), np.array([end - begin])))
            header = headers.read(text, found)
            times = header.timestamp_us[header.readable]
            lines += len(found.start) + len(junk.start)
            last_us = int(times[-1]) if len(times) else last_us
    return lines, last_us
