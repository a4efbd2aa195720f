"""Memory, open files and files on disk, looked at every second."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.soak.world import World

RESIDENT_MAX_MB: Final = 400
MEBIBYTE: Final = 1 << 20


@dataclass(frozen=True)
class Sample:
    """What one process took at a moment; ``lived_seconds`` since its start."""

    seconds: float
    part: str
    pid: int
    resident_mb: float
    open_files: int
    lived_seconds: float


@dataclass
class Watch(threading.Thread):
    """Samples until ``ending`` is set."""

    world: World
    ending: threading.Event
    samples: list[Sample] = field(default_factory=list)
    log_mb: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(name="watch", daemon=True)
        self._began = time.monotonic()

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        """One look a second."""
        while not self.ending.wait(1.0):
            self.samples += self._look()
            files = self.world.home.glob("log.db*")
            self.log_mb.append(sum(size_bytes(file) for file in files) / MEBIBYTE)

    def _look(self) -> Iterator[Sample]:
        for part, process in self.world.processes().items():
            try:
                with process.oneshot():
                    yield Sample(
                        time.monotonic() - self._began,
                        part,
                        process.pid,
                        process.memory_info().rss / MEBIBYTE,
                        process.num_fds(),
                        time.time() - process.create_time(),
                    )
            except psutil.NoSuchProcess:
                continue

    def peak_mb(self, part: str) -> float:
        """The most a part took."""
        return max((sample.resident_mb for sample in self.samples if sample.part == part), default=0.0)

    def peak_files(self, part: str) -> int:
        """The most files and sockets a part had open."""
        return max((sample.open_files for sample in self.samples if sample.part == part), default=0)

    def growth_mb(self, part: str) -> float:
        """How much the peaks of a part's lives grew from the first half of the soak to the second."""
        mine = [sample for sample in self.samples if sample.part == part]
        half = max((sample.seconds for sample in mine), default=0.0) / 2
        early = [sample.resident_mb for sample in mine if sample.seconds <= half]
        late = [sample.resident_mb for sample in mine if sample.seconds > half]
        return max(late, default=0.0) - max(early, default=0.0)


def size_bytes(file: object) -> int:
    """A file's size; 0 for one that is gone."""
    try:
        return int(file.stat().st_size)  # type: ignore[attr-defined]
    except FileNotFoundError:
        return 0
