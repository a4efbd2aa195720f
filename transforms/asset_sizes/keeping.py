"""Brings the table ``asset_sizes`` up to date with the lake (see the package's docstring for the invariant)."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Final

from ingest.schema import ASSET_SIZES, ROUTER, SIZES_KEY
from transforms.asset_sizes import counting
from transforms.derived import PARTITION, day_files, sources
from transforms.durable import no_fault
from transforms.lake import LakeFile

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import date, datetime

    import polars as pl

    from transforms.durable import Fault
    from transforms.lake import Lake
    from transforms.parquet import Footer

TABLE: Final = ASSET_SIZES.name
# Where each answer has a path of its own, as /users/17.json, its sizes are as many as the requests, and to keep them
# saves nothing. A day with more has no rows, and is read from the router.
ROWS_MAX: Final = 500_000
# With another one all sizes are made again: raise it when the same rows give other sizes.
RULES: Final = 1
_VERSION: Final = [RULES, [column.name for column in ASSET_SIZES.columns]]


@dataclass(frozen=True)
class _Sources:
    """The files that the sizes of a day are made from, with their stamps."""

    of_files: Mapping[LakeFile, str]

    def metadata(self) -> dict[str, str]:
        """As a key-value of a Parquet footer."""
        stamps = sorted((file.name, stamp) for file, stamp in self.of_files.items())
        return {SIZES_KEY: json.dumps([_VERSION, stamps], separators=(",", ":"))}

    def made(self, footer: Footer) -> bool:
        """Whether a file was made from these."""
        return footer.metadata.get(SIZES_KEY) == self.metadata()[SIZES_KEY]


def keep(
    lake: Lake,
    now: datetime,
    *,
    keep_days: int | None = None,
    again: Collection[str] | None = None,
    rows_max: int = ROWS_MAX,
    fault: Fault = no_fault,
) -> list[str]:
    """Make the sizes of days before today that are missing or do not fit the lake's rows any more; gives their dates.

    ``now`` has a time zone. With ``keep_days`` no day is made that retention removes; with ``again`` only those of
    these dates that were made before. Raises LakeLockedError or StaleOwnerError when another process does the same, and
    what else the lake raises; what was made by then stays.
    """
    lake.prepare()
    with lake.own(TABLE, PARTITION):
        kept = day_files(lake, TABLE)
        lake.foresee(kept.values())
        written = []
        for day, files in _days(lake, now.astimezone(UTC).date(), keep_days).items():
            place = kept.get(day)
            is_wanted = again is None or (place is not None and day in again)
            if is_wanted and not (place and files.made(lake.footer(place))):
                rows = _sizes(lake, files.of_files, rows_max)
                lake.publish(place or LakeFile(TABLE, day, PARTITION, 1), rows, files, fault)
                written.append(day)
        lake.settle(TABLE, PARTITION, time.time())
    return written


def _days(lake: Lake, today: date, keep_days: int | None) -> dict[str, _Sources]:
    """The router's files of each day before today."""
    days: dict[str, dict[LakeFile, str]] = defaultdict(dict)
    for file, stamp in sources(lake, ROUTER.name, today, keep_days).items():
        if file.date < today.isoformat():
            days[file.date][file] = stamp
    return {day: _Sources(days[day]) for day in sorted(days)}


def _sizes(lake: Lake, files: Iterable[LakeFile], rows_max: int) -> pl.DataFrame:
    """All rows of a day; none where they are too many."""
    found = counting.EMPTY
    for file in files:
        for rows in lake.pieces(file, counting.COLUMNS):
            found = counting.summed([found, counting.counted(rows)])
            if found.height > rows_max:
                return counting.EMPTY
    return found
