"""What the landing loop tells of its rounds becomes figures; with them goes how far landing is behind."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING, Final

from drainlake.figures.land import LandFigures, lags_by_table, land_figures
from ingest.eventlog.contract import LogUnavailable
from ingest.eventlog.standing import read_standing
from ingest.figures.surroundings import standing_lags

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import Metric

    from drainlake.figures.own_file import Vitals
    from drainlake.settings import Settings
    from ingest.eventlog.contract import EventLog
    from transforms.lander import Round

LANDINGS: Final = 10  # that may be missed, and then some time for a bite of a backlog
SLACK_SECONDS: Final = 300.0
KAFKA_SECONDS: Final = 15.0  # between two measurements of the lag: each asks all brokers


class LandWatch:
    """What ``transforms.lander`` tells of its rounds becomes figures."""

    def __init__(self, settings: Settings, log: EventLog) -> None:
        self._settings = settings
        self._log = log
        self._figures = LandFigures()
        self._measured = float("-inf")
        self.vitals: Vitals | None = None

    @property
    def patience_seconds(self) -> float:
        """How long a lander may be silent. A failed round is none: a restart would not mend what it failed by."""
        return LANDINGS * self._settings.land_seconds + SLACK_SECONDS

    def families(self, process: str) -> Iterable[Metric]:
        """The lander's own figures."""
        return land_figures(self._figures, process)

    def progressed(self, table: str, rows: int) -> None:
        """A bite was landed: a sign of life, as a backlog can take an hour."""
        self._figures.progressed(table, rows, time.time())
        if self.vitals is not None:
            self.vitals.heard()

    def ended(self, done: Round) -> None:
        """A round ended."""
        self._figures.ended(done)
        self._measure()
        if self.vitals is not None:
            self.vitals.ended(done.seconds, is_good=done.is_good)

    def _measure(self) -> None:
        if self._settings.kafka is None:
            try:
                standing = read_standing(self._settings.log)
            except sqlite3.Error:
                self._figures.lags = None
                return
            self._figures.lags = standing_lags(standing, time.time())
        elif time.monotonic() - self._measured >= KAFKA_SECONDS:
            self._measured = time.monotonic()
            try:
                self._figures.lags = lags_by_table(self._log.backlog(), time.time())
            except LogUnavailable:
                self._figures.lags = None
