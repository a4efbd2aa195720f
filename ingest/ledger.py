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
    repeats = [_count_lines(delivery) for delivery in deliveries]
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


def _count_lines(delivery: Delivery) -> tuple[int, int]:
    """Lines in the pieces that an earlier try brought, and the time of the last one."""
    octets = b"".join(piece.octets for piece in delivery.repeated)
    if not octets:
        return 0, delivery.received_at_us
    if delivery.form is not None:
        tally = plain.parse_as(delivery.form, [Body(delivery.app, octets)], delivery.received_at_us).tally
        return int(tally.lines.sum()), int(tally.last_us[-1])
    text = Text(octets)
    found, junk = frames.split(text, Spans(np.array([0]), np.array([len(octets)])))
    header = headers.read(text, found)
    times = header.timestamp_us[header.readable]
    return len(found.start) + len(junk), int(times[-1]) if len(times) else delivery.received_at_us
