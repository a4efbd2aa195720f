"""Does what should be compressed go out compressed?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queries.report import series
from queries.report.apps import drawn
from queries.report.model import Section
from queries.report.words import counted, named, size

if TYPE_CHECKING:
    from queries.report.asked import Asked


def section(asked: Asked) -> Section:
    """What goes out uncompressed, and what the load balancer's log says of it."""
    answers = (
        asked.answer("uncompressed_assets", "evidence <> 'refuted'"),
        asked.answer("migration_diff", "verdict NOT IN ('no difference shown', 'nothing to compare with')"),
    )
    return Section("compression", "Compression", _sentence(asked), drawn(asked, series.sent), answers)


def _sentence(asked: Asked) -> str:
    rows = [row for row in asked.question("uncompressed_assets") if row["evidence"] != "refuted"]
    if not rows:
        return "Nothing is known to go out uncompressed."
    saving = (
        f"{size(sum(row['saving_low_bytes'] for row in rows))} to {size(sum(row['saving_high_bytes'] for row in rows))}"
    )
    largest = named(max(rows, key=lambda row: row["bytes_sent"])["path"])
    files = counted(len(rows), "file or page", "files and pages")
    return f"{files} went out uncompressed, most of all {largest}; gzip would have saved {saving} in this window."
