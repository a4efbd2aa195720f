"""What the tables have in common that are made from others: one file a day, made by one process for all partitions."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import date

    from transforms.lake import Lake, LakeFile

PARTITION: Final = "all"


def day_files(lake: Lake, table: str) -> dict[str, LakeFile]:
    """The file of each date. Of several the newest is ours; there is but one, unless somebody put others there."""
    ours = sorted((file for file in lake.listing(table) if file.partition == PARTITION), key=lambda file: file.sequence)
    return {file.date: file for file in ours}


def sources(lake: Lake, table: str, today: date, keep_days: int | None) -> dict[LakeFile, str]:
    """The files of a table that a derived one is made from, with their stamps.

    Left out is what retention removes; and what is of days to come: of these nothing can be said yet, and one line of
    the year 9999 must not be the newest. Landing goes on meanwhile. Any later version of a file will do, since its
    stamp stays that of the listing; to ask for the very version that was listed would make most runs on S3 fail.
    """
    oldest = (today - timedelta(days=keep_days)).isoformat() if keep_days else ""
    listed = lake.listing(table).items()
    return {replace(file, version=None): stamp for file, stamp in listed if oldest <= file.date <= today.isoformat()}
