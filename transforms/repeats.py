"""Finds parts of deliveries that a log holds twice, and keeps the first.

A part can be there twice when Heroku's tries of a delivery reached two receivers, or when a receiver did not learn that
its append came through and appended again. All tries lie in one partition of each table, so this is decided partition
by partition, by the rule: a row is a repeat if an entry before its own has its part and was appended at most
``WINDOW_SECONDS`` before it; an entry that says when it was tried first is compared back to then.

The rule looks at the log alone, not at who lands, when, or in what bites. So a lander that dies and another one that
lands the same entries again drop the same rows; whoever begins in the middle reads back what it has to know.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

import polars as pl

from ingest.eventlog.entry import decode
from ingest.schema import DELIVERIES, PIECE, PIECES
from transforms.bites import OFFSET, Stamp, entries_after

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ingest.eventlog.contract import EventLog
    from transforms.bites import Bite

WINDOW_SECONDS: Final = 300.0  # Heroku repeats within seconds; the rest is for clocks that differ
NEVER: Final = float("-inf")
PARTS_MAX: Final = 200_000  # of one partition, some 30 MB: beyond it the oldest are forgotten

Pairs = set[tuple[int, bytes]]


class Repeats:
    """What a lander remembers of the partitions it lands."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._memories: dict[tuple[str, str], _Memory] = {}

    def first_only(self, table: str, partition: str, after: int, bite: Bite) -> pl.DataFrame:
        """The rows of a bite that are no repeats. ``after`` is the offset that the bite was read after."""
        if not self._log.may_repeat:
            return bite.rows
        memory = self._memory(table, partition, after, bite.stamps[0])
        parts = _parts(table, bite.rows)
        repeated = memory.repeated(bite.stamps, parts) | self._tried_before(table, partition, bite.stamps, parts)
        kept = _without(bite.rows, repeated)
        if table == DELIVERIES.name:
            kept = recount(kept, repeated)
        return kept.drop(PIECE, PIECES, strict=False)

    def _memory(self, table: str, partition: str, after: int, first: Stamp) -> _Memory:
        """The memory of a partition; filled from the log if this process did not land what lies before."""
        memory = self._memories.get((table, partition))
        if memory is None or memory.upto != after:
            memory = self._memories[table, partition] = _Memory(after)
            start = self._log.before(table, partition, first.appended_at - WINDOW_SECONDS)
            for stamp, parts in _read(self._log, table, partition, start, after):
                memory.learn(stamp, parts)
        return memory

    def _tried_before(
        self, table: str, partition: str, stamps: Iterable[Stamp], parts: Mapping[int, set[bytes]]
    ) -> Pairs:
        """Repeats of entries whose first try lies further back than the memory reaches: looked up in the log."""
        tried = [(stamp, stamp.tried_at) for stamp in stamps if stamp.tried_at is not None]
        if not tried:
            return set()
        wanted = set().union(*(parts.get(stamp.offset, set()) for stamp, _ in tried))
        start = self._log.before(table, partition, min(since for _, since in tried) - WINDOW_SECONDS)
        places: dict[bytes, list[Stamp]] = defaultdict(list)
        for earlier, found in _read(self._log, table, partition, start, max(stamp.offset for stamp, _ in tried)):
            for part in found & wanted:
                places[part].append(earlier)
        return {
            (stamp.offset, part)
            for stamp, since in tried
            for part in parts.get(stamp.offset, ())
            if any(
                place.offset < stamp.offset and place.appended_at >= since - WINDOW_SECONDS for place in places[part]
            )
        }


class _Memory:
    """The parts of the last ``WINDOW_SECONDS`` of one partition, and when each was last appended."""

    def __init__(self, upto: int) -> None:
        self.upto = upto
        self._appended_at: dict[bytes, float] = {}  # in order of time

    def learn(self, stamp: Stamp, parts: Iterable[bytes]) -> None:
        """Remember the parts of an entry."""
        for part in parts:
            self._appended_at.pop(part, None)
            self._appended_at[part] = stamp.appended_at

    def repeated(self, stamps: Iterable[Stamp], parts: Mapping[int, set[bytes]]) -> Pairs:
        """The (offset, part) of entries in order that entries before them have; all of them are remembered."""
        found: Pairs = set()
        for stamp in stamps:
            own = parts.get(stamp.offset, set())
            since = stamp.appended_at - WINDOW_SECONDS
            found |= {(stamp.offset, part) for part in own if self._appended_at.get(part, NEVER) >= since}
            self.learn(stamp, own)
            self._forget(since)
            self.upto = stamp.offset
        return found

    def _forget(self, since: float) -> None:
        while self._appended_at:
            part, appended_at = next(iter(self._appended_at.items()))
            if appended_at >= since and len(self._appended_at) <= PARTS_MAX:
                return
            del self._appended_at[part]


def _read(log: EventLog, table: str, partition: str, start: int, upto: int) -> Iterator[tuple[Stamp, set[bytes]]]:
    """The parts of the entries above ``start`` up to an offset."""
    for entry in entries_after(log, table, partition, start) if start < upto else ():
        if entry.offset > upto:
            return
        rows = decode(entry.payload)
        known = [name for name in (PIECE, PIECES) if name in rows.columns]
        found = _parts(table, rows.select(known).with_columns(pl.lit(entry.offset).alias(OFFSET))) if known else {}
        yield Stamp(entry.offset, entry.appended_at, entry.tried_at), found.get(entry.offset, set())


def _parts(table: str, rows: pl.DataFrame) -> dict[int, set[bytes]]:
    """By offset, the parts that an entry has rows of; in the ledger the tries themselves, and what they counted."""
    found = rows.group_by(OFFSET).agg(pl.col(PIECE).unique().drop_nulls())
    parts = {offset: set(digests) for offset, digests in found.rows()}
    if table == DELIVERIES.name:
        for offset, digest in _counted(rows.select(OFFSET, PIECES)).select(OFFSET, "digest").rows():
            parts[offset].add(digest)
    return parts


def _counted(rows: pl.DataFrame) -> pl.DataFrame:
    """One row per new part of each delivery: its digest and what it counts."""
    return rows.explode(PIECES, empty_as_null=False).drop_nulls(PIECES).unnest(PIECES)


def _without(rows: pl.DataFrame, repeated: Pairs) -> pl.DataFrame:
    """The rows whose (offset, part) is no repeat, in order."""
    if not repeated:
        return rows
    pairs = pl.DataFrame(list(repeated), schema={OFFSET: pl.Int64, PIECE: pl.Binary}, orient="row")
    return rows.join(pairs, on=[OFFSET, PIECE], how="anti", maintain_order="left")


def recount(ledger: pl.DataFrame, repeated: Pairs) -> pl.DataFrame:
    """The ledger with the counts of repeated parts moved from new to repeated."""
    if not repeated or ledger.is_empty():
        return ledger
    pairs = pl.DataFrame(list(repeated), schema={OFFSET: pl.Int64, "digest": pl.Binary}, orient="row")
    numbered = ledger.with_row_index("_row")
    moved = (
        _counted(numbered.select("_row", OFFSET, PIECES))
        .join(pairs, on=[OFFSET, "digest"], how="semi")
        .group_by("_row")
        .agg(pl.col("lines", "parsed", "defects").sum().name.prefix("_"))
    )
    joined = numbered.join(moved, on="_row", how="left", maintain_order="left")
    gone = {name: pl.col(f"_{name}").fill_null(0) for name in ("lines", "parsed", "defects")}
    return joined.with_columns(
        parsed=pl.col("parsed") - gone["parsed"],
        defects=pl.col("defects") - gone["defects"],
        repeated=pl.col("repeated") + gone["lines"],
    ).select(ledger.columns)
