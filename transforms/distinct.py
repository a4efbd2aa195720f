"""Does costly work on texts once for each distinct one. Pure.

Values are numbered by one pass over them. Whatever is found for the distinct ones is then looked up by number, which
costs next to nothing: to join by the texts again takes as long as to number them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def by_distinct(texts: pl.Series, work: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """Do the work, strings to values of the same length and order, once for each distinct text; NULL stays NULL."""
    distinct, number = _numbered(texts)
    return work(distinct).gather(number)


@dataclass(frozen=True)
class OfApps:
    """The texts of each app: ``distinct`` has each (app, text) once, ``number`` says which of them a row has.

    A row without a text has the number NULL.
    """

    distinct: pl.DataFrame
    number: pl.Series

    def spread(self, found: pl.Series) -> pl.Series:
        """For each row what was found for its text, in order of ``distinct``."""
        return found.gather(self.number)

    def count(self, chosen: pl.Series) -> pl.Series:
        """For each of ``distinct`` how many of its rows are chosen; NULL is not."""
        return self._sums(self.number.filter(chosen).drop_nulls(), None)

    def total(self, counts: pl.Series) -> pl.Series:
        """For each of ``distinct`` the sum of a count that each row has."""
        known = self.number.is_not_null()
        return self._sums(self.number.filter(known), counts.filter(known).to_numpy())

    def _sums(self, number: pl.Series, weights: NDArray[np.int64] | None) -> pl.Series:
        return pl.Series(np.bincount(number.to_numpy(), weights, self.distinct.height), dtype=pl.Int64)


def of_apps(rows: pl.DataFrame) -> OfApps:
    """Number the texts of rows that have the columns ``app``, never NULL, and one of texts."""
    apps, texts = rows.get_columns()
    distinct, number = _numbered(texts)
    if rows.height and has_one_app(rows):
        return OfApps(pl.DataFrame([apps.new_from_index(0, distinct.len()), distinct.alias(texts.name)]), number)
    app_names, app_number = _numbered(apps)
    both, number = _numbered(app_number.cast(pl.Int64) * distinct.len() + number)
    pairs = [app_names.gather(both // distinct.len()), distinct.gather(both % distinct.len())]
    return OfApps(pl.DataFrame(pairs, [apps.name, texts.name]), number)


def has_one_app(rows: pl.DataFrame) -> bool:
    """Whether all rows are of one app, as most landings are; also of no rows."""
    apps = rows["app"]
    return not apps.len() or bool((apps == apps[0]).all(ignore_nulls=False))


def rank(texts: pl.Series) -> pl.Series:
    """For each text its place in the order of the distinct ones, from 1; NULL is 0."""
    distinct, number = _numbered(texts)
    return distinct.rank("ordinal").gather(number).fill_null(0)


def _numbered(values: pl.Series) -> tuple[pl.Series, pl.Series]:
    """The distinct values without NULL, and for each value its number among them."""
    encoded = pc.dictionary_encode(values.to_arrow(compat_level=pl.CompatLevel.newest()))
    return pl.Series(encoded.dictionary), pl.Series(encoded.indices).cast(pl.UInt32)
