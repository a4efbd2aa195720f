"""What the receiver shows besides its own counters: the event log, the disk, and the other processes of the host.

Landing lag is read from the log itself where the log is on this host: what a dead lander wrote last would say for ever
that all is well. So the lag that landers write is left out then.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ingest.eventlog.standing import read_standing
from ingest.figures.exposition import family, single
from ingest.figures.files import read_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from prometheus_client import Metric

    from ingest.eventlog.standing import LogStanding, Waiting
    from ingest.figures.apps import AppFigures

KEEP_SECONDS: Final = 1.0  # scrapes within this share an answer: who scrapes in a loop costs no more
SOURCES: Final = ("log", "disk", "file_broken", "file_too_many", "series_twice")
LAG_NAMES: Final = frozenset(
    {
        "drainlake_landing_lag_seconds",
        "drainlake_landing_waiting_entries",
        "drainlake_last_landed_timestamp_seconds",
    }
)


@dataclass(frozen=True)
class Place:
    """Where things lie. ``folder`` holds the other processes' files; the log is the ``log_path`` file or Kafka."""

    log_path: Path
    budget_bytes: int
    is_embedded: bool
    folder: Path | None = None
    drains: tuple[str, ...] = ()


class Surroundings:
    """Reads it all when asked, from any thread, one at a time."""

    def __init__(self, place: Place, apps: AppFigures) -> None:
        self._place = place
        self._apps = apps
        self._lock = threading.Lock()
        self._errors = Counter(dict.fromkeys(SOURCES, 0))
        self._kept: list[Metric] = []
        self._kept_until = 0.0

    def families(self) -> list[Metric]:
        """The figures, at most ``KEEP_SECONDS`` old."""
        with self._lock:
            if time.monotonic() >= self._kept_until:
                self._kept = [*self._read()]
                self._kept_until = time.monotonic() + KEEP_SECONDS
            return self._kept

    def count_error(self, source: str, count: int = 1) -> None:
        """Something was left out of a scrape."""
        self._errors[source] += count

    def errors(self) -> Metric:
        """What was left out of this process's scrapes until now."""
        meaning = "What was left out of scrapes because it could not be read, by source."
        return family(
            "counter", "drainlake_scrape_errors", meaning,
            (({"source": source}, float(count)) for source, count in self._errors.items()),
        )  # fmt: skip

    def _read(self) -> Iterator[Metric]:
        self._apps.know(self._place.drains)
        yield from self._log()
        yield from self._disk()
        yield from self._files()

    def _log(self) -> Iterator[Metric]:
        budget = "Disk budget of the event log (DRAINLAKE_SPOOL_MAX_BYTES); past it deliveries are refused."
        yield single("gauge", "drainlake_log_budget_bytes", budget, self._place.budget_bytes)
        try:
            standing = read_standing(self._place.log_path)
        except sqlite3.Error:
            self.count_error("log")
            return
        self._apps.know(standing.apps)
        used = "Bytes of the event log's file that are in use, entries that were landed of late among them."
        yield single("gauge", "drainlake_log_used_bytes", used, standing.used_bytes)
        if self._place.is_embedded:
            yield from lag_families(standing_lags(standing, time.time()), standing.landed_at)

    def _disk(self) -> Iterator[Metric]:
        try:
            usage = shutil.disk_usage(self._place.log_path.parent)
        except OSError:
            self.count_error("disk")
            return
        yield single("gauge", "drainlake_disk_free_bytes", "Free bytes of the disk with the event log.", usage.free)
        yield single("gauge", "drainlake_disk_size_bytes", "Size of the disk with the event log.", usage.total)

    def _files(self) -> Iterator[Metric]:
        if self._place.folder is None:
            return
        found = read_folder(self._place.folder)
        self._errors.update(found.left_out)
        for families in found.families.values():
            yield from (each for each in families if not (self._place.is_embedded and each.name in LAG_NAMES))


def lag_families(lags: Mapping[str, tuple[int, float]], landed_at: float | None) -> Iterator[Metric]:
    """Entries that wait and the age of the oldest in seconds, by table, and when landing last came forward."""
    yield family(
        "gauge", "drainlake_landing_lag_seconds", "Age of the oldest entry that is not landed yet; 0 where none waits.",
        (({"table": table}, age) for table, (_, age) in lags.items()),
    )  # fmt: skip
    yield family(
        "gauge", "drainlake_landing_waiting_entries", "Entries of the event log that are not landed yet.",
        (({"table": table}, entries) for table, (entries, _) in lags.items()),
    )  # fmt: skip
    landed = "When landing last brought rows into the lake; there is no sample before the first time."
    yield single("gauge", "drainlake_last_landed_timestamp_seconds", landed, landed_at)


def standing_lags(standing: LogStanding, now: float) -> dict[str, tuple[int, float]]:
    """By table, entries that wait and the age of the oldest in seconds."""
    return {table: (each.entries, _age(each, now)) for table, each in standing.waiting.items()}


def _age(waiting: Waiting, now: float) -> float:
    return max(0.0, now - waiting.oldest_at) if waiting.oldest_at is not None else 0.0
