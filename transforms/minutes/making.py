"""Makes the minutes of some hours from the files of the lake, with few rows in memory at a time."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import polars as pl

from transforms.minutes import counting, served
from transforms.minutes.contents import SIDE_TABLES
from transforms.minutes.flights import HOUR_US

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from transforms.lake import Lake, LakeFile
    from transforms.minutes.contents import Content

# Files overlap in time, so a few stay decoded from hour to hour: at most about so many rows, some 15 MB.
HELD_ROWS: Final = 300_000


def make(lake: Lake, hours: Sequence[int], contents: Mapping[LakeFile, Content]) -> Iterator[pl.DataFrame]:
    """The rows of minutes, hour by hour, but for whether the log was there. Raises what the lake does."""
    sides = [
        _side(lake, file, hours)
        for file, content in contents.items()
        if file.table in SIDE_TABLES and any(map(content.touches, hours))
    ]
    router = _Router(lake, hours, {file: held for file, held in contents.items() if file.table == "router"})
    told = pl.concat([counting.of_side("releases", _NO_LINES), *sides], how="diagonal")
    for hour in hours:
        yield counting.joined(router.of(hour), told.filter(pl.col("minute") // 60 == hour))


_NO_LINES: Final = pl.DataFrame(schema={"timestamp": pl.Datetime("us", "UTC"), "app": pl.String})


def _side(lake: Lake, file: LakeFile, hours: Sequence[int]) -> pl.DataFrame:
    rows = lake.read(file, counting.SIDE_COLUMNS[file.table])
    return counting.of_side(file.table, rows.filter(served.HOUR.is_in(list(hours))))


class _Router:
    """The router's rows hour by hour."""

    def __init__(self, lake: Lake, hours: Sequence[int], contents: Mapping[LakeFile, Content]) -> None:
        self._lake = lake
        self._hours = list(hours)
        self._contents = contents
        self._held: OrderedDict[LakeFile, pl.DataFrame] = OrderedDict()

    def of(self, hour: int) -> pl.DataFrame:
        """What the rows that ended in an hour or were in flight in it tell of its minutes."""
        touched = [file for file, content in self._contents.items() if content.touches(hour)]
        found = [rows for file in touched if (rows := self._file(file).filter(_touches(hour))).height]
        # Of months of a load balancer's rows nothing is counted: that must not take 20 ms for each hour.
        return counting.of_router(pl.concat(found), hour) if found else counting.empty()

    def _file(self, file: LakeFile) -> pl.DataFrame:
        rows = self._held.pop(file, None)
        if rows is None:
            is_near = served.HOUR.is_between(self._hours[0], self._hours[-1] + served.LONGEST_HOURS)
            rows = counting.narrowed(self._lake.read(file, counting.ROUTER_COLUMNS), is_near)
        self._held[file] = rows
        while len(self._held) > 1 and sum(each.height for each in self._held.values()) > HELD_ROWS:
            self._held.popitem(last=False)
        return rows


def _touches(hour: int) -> pl.Expr:
    is_later = served.IS_SERVED & served.HOUR.gt(hour) & (served.START_US // HOUR_US).le(hour)
    return served.HOUR.eq(hour) | is_later
