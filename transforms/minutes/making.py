"""Makes the minutes of some hours from the files of the lake, with few rows in memory at a time."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from typing import TYPE_CHECKING, Final

import polars as pl

from ingest.schema import ROUTER
from transforms.minutes import counting, served, sides
from transforms.minutes.contents import SIDE_TABLES
from transforms.minutes.counting import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from transforms.lake import Lake, LakeFile
    from transforms.minutes.contents import Content
    from transforms.minutes.spilling import Place, Spill

    Contents = Mapping[LakeFile, Content]

# Files overlap in time, so a few stay decoded from one span of hours to the next: at most about so many rows, 15 MB.
HELD_ROWS: Final = 300_000
# Hours of so many rows are counted at once: for each time that is done a fixed price is paid, and memory for each row.
SPAN_ROWS: Final = 100_000


def make(lake: Lake, hours: Sequence[int], contents: Contents, spill: Spill) -> Iterator[pl.DataFrame]:
    """The rows of minutes of spans of hours, as ``counting.of_hours`` gives them. Raises what the lake does."""
    spans = [*_spans(hours, contents)]
    router = _Router(lake, spans, {file: held for file, held in contents.items() if file.table == "router"})
    told = _sides(lake, spans, {file: held for file, held in contents.items() if file.table in SIDE_TABLES}, spill)
    for span in spans:
        of_sides = sides.with_losses(pl.concat([_NOTHING, *map(spill.rows, told.get(span, ()))]))
        yield from counting.of_hours(router.of(span), of_sides, span)


_NO_REQUESTS: Final = counting.narrowed(
    pl.DataFrame(schema=pl.Schema(ROUTER.arrow)).select(counting.ROUTER_COLUMNS), pl.lit(value=True)
)
_NOTHING: Final = sides.of_side(
    "releases", pl.DataFrame(schema={"timestamp": pl.Datetime("us", "UTC"), "app": pl.String})
)


def _spans(hours: Sequence[int], contents: Contents) -> Iterator[range]:
    """The hours, together where they follow each other and few rows are in them."""
    span, rows = range(0), 0
    for hour in hours:
        more = sum(held.hours.get(hour, 0) + held.begun.get(hour, 0) for held in contents.values())
        if span and (hour != span.stop or rows + more > SPAN_ROWS):
            yield span
            span, rows = range(0), 0
        span, rows = range(span.start if span else hour, hour + 1), rows + more
    if span:
        yield span


def _sides(lake: Lake, spans: Sequence[range], contents: Contents, spill: Spill) -> dict[range, list[Place]]:
    """What the other tables tell of each span; of a thousand apps it would be some hundred MB in memory."""
    told = defaultdict(list)
    for file, content in contents.items():
        if touched := [span for span in spans if any(map(content.touches, span))]:
            is_wanted = served.HOUR.is_in([hour for span in touched for hour in span])
            rows = sides.of_side(file.table, lake.read(file, sides.SIDE_COLUMNS[file.table]).filter(is_wanted))
            for span in touched:
                told[span].append(spill.add(rows.filter(Span.of_hours(span).holds)))
    return told


class _Router:
    """The router's rows by spans of hours."""

    def __init__(self, lake: Lake, spans: Sequence[range], contents: Contents) -> None:
        self._lake = lake
        self._is_near = served.HOUR.is_between(spans[0].start, spans[-1].stop + served.LONGEST_HOURS) if spans else None
        self._contents = contents
        self._held: OrderedDict[LakeFile, pl.DataFrame] = OrderedDict()

    def of(self, span: range) -> pl.DataFrame:
        """The rows that ended in a span or were in flight in it."""
        touched = [file for file, content in self._contents.items() if any(map(content.touches, span))]
        return pl.concat([_NO_REQUESTS, *(self._file(file).filter(Span.of_hours(span).touches) for file in touched)])

    def _file(self, file: LakeFile) -> pl.DataFrame:
        rows = self._held.pop(file, None)
        if rows is None:
            assert self._is_near is not None
            rows = counting.narrowed(self._lake.read(file, counting.ROUTER_COLUMNS), self._is_near)
        self._held[file] = rows
        while len(self._held) > 1 and sum(each.height for each in self._held.values()) > HELD_ROWS:
            self._held.popitem(last=False)
        return rows
