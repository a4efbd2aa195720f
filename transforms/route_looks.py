"""Remembers what was said of paths by their look: most paths of a landing were there in those before. Pure."""

from __future__ import annotations

from typing import Final

import polars as pl

from transforms.routes import ROUTE_MAX, look_at

LOOKS_MAX: Final = 20_000  # some 4 MB


class Looks:
    """Does what :func:`look_at` does, and does it once.

    Bounded: at most :data:`LOOKS_MAX` paths that are no longer than a route. Those that do not fit in besides take the
    place of all before.
    """

    def __init__(self) -> None:
        self._known = pl.DataFrame(schema={"bare": pl.String, "route": pl.String})

    def __call__(self, bare: pl.Series) -> pl.Series:
        """The route of each path."""
        found = self._find(bare)
        missing = found.is_null()
        if missing.any():
            new = bare.filter(missing)
            routes = look_at(new)
            self._remember(pl.DataFrame({"bare": new, "route": routes}))
            found = found.scatter(missing.arg_true(), routes)
        return found

    def _find(self, bare: pl.Series) -> pl.Series:
        return bare.to_frame("bare").join(self._known, on="bare", how="left", maintain_order="left")["route"]

    def _remember(self, more: pl.DataFrame) -> None:
        more = more.filter(pl.col("bare").str.len_bytes() <= ROUTE_MAX).head(LOOKS_MAX)
        fits = self._known.height + more.height <= LOOKS_MAX
        self._known = pl.concat([self._known, more], rechunk=True) if fits else more
