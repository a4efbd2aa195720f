"""Names as whole numbers that are in the order of the names: sorted and joined in a fraction of the time. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Whole = NDArray[np.int64]


class Ranked(NamedTuple):
    """Each row's number, 0 where it has no name; and of each number its name, the first of which is null."""

    of_row: Whole
    names: pl.Series


def ranked(names: pl.Series) -> Ranked:
    """Number names in their order as text, from 1 on."""
    coded = names.cast(pl.Categorical)
    known = coded.unique().drop_nulls()
    text = known.cast(pl.String)
    order = text.arg_sort()
    codes = known.to_physical().gather(order).cast(pl.Int64).to_numpy()
    nameless = int(codes.max(initial=-1)) + 1
    rank = np.zeros(nameless + 1, np.int64)
    rank[codes] = np.arange(1, codes.size + 1)
    of_row = rank[coded.to_physical().cast(pl.Int64).fill_null(nameless).to_numpy()]
    return Ranked(of_row, pl.concat([pl.Series([None], dtype=pl.String), text.gather(order)]))
