"""The rows of a day in sorted runs, put in order a piece at a time: all in memory they can be a gigabyte.

A run is sorted by ``per``, ``app``, ``key`` and ``minute``, and so are all runs put together. Of each run one batch is
in memory at a time, so that memory goes by the number of runs and not by that of the rows.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from transforms.minutes.spilling import Place, Spill

BATCH_BYTES: Final = 256 << 10  # some 2,000 rows; where requests are many their histograms are long, and it is fewer
PIECE_BATCHES: Final = 16  # with what batches overlap, about as many rows as are written at once

Key = tuple[str, str, str]
"""``per``, ``app`` and ``key``; rows that have these in common are never parted. No name is as the empty one."""
FIRST: Final[Key] = ("", "", "")


class _Batch(NamedTuple):
    first: Key
    last: Key
    place: Place


class Run:
    """Sorted rows that lie in a spill; ``pieces`` are in order, too."""

    def __init__(self, pieces: Iterable[pl.DataFrame], spill: Spill) -> None:
        self.spill = spill
        batches = (rows for piece in pieces if piece.height for rows in piece.iter_slices(_batch_rows(piece)))
        self.batches = [_Batch(_key(rows, 0), _key(rows, -1), spill.add(rows)) for rows in batches]


def _batch_rows(rows: pl.DataFrame) -> int:
    return max(1, BATCH_BYTES * rows.height // max(1, int(rows.estimated_size())))


def merged(runs: Sequence[Run], cuts: Iterable[Key]) -> Iterator[tuple[Key, Key | None, list[pl.DataFrame]]]:
    """All rows in pieces: the first key that can be in it, the key before which it ends, its rows in no order.

    It is cut at every few of the runs' batches and of ``cuts``. The last piece ends at None.
    """
    found = sorted([*cuts, *(batch.first for run in runs for batch in run.batches)])
    cursors = [_Cursor(run) for run in runs]
    for begin, end in pairwise([FIRST, *sorted(set(found[PIECE_BATCHES::PIECE_BATCHES])), None]):
        assert begin is not None
        yield begin, end, [rows for cursor in cursors for rows in cursor.before(end)]


class _Cursor:
    """How far a run was read."""

    def __init__(self, run: Run) -> None:
        self._batches = run.batches
        self._spill = run.spill
        self._at = 0
        self._rest: pl.DataFrame | None = None

    def before(self, end: Key | None) -> Iterator[pl.DataFrame]:
        """The rows before a key that were not read yet."""
        while self._at < len(self._batches):
            first, last, place = self._batches[self._at]
            if end is not None and first >= end:
                return
            rows = self._spill.rows(place) if self._rest is None else self._rest
            if end is not None and last >= end:
                is_before = _is_before(*end)
                self._rest = rows.filter(~is_before)
                yield rows.filter(is_before)
                return
            self._rest = None
            self._at += 1
            yield rows


def _key(rows: pl.DataFrame, at: int) -> Key:
    per, app, key = rows.select("per", "app", "key").row(at)
    return per, app or "", key or ""


def _is_before(per: str, app: str, key: str) -> pl.Expr:
    of_app, of_key = (pl.col(name).fill_null("") for name in ("app", "key"))
    is_app_before = (of_app < app) | ((of_app == app) & (of_key < key))
    return (pl.col("per") < per) | ((pl.col("per") == per) & is_app_before)
