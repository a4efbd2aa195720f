"""Brings the table ``minutes`` up to date with the lake (see the package's docstring for the invariant)."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, timedelta
from datetime import date as Date  # noqa: N812 - beside variables named `date`
from typing import TYPE_CHECKING, Final

from transforms.derived import PARTITION, day_files, sources
from transforms.durable import no_fault
from transforms.lake import LakeFile
from transforms.minutes import record
from transforms.minutes.contents import TABLES, look, name_of
from transforms.minutes.days import TABLE, Day
from transforms.minutes.filling import SILENT_DAYS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from transforms.durable import Fault
    from transforms.lake import Lake
    from transforms.minutes.contents import Content
    from transforms.minutes.record import Record

_ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class Kept:
    """What a run did: days looked at, the dates written, and how many of their hours were made."""

    days: int
    written: tuple[str, ...]
    hours: int


def keep(lake: Lake, now: datetime, *, keep_days: int | None = None, fault: Fault = no_fault) -> Kept:
    """Make the minutes that are missing or do not fit the lake's rows any more.

    ``now`` has a time zone. With ``keep_days`` no day is made that retention removes. Raises LakeLockedError or
    StaleOwnerError when another process does the same, and what else the lake raises; the lake is whole then, and a
    later run does the rest.
    """
    lake.prepare()
    with lake.own(TABLE, PARTITION):
        run = _Run(lake, now.astimezone(UTC), keep_days, fault)
        kept = run.all_days()
        lake.settle(TABLE, PARTITION, time.time())
    return kept


class _Run:
    def __init__(self, lake: Lake, now: datetime, keep_days: int | None, fault: Fault) -> None:
        self._lake = lake
        self._now_minute = int(now.timestamp()) // 60
        self._today = now.date()
        self._fault = fault
        # Landing goes on meanwhile. Any later version of a file will do, since its stamp stays that of the listing; to
        # ask for the very version that was listed would make most runs on S3 fail.
        self._sources: dict[str, dict[LakeFile, str]] = defaultdict(dict)
        for table in TABLES:
            for file, stamp in sources(lake, table, self._today, keep_days).items():
                self._sources[file.date][file] = stamp
        self._dates = sorted({*self._sources, *_silent_dates(self._sources, self._today)})
        self._files = day_files(lake, TABLE)
        lake.foresee(self._files.values())
        self._records: dict[str, Record | None] = {}
        self._contents: dict[str, dict[LakeFile, Content]] = {}

    def all_days(self) -> Kept:
        """Go through the days in order, each with the one before and the one after at hand."""
        written, hours = [], 0
        before: Day | None = None
        current = self._day(self._dates[0]) if self._dates else None
        for date in [*self._dates[1:], None]:
            if current is None:
                break  # the lake is empty
            following = self._day(date) if date else None
            beside = [day for day in (before, following) if day and _are_neighbours(day, current)]
            last_lines = _last_lines(before, current)
            # What lies beside it changes where it is covered, and the day before what it begins with.
            touched = any(day.is_written or day.changed for day in beside)
            is_nothing = not (current.hours or current.record or last_lines)
            if not is_nothing and (current.is_due or touched):
                current.write(beside, last_lines, self._fault)
            if current.is_written:
                written.append(current.date)
                hours += len(current.changed)
            current.forget_rows()
            before, current = current, following
        return Kept(len(self._dates), tuple(written), hours)

    def _day(self, date: str) -> Day:
        known, contents = self._record(date), dict(self._contents_of(date))
        following = (Date.fromisoformat(date) + _ONE_DAY).isoformat()
        contents |= {file: held for file, held in self._contents_of(following).items() if held.begun}
        self._contents = {following: self._contents[following]}
        file = self._files.get(date) or LakeFile(TABLE, date, PARTITION, 1)
        return Day(self._lake, file, known, contents, self._now_minute)

    def _contents_of(self, date: str) -> dict[LakeFile, Content]:
        if date not in self._contents:
            made = self._record(date)
            known = made.files if made else {}
            files = self._sources.get(date, {}).items()
            self._contents[date] = {
                file: look(self._lake, file, stamp, known.get(name_of(file))) for file, stamp in files
            }
        return self._contents[date]

    def _record(self, date: str) -> Record | None:
        if date not in self._records:
            file = self._files.get(date)
            self._records = {key: value for key, value in self._records.items() if key >= date}
            self._records[date] = record.read(self._lake.footer(file).metadata) if file else None
        return self._records[date]


def _silent_dates(dates: Iterable[str], today: Date) -> Iterable[str]:
    """The days after each on which an app that went silent still has rows."""
    for date in dates:
        for days in range(1, SILENT_DAYS + 1):
            following = Date.fromisoformat(date) + timedelta(days=days)
            if following <= today:
                yield following.isoformat()


def _are_neighbours(one: Day, other: Day) -> bool:
    return abs(Date.fromisoformat(one.date) - Date.fromisoformat(other.date)) == _ONE_DAY


def _last_lines(before: Day | None, day: Day) -> dict[str, int]:
    """Each app's last line before a day, if it is not too long ago."""
    if before is None or before.record is None or not _are_neighbours(before, day):
        return {}
    return dict(before.record.last_lines)
