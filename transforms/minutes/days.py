"""One UTC day of ``minutes``: what it was made from, what it would be made from now, and its rows."""

from __future__ import annotations

from datetime import date as Date  # noqa: N812 - beside a parameter `date`
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING, Final

import polars as pl

from transforms.derived import PARTITION
from transforms.minutes import counting, record, sums
from transforms.minutes.contents import fingerprint, name_of
from transforms.minutes.coverage import ARRIVAL_MINUTES, DAY
from transforms.minutes.filling import Lines, complete, fill, is_quiet
from transforms.minutes.making import make
from transforms.minutes.runs import Run, merged
from transforms.minutes.spilling import Spill
from transforms.pieces import Pieces

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from transforms.durable import Fault
    from transforms.lake import Lake, LakeFile
    from transforms.minutes.contents import Content
    from transforms.minutes.filling import Filled
    from transforms.minutes.record import Record

TABLE: Final = "minutes"
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
    def lines(self) -> Lines:
        """Lines and losses of the apps by minute."""
        if self.changed or self.record is None:
            return self._made[1]
        lines = Lines(self.minute)
        of_app = ("per", "app", "timestamp", "lines", "lines_lost")
        for rows in takewhile(_has_apps, self._lake.pieces(self._file, of_app)):
            lines.add(_numbered(rows))
        return lines

    @cached_property
    def _made(self) -> tuple[list[Run], Lines]:
        """Rows in which something was, those made again and those that hold still, and the lines by minute.

        The next day's are made before these are written.
        """
        spill, lines, runs = Spill(self._lake.scratch(TABLE, PARTITION)), Lines(self.minute), []
        for rows in make(self._lake, self.changed, self._contents, spill):
            lines.add(rows)
            runs.append(Run([rows], spill))
        return ([*runs, Run(self._held(lines), spill)] if self.record else runs), lines

    def _held(self, lines: Lines) -> Iterator[pl.DataFrame]:
        """The rows that hold still; their lines are added."""
        is_made = (pl.col("minute") // 60).is_in(self.changed) | sums.is_sum()
        holds = ~is_made & ~is_quiet().fill_null(value=False)
        for piece in self._lake.pieces(self._file):
            rows = _numbered(piece).filter(holds).select(counting.EMPTY.columns)
            lines.add(rows)
            yield rows

    def write(self, beside: list[Day], last_lines: Mapping[str, int], fault: Fault) -> None:
        """Put the day's file in place, unless the one that lies there is right."""
        filled = fill(self.lines, [day.lines for day in beside], last_lines, self._now)
        made = record.Record(self._files(), self.hours, filled.digest, filled.last_lines, self.until)
        if made == self.record:
            return
        self._lake.publish(self._file, Pieces(counting.SCHEMA, lambda: self._completed(filled)), made, fault)
        self.record, self.is_written = made, True

    def _completed(self, filled: Filled) -> Iterator[pl.DataFrame]:
        """The day's rows in order, in pieces; the sums are the last."""
        spill, added_up = Spill(self._lake.scratch(TABLE, PARTITION)), []
        for begin, end, rows in merged(self._made[0], filled.cuts):
            piece = complete(pl.concat([counting.EMPTY, *rows]), filled.spans, filled.between(begin, end))
            added_up.append(spill.add(sums.of(piece)))
            yield piece
        yield from map(spill.rows, added_up)

    def forget_rows(self) -> None:
        """Free the memory; the lines by minute stay."""
        self.__dict__.pop("_made", None)


def _numbered(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(minute=pl.col("timestamp").dt.epoch("s") // 60)


def _has_apps(rows: pl.DataFrame) -> bool:
    """Whether rows of apps are among these; in a file they are the first."""
    return rows.height > 0 and rows["per"][0] == "app"
