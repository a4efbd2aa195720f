"""What ``land`` counts: rows, files and days, and how far it is behind. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ingest.figures.exposition import family, single
from ingest.figures.surroundings import lag_families
from ingest.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from prometheus_client import Metric

    from ingest.eventlog.contract import Lag
    from transforms.lander import Round


@dataclass
class LandFigures:
    """Counted since the process began. ``lags`` is entries and age by table, None while it is not known."""

    rows: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(TABLES, 0)))
    files: int = 0
    removed_days: int = 0
    forgotten_parts: int = 0
    landed_at: float | None = None
    lags: Mapping[str, tuple[int, float]] | None = None

    def progressed(self, table: str, rows: int, now: float) -> None:
        """A bite of a table was landed."""
        self.rows[table] += rows
        self.landed_at = now

    def ended(self, done: Round) -> None:
        """A round ended."""
        self.files += done.landed.files if done.landed is not None else 0
        self.removed_days += len(done.removed)
        self.forgotten_parts = done.forgotten


def land_figures(figures: LandFigures, process: str) -> Iterator[Metric]:
    """The families of one lander; those of the lag are of the whole log, whichever lander measured it."""
    yield family(
        "counter", "drainlake_landed_rows", "Log lines landed in the lake, by table.",
        (({"table": table, "process": process}, rows) for table, rows in figures.rows.items()),
    )  # fmt: skip
    counters = (
        ("drainlake_landed_files", "Files of the lake that were written, rewritten ones among them.", figures.files),
        (
            "drainlake_retention_removed_days",
            "Days of tables that were removed because of DRAINLAKE_KEEP_DAYS.",
            figures.removed_days,
        ),
        (
            "drainlake_landing_parts_forgotten",
            "Parts of deliveries that landing forgot within five minutes, to make room for others.",
            figures.forgotten_parts,
        ),
    )
    for name, meaning, value in counters:
        yield single("counter", name, meaning, value, process=process)
    yield from lag_families(figures.lags or {}, figures.landed_at)


def lags_by_table(lags: Sequence[Lag], now: float) -> dict[str, tuple[int, float]]:
    """Entries that wait and the age of the oldest in seconds, over the partitions of each table."""
    found = dict.fromkeys(TABLES, (0, 0.0))
    for lag in lags:
        entries, age = found[lag.table]
        own_age = max(0.0, now - lag.oldest_appended_at) if lag.oldest_appended_at is not None else 0.0
        found[lag.table] = (entries + lag.entries, max(age, own_age))
    return found
