"""Finds parts of deliveries that a log holds twice, and keeps the first.

A part can be there twice when Heroku's tries of a delivery reached two receivers, or when a receiver did not learn that
its append came through and appended again. All tries lie in one partition of each table, so this is decided partition
by partition, by the rule: a row is a repeat if an entry before its own has its part and was appended at most
``WINDOW_SECONDS`` before it. An entry that waited in a spool says since when; for it the time counts back from then.

The rule looks at the log alone, not at who lands, when, or in what bites. So a lander that dies and another one that
lands the same entries again drop the same rows; whoever begins in the middle reads back what it has to know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from ingest.schema import DELIVERIES, PIECE, PIECES
from transforms.bites import OFFSET, Stamp, entries_after, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ingest.eventlog.contract import EventLog
    from transforms.bites import Bite

WINDOW_SECONDS: Final = 300.0  # Heroku repeats within seconds; the rest is for clocks that differ
PARTS_MAX: Final = 400_000  # of one partition, some 50 MB: beyond it the oldest are forgotten
NEVER: Final = float("-inf")

Pairs = set[tuple[int, bytes]]


class Repeats:
    """What a lander remembers of the partitions it lands."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._memories: dict[tuple[str, str], _Memory] = {}
        self.forgotten = 0  # parts, to make room, that a row might still have repeated

    def first_only(self, table: str, partition: str, after: int, bite: Bite) -> pl.DataFrame:
        """The rows of a bite that are no repeats. ``after`` is the offset that the bite was read after."""
        if not self._log.may_repeat:
            return bite.rows
        memory = self._memory(table, partition, after, min(map(_reaches_back_to, bite.stamps)))
        repeated = memory.repeated(bite.stamps, _parts(table, bite.rows))
        kept = _without(bite.rows, repeated)
        if table == DELIVERIES.name:
            kept = recount(kept, repeated)
        return kept.drop(PIECE, PIECES, strict=False)

    def _memory(self, table: str, partition: str, after: int, since: float) -> _Memory:
        """The memory of a partition up to an offset, as far back as needed; read from the log if it is not here."""
        memory = self._memories.get((table, partition))
        if memory is None or memory.upto != after or memory.since > since:
            memory = self._memories[table, partition] = _Memory(after, since)
            start = self._log.before(table, partition, since)
            for stamp, parts in _read(self._log, table, partition, start, after):
                memory.learn(stamp, parts)
        self.forgotten += memory.forget(since)
        return memory


def _reaches_back_to(stamp: Stamp) -> float:
    """How old an entry can be that this one repeats."""
    return min(stamp.appended_at, stamp.appended_at if stamp.since is None else stamp.since) - WINDOW_SECONDS


class _Memory:
    """The parts of the entries of one partition that were appended after a time, and when each was last."""

    def __init__(self, upto: int, since: float) -> None:
        self.upto = upto
        self.since = since
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
            since = _reaches_back_to(stamp)
            found |= {(stamp.offset, part) for part in own if self._appended_at.get(part, NEVER) >= since}
            self.learn(stamp, own)
            self.upto = stamp.offset
        return found

    def forget(self, since: float) -> int:
        """Forget what no entry from now on can repeat, and the oldest of what is too much; how many were that."""
        excess = 0
        while self._appended_at:
            part, appended_at = next(iter(self._appended_at.items()))
            if appended_at >= since and len(self._appended_at) <= PARTS_MAX:
                return excess
            excess += appended_at >= since
            del self._appended_at[part]
        self.since = since
        return excess


def _read(log: EventLog, table: str, partition: str, start: int, upto: int) -> Iterator[tuple[Stamp, set[bytes]]]:
    """The parts of the entries above ``start`` up to an offset."""
    for entry in entries_after(log, table, partition, start) if start < upto else ():
        if entry.offset > upto:
            return
        rows = rows_of(entry, with_pieces=True)
        found = _parts(table, rows.with_columns(pl.lit(entry.offset).alias(OFFSET)))
        yield Stamp(entry.offset, entry.appended_at, entry.since), found.get(entry.offset, set())


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
