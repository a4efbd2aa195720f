"""What a process says of its rounds: how many, how they went, and until when it wants to be heard of again. Pure.

A round is a landing, or a look at what is due. Times are seconds since 1970 and arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.figures.exposition import single

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric


@dataclass
class Rounds:
    """The rounds of one process. ``patience_seconds`` after its last sign of life it counts as stuck.

    A sign of life is the end of a round, and also each step within a long one.
    """

    patience_seconds: float
    heard_at: float
    count: int = 0
    failed: int = 0
    ended_at: float | None = None
    good_at: float | None = None
    last_seconds: float | None = None
    all_seconds: float = 0.0

    @property
    def deadline_at(self) -> float:
        """When the process counts as stuck unless it is heard of before."""
        return self.heard_at + self.patience_seconds

    def heard(self, now: float) -> None:
        """Note a sign of life."""
        self.heard_at = now

    def ended(self, seconds: float, now: float, *, is_good: bool) -> None:
        """Note a round that took so long."""
        self.heard_at = self.ended_at = now
        self.count += 1
        self.failed += not is_good
        self.good_at = now if is_good else self.good_at
        self.last_seconds = seconds
        self.all_seconds += seconds


def round_figures(rounds: Rounds, process: str) -> Iterator[Metric]:
    """The families of a process' rounds."""
    gauges = (
        ("drainlake_last_round_timestamp_seconds", "When the last round ended, good or not.", rounds.ended_at),
        ("drainlake_last_good_round_timestamp_seconds", "When the last round without a failure ended.", rounds.good_at),
        ("drainlake_last_round_seconds", "How long the last round took.", rounds.last_seconds),
        (
            "drainlake_stuck_after_timestamp_seconds",
            "When the process counts as stuck or dead, unless it gives a sign of life before.",
            rounds.deadline_at,
        ),
    )
    for name, meaning, value in gauges:
        yield single("gauge", name, meaning, value, process=process)
    counters = (
        ("drainlake_rounds", "Rounds: landings of `land`, looks of `schedule` at what is due.", rounds.count),
        ("drainlake_rounds_failed", "Rounds that failed; the next one tries again.", rounds.failed),
        ("drainlake_rounds_seconds", "Time that rounds took.", rounds.all_seconds),
    )
    for name, meaning, value in counters:
        yield single("counter", name, meaning, value, process=process)
