"""What a file of the lake holds, hour by hour, so that it shows whether minutes were made from it as it is now.

Hours are numbered from 1970 on.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from transforms.minutes import served
from transforms.minutes.flights import HOUR_US
from transforms.parquet import ERASED_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from transforms.lake import Lake, LakeFile

Counts = dict[int, int]
# Of these come the minutes, the router's besides. Deliveries tell only of their last line's time.
SIDE_TABLES: Final = ("access", "php", "platform", "samples", "releases", "lines")
TABLES: Final = ("router", *SIDE_TABLES)


@dataclass(frozen=True)
class Content:
    """What one file holds: ``rows`` in all, ``hours`` with the rows in each.

    ``begun`` has for an hour the requests that ended in a later one and were in flight in it: its peaks need them.
    ``routes`` names the rules that the rows' routes were found by, and how many rows were erased; ``stamp`` is the
    lake's for this file.
    """

    stamp: str
    rows: int
    routes: str
    hours: Counts
    begun: Counts

    def touches(self, hour: int) -> bool:
        """Whether the minutes of an hour are made from this file."""
        return hour in self.hours or hour in self.begun

    def to_json(self) -> list[Any]:
        """As a list for JSON."""
        return [self.stamp, self.rows, self.routes, [*self.hours.items()], [*self.begun.items()]]

    @classmethod
    def from_json(cls, stored: list[Any]) -> Content:
        """From such a list."""
        stamp, rows, routes, hours, begun = stored
        return cls(stamp, rows, routes, dict(hours), dict(begun))


def look(lake: Lake, file: LakeFile, stamp: str, known: Content | None) -> Content:
    """What a file holds; not read again if it has the rows that are known of it. Raises what the lake does."""
    if known is not None and known.stamp == stamp:
        return known
    footer = lake.footer(file)
    routes = footer.metadata.get("drainlake.routes", "") if file.table == "router" else ""
    if erased := footer.metadata.get(ERASED_KEY):
        routes += f" {erased} erased"  # so many rows are gone, and others may have come in their place
    if known is not None and (known.rows, known.routes) == (footer.rows, routes):
        return replace(known, stamp=stamp)
    is_router = file.table == "router"
    rows = lake.read(file, served.COLUMNS if is_router else ("timestamp",))
    hours = _counted(rows.select(served.HOUR.alias("hour"))["hour"])
    return Content(stamp, footer.rows, routes, hours, _begun(rows) if is_router else {})


def _counted(hours: pl.Series) -> Counts:
    numbers, counts = np.unique(hours.to_numpy(), return_counts=True)
    return dict(zip(numbers.tolist(), counts.tolist(), strict=True))


def _begun(rows: pl.DataFrame) -> Counts:
    """For each hour the requests in flight in it that ended later. A request reaches back LONGEST_HOURS at most."""
    spans = (
        rows.filter(served.IS_SERVED)
        .select(first=served.START_US // HOUR_US, last=served.HOUR)
        .filter(pl.col("first") < pl.col("last"))
        .group_by("first", "last")
        .len()
    )
    begun: Counts = {}
    for first, last, count in spans.iter_rows():
        for hour in range(first, last):
            begun[hour] = begun.get(hour, 0) + count
    return dict(sorted(begun.items()))


def name_of(file: LakeFile) -> str:
    """A file's name within its date."""
    return f"{file.table}/{file.name}"


def fingerprint(hour: int, contents: Iterable[tuple[LakeFile, Content]]) -> str:
    """What an hour's minutes are made from; empty if that is nothing. Equal ones mean equal rows.

    That holds because a file only ever gains rows, until its date is removed as a whole; what is erased from it is
    counted.
    """
    parts = sorted(
        f"{file.date}/{name_of(file)} {content.hours.get(hour, 0)} {content.begun.get(hour, 0)} {content.routes}"
        for file, content in contents
        if content.touches(hour)
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16] if parts else ""
