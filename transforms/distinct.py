"""Does costly work on texts once for each distinct one. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable


def by_distinct(texts: pl.Series, work: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """Do the work, strings to values of the same length and order, once for each distinct text; NULL stays NULL."""
    distinct = texts.unique().drop_nulls()
    known = pl.DataFrame({"text": distinct, "done": work(distinct)})
    return texts.to_frame("text").join(known, on="text", how="left", maintain_order="left")["done"]
