"""The ledger: a row for every delivery, from which coverage is computed.

What an earlier try had brought already is counted as repeated and stored nowhere else. The log itself can hold a part
of a delivery twice (see ``eventlog.contract``); then landing moves its counts to repeated. For that an entry says what
each new part counts, in a column that does not come into the lake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ingest import frames, headers, plain
from ingest.columns import timestamps
from ingest.parsing import Body
from ingest.schema import DELIVERIES, PIECE, PIECES, entry_schema
from ingest.text import Spans, Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.deliveries import Delivery
    from ingest.parsing import Parts, Tally
    from ingest.text import Positions


def account(deliveries: Sequence[Delivery], parts: Parts, digests: Sequence[bytes], tally: Tally) -> pa.RecordBatch:
    """One row per delivery, from what was counted in the parts of the deliveries' new pieces (one body each)."""
    repeats = _count_repeats(deliveries)
    repeated = np.array([lines for lines, _ in repeats], dtype=np.int64)
    of_body = np.repeat(np.arange(len(deliveries)), [len(delivery.new) for delivery in deliveries])
    delivery_of = of_body[parts.body]

    def total(counts: Positions) -> Positions:
        return np.bincount(delivery_of, counts, minlength=len(deliveries)).astype(np.int64)

    received_at_us = np.array([delivery.received_at_us for delivery in deliveries], dtype=np.int64)
    last_us = received_at_us.copy()
    last_us[delivery_of[tally.lines > 0]] = tally.last_us[tally.lines > 0]  # of several parts the last is written last
    columns = {
        "timestamp": timestamps(np.where(total(tally.lines) > 0, last_us, [last for _, last in repeats])),
        "app": [delivery.app for delivery in deliveries],
        "received_at": timestamps(received_at_us),
        "frame_id": [delivery.frame_id for delivery in deliveries],
        "announced": [delivery.announced for delivery in deliveries],
        "lines": total(tally.lines) + repeated,
        "parsed": total(tally.parsed),
        "defects": total(tally.defects),
        "repeated": repeated,
        "octets": [len(delivery.body) for delivery in deliveries],
        "drain_token": [delivery.drain_token for delivery in deliveries],
        PIECES: _counted(len(deliveries), delivery_of, digests, tally),
        PIECE: [delivery.attempt for delivery in deliveries],
    }
    return pa.RecordBatch.from_pydict(columns, schema=entry_schema(DELIVERIES))


def _counted(
    deliveries: int, delivery_of: Positions, digests: Sequence[bytes], tally: Tally
) -> list[list[dict[str, object]]]:
    """By delivery, what each of its new parts counts."""
    found: list[list[dict[str, object]]] = [[] for _ in range(deliveries)]
    counts = zip(tally.lines.tolist(), tally.parsed.tolist(), tally.defects.tolist(), strict=True)
    for delivery, digest, (lines, parsed, defects) in zip(delivery_of.tolist(), digests, counts, strict=True):
        found[delivery].append({"digest": digest, "lines": lines, "parsed": parsed, "defects": defects})
    return found


def _count_repeats(deliveries: Sequence[Delivery]) -> list[tuple[int, int]]:
    """By delivery, lines in the pieces that an earlier try brought, and the time of the last one."""
    form = deliveries[0].form
    bodies = [Body(each.app, b"".join(piece.octets for piece in each.repeated)) for each in deliveries]
    if form is None:
        received = [each.received_at_us for each in deliveries]
        return [_count_frames(body.octets, at_us) for body, at_us in zip(bodies, received, strict=True)]
    if not any(body.octets for body in bodies):
        return [(0, each.received_at_us) for each in deliveries]
    tally = plain.parse_as(form, bodies, deliveries[0].received_at_us).tally  # a part is a body
    return list(zip(tally.lines.tolist(), tally.last_us.tolist(), strict=True))


def _count_frames(octets: bytes, received_at_us: int) -> tuple[int, int]:
    if not octets:
        return 0, received_at_us
    text = Text(octets)
    found, junk = frames.split(text, Spans(np.array([0]), np.array([len(octets)])))
    header = headers.read(text, found)
    times = header.timestamp_us[header.readable]
    return len(found.start) + len(junk.start), int(times[-1]) if len(times) else received_at_us
