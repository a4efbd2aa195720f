"""One UTC day of ``minutes``: what it was made from, what it would be made from now, and its rows."""

from __future__ import annotations

from datetime import date as Date  # noqa: N812 - beside a parameter `date`
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING, Final

import polars as pl

from transforms.minutes import counting, record
from transforms.minutes.contents import fingerprint, name_of
from transforms.minutes.coverage import ARRIVAL_MINUTES, DAY
from transforms.minutes.filling import LINES, complete, fill, is_quiet
from transforms.minutes.making import make

if TYPE_CHECKING:
    from collections.abc import Mapping

    from transforms.durable import Fault
    from transforms.lake import Lake, LakeFile
    from transforms.minutes.contents import Content
    from transforms.minutes.record import Record

TABLE: Final = "minutes"
PARTITION: Final = "all"
SLICE_ROWS: Final = 61_440
_EPOCH: Final = Date(1970, 1, 1).toordinal()


def first_minute(date: str) -> int:
    """Minutes from 1970 to the beginning of a date."""
    return (Date.fromisoformat(date).toordinal() - _EPOCH) * DAY


class Day:
    """A day with the files it is made from, ``contents``; of those of the next day its last requests may be."""

    def __init__(
        self, lake: Lake, file: LakeFile, record: Record | None, contents: Mapping[LakeFile, Content], now: int
    ) -> None:
        self._lake = lake
        self._file = file
        self._contents = contents
        self._now = now
        self.date = file.date
        self.minute = first_minute(file.date)
        self.record = record
        self.is_written = False
        hours = range(self.minute // 60, self.minute // 60 + 24)
        found = ((hour, fingerprint(hour, contents.items())) for hour in hours)
        self.hours = {hour: mark for hour, mark in found if mark}
        before = record.hours if record else {}
        self.changed = [hour for hour in hours if self.hours.get(hour) != before.get(hour)]

    @property
    def until(self) -> int:
        """Before this minute of the day all lines have had time to come."""
        return min(self.minute + DAY, self._now - ARRIVAL_MINUTES)

    @property
    def is_due(self) -> bool:
        """Whether its own rows or the time that went by ask for it to be made again."""
        return self.record is None or bool(self.changed) or self.record.until < self.until or self._has_other_stamps

    @property
    def _has_other_stamps(self) -> bool:
        # Of a day that is over the stamps are put right once, so that no later run has to look into its files.
        assert self.record is not None
        is_over = self.until == self.minute + DAY
        return is_over and self.record.files != self._files()

    def _files(self) -> dict[str, Content]:
        return {name_of(file): content for file, content in self._contents.items() if file.date == self.date}

    @cached_property
    def lines(self) -> pl.DataFrame:
        """Lines and losses of the apps by minute, where there are any."""
        if not self.changed and self.record is not None:
            rows = self._lake.read(self._file, ("per", "app", "timestamp", "lines", "lines_lost"))
            return _lines(_numbered(rows))
        return pl.concat([_lines(counting.empty()), *(_lines(_unpacked(piece)) for piece in self._pieces)])

    @cached_property
    def _pieces(self) -> list[BytesIO]:
        """Rows in which something was: those that hold still, and those made again.

        Packed, to a tenth: the next day's are made before these are written, and one day is 60 MB at 200 routes.
        """
        pieces = [_packed(made) for made in make(self._lake, self.changed, self._contents)]
        if self.record is not None:
            holds = ~(pl.col("minute") // 60).is_in(self.changed) & ~is_quiet().fill_null(value=False)
            # Slices are views: filtered as a whole the day would be in memory twice.
            old = self._lake.read(self._file).iter_slices(SLICE_ROWS)
            pieces += [_packed(_numbered(some).filter(holds).select(counting.empty().columns)) for some in old]
        return pieces

    def write(self, beside: list[Day], last_lines: Mapping[str, int], fault: Fault) -> None:
        """Put the day's file in place, unless the one that lies there is right."""
        filled = fill(self.minute, [day.lines for day in (self, *beside)], last_lines, self._now)
        made = record.Record(self._files(), self.hours, filled.digest, filled.last_lines, self.until)
        if made == self.record:
            return
        rows = complete(pl.concat([counting.empty(), *map(_unpacked, self._pieces)]), filled)
        self._lake.publish(self._file, rows, made, fault)
        self.record, self.is_written = made, True

    def forget_rows(self) -> None:
        """Free the memory; the lines by minute stay."""
        self.__dict__.pop("_pieces", None)


def _numbered(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(minute=pl.col("timestamp").dt.epoch("s") // 60)


def _lines(rows: pl.DataFrame) -> pl.DataFrame:
    has_some = (pl.col("lines") > 0) | (pl.col("lines_lost") > 0)
    return rows.filter((pl.col("per") == "app") & has_some).select(LINES)


def _packed(rows: pl.DataFrame) -> BytesIO:
    packed = BytesIO()
    rows.write_ipc(packed, compression="zstd")
    return packed


def _unpacked(packed: BytesIO) -> pl.DataFrame:
    packed.seek(0)
    return pl.read_ipc(packed)
