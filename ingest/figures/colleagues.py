"""The figures of a receiver that several workers make up: any of them shows the whole.

Each leaves its figures on the board every ``PUBLISH_SECONDS``, and at once when it is asked for the whole. What is
shown is read from the board alone, also what the asked one counted itself. So a counter never goes back from one scrape
to the next, whichever workers answer: to Prometheus that would look like a restart, and a rate like a peak. (Who asks
more than ten times a second is answered what was shown before, by each worker for itself.)

A worker goes on from what the one before it in its row had counted. After ``kill -9`` the figures, not the deliveries,
of its last moments are missing. Gauges of one that left nothing for ``SILENT_SECONDS`` are left out.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from prometheus_client.parser import text_string_to_metric_families

from ingest.figures.adding import add_up, counted
from ingest.figures.exposition import merge, render, single
from ingest.figures.process import process_figures
from ingest.workers import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client import Metric

    from ingest.figures.board import Board

PUBLISH_SECONDS: Final = 1.0
SILENT_SECONDS: Final = 10.0


class Colleagues:
    """The board as one worker sees it; ``number`` counts from 1. Safe to use from several threads."""

    def __init__(self, board: Board, number: int, version: str) -> None:
        self._board = board
        self._row = number - 1
        self._process = f"serve-{number}"
        self._version = version
        self._lock = threading.Lock()
        self._before = counted(_parse(board.read(self._row)))
        self._unread = 0

    def publish(self, own: Callable[[], Iterable[Metric]]) -> None:
        """Leave this worker's figures for the others. Raises what ``own`` does; it is alive all the same."""
        with self._lock:
            self._board.live(self._row, time.monotonic())
            families = add_up([self._before, [*own(), *self._vitals()]])
            if not self._board.write(self._row, render(merge(families)[0]), time.monotonic()):
                self._unread += 1

    def whole(self, own: Callable[[], Iterable[Metric]]) -> list[Metric]:
        """The figures of all workers, these ones fresh, the others' at most ``PUBLISH_SECONDS`` old."""
        self.publish(own)
        return add_up([self._figures(row) for row in range(self._board.rows)])

    def hold(self, connections: int) -> None:
        """This worker holds so many connections."""
        self._board.hold(self._row, connections)

    def is_our_turn(self, connections: int) -> bool:
        """Whether no other worker that lives holds fewer connections than this one, which holds so many."""
        now = time.monotonic()
        self.hold(connections)
        return all(
            connections <= self._board.connections(row) or self._board.silent_seconds(row, now) > SILENT_SECONDS
            for row in range(self._board.rows)
            if row != self._row
        )

    def _figures(self, row: int) -> list[Metric]:
        found = _parse(self._board.read(row))
        if row != self._row and self._board.silent_seconds(row, time.monotonic()) > SILENT_SECONDS:
            return counted(found) + [each for each in found if each.name == "drainlake_stuck_after_timestamp_seconds"]
        return found

    def _vitals(self) -> Iterable[Metric]:
        process = self._process
        yield from process_figures(process, self._version)
        starts = "Times that a worker was started; past the first time in place of one that had died."
        yield single("counter", "drainlake_worker_starts", starts, 1.0, process=process)
        stuck = "When the process counts as stuck or dead, unless it gives a sign of life before."
        yield single(
            "gauge", "drainlake_stuck_after_timestamp_seconds", stuck, time.time() + PATIENCE_SECONDS, process=process
        )
        unread = "Times that a worker's figures were too large for the others to see."
        yield single("counter", "drainlake_worker_figures_unwritten", unread, self._unread, process=process)


def _parse(figures: bytes | None) -> list[Metric]:
    return list(text_string_to_metric_families(figures.decode())) if figures is not None else []
