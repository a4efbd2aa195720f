"""Rows that are made piece by piece while they are written, since all at once are too many for the memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class Pieces:
    """``make`` gives the rows in order, in pieces of any size, and the same ones when it is called again."""

    schema: pl.Schema
    make: Callable[[], Iterator[pl.DataFrame]]

    def of_rows(self, count: int) -> Iterator[pl.DataFrame]:
        """All rows in pieces of so many; the last one has the rest."""
        held = pl.DataFrame(schema=self.schema)
        for piece in self.make():
            held = pl.concat([held, piece])
            while held.height > count:
                yield held.head(count)
                held = held.slice(count)
        if held.height:
            yield held
