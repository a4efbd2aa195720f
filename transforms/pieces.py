"""Rows that are made piece by piece while they are written, since all at once are too many for the memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GROUP_BYTES: Final = 16 << 20  # in memory; to write a group takes some times as much


@dataclass(frozen=True)
class Pieces:
    """``make`` gives the rows in order, in pieces of any size, and the same ones when it is called again."""

    schema: pl.Schema
    make: Callable[[], Iterator[pl.DataFrame]]

    def in_groups(self, rows_max: int) -> Iterator[pl.DataFrame]:
        """All rows in groups of so many; fewer where these would be large, and in the last one."""
        held = pl.DataFrame(schema=self.schema)
        for piece in self.make():
            held = pl.concat([held, piece])
            while held.height > rows_max:
                yield held.head(rows_max)
                held = held.slice(rows_max)
            if held.estimated_size() > GROUP_BYTES:
                yield held
                held = held.clear()
        if held.height:
            yield held
