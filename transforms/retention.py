"""Removes whole date folders that are older than the operator wants to keep them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from transforms.parquet import SCHEMAS

if TYPE_CHECKING:
    from datetime import date

    from transforms.lake import Lake


def remove_old(lake: Lake, keep_days: int, today: date) -> list[str]:
    """Remove every date folder more than ``keep_days`` days before ``today`` (UTC).

    Gives `table/date` of each. A folder leaves the globs by one rename, so no reader lists half of it. The
    sentinels stay, so a table that loses its last day still answers with no rows. On S3 a day goes file by file.
    Raises LakeLockedError if another process is at it.
    """
    if keep_days < 1:
        raise ValueError(f"keep_days is {keep_days}; it must be at least 1, or leave it out to keep everything")
    oldest_kept = (today - timedelta(days=keep_days)).isoformat()
    removed = []
    for table in SCHEMAS:
        for day in lake.dates(table):
            if day < oldest_kept:
                lake.remove_date(table, day)
                removed.append(f"{table}/{day}")
    return removed
