"""The figures of ``land`` and ``schedule``, as a file in the home and, if asked for, on a port of their own.

Each process has a file of its own in ``metrics/`` of the home: ``land.prom``, a second one beside it ``land-2.prom``.
The name is taken with a lock, which ends with the process, so a process that was killed leaves its name to the next
one. Its last file stays, and tells by ``drainlake_stuck_after_timestamp_seconds`` that nothing is heard of it any more;
an asked-for end takes the file away. A kill while it is written leaves the file before and a temporary, which the next
owner of the name sweeps away.

Nothing here may stop the work that it tells of: a file that cannot be written is counted and written again later.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Final

from drainlake import __version__
from drainlake.figures.rounds import Rounds, round_figures
from ingest.figures.exposition import merge, render, single
from ingest.figures.files import ENDING, FILE_BYTES_MAX, FILES_MAX, read_file
from ingest.figures.process import process_figures
from ingest.sole import sole
from transforms.durable import make_folder, publish_bytes, sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from prometheus_client import Metric

WRITE_SECONDS: Final = 2.0  # within a round; at its end the file is written in any case
OLD_SECONDS: Final = 3600.0
REPORTS: Final = "reports"  # what the ledger says; whoever looked last writes it


@contextmanager
def own_file(folder: Path, process: str) -> Iterator[Path | None]:
    """A file that no other process writes, removed at the end; None where there can be none."""
    with _lock(folder, process) as path:
        if path is not None:
            with suppress(OSError):
                sweep(_scratch(path))
        try:
            yield path
        finally:
            if path is not None:
                path.unlink(missing_ok=True)


@contextmanager
def _lock(folder: Path, process: str) -> Iterator[Path | None]:
    try:
        make_folder(folder)
    except OSError:
        yield None
        return
    for number in range(1, FILES_MAX):
        name = process if number == 1 else f"{process}-{number}"
        with ExitStack() as held:
            try:
                is_ours = held.enter_context(sole(folder / f".{name}.lock"))
            except OSError:
                is_ours = False
            if is_ours:
                yield folder / f"{name}{ENDING}"
                return
    yield None


def write(path: Path, families: Iterable[Metric]) -> None:
    """Put the families into a file, whole or not at all; raises OSError."""
    data = render(merge(families)[0])
    if len(data) <= FILE_BYTES_MAX:
        publish_bytes(path, _scratch(path), data)


def sweep_old(path: Path) -> None:
    """Remove what killed writers of a file left behind that has no owner; nobody writes for as long as an hour."""
    with suppress(OSError):
        for left in _scratch(path).iterdir():
            if time.time() - left.stat().st_mtime > OLD_SECONDS:
                left.unlink(missing_ok=True)


def _scratch(path: Path) -> Path:
    return path.parent / f".{path.stem}.scratch"


class Vitals:
    """The signs of life of one process. Safe to use from several threads.

    ``make`` gives the families of its own figures for the name of the process.
    """

    def __init__(
        self, path: Path | None, process: str, patience_seconds: float, make: Callable[[str], Iterable[Metric]]
    ) -> None:
        self._path = path
        self._process = path.stem if path is not None else process
        self._make = make
        self._lock = threading.Lock()
        self._rounds = Rounds(patience_seconds, time.time())
        self._written = float("-inf")
        self._unwritten = 0
        self.refused_connections: Callable[[], int] = lambda: 0
        self.heard()

    def heard(self) -> None:
        """The work goes on."""
        with self._lock:
            self._rounds.heard(time.time())
            if time.monotonic() - self._written >= WRITE_SECONDS:
                self._write()

    def ended(self, seconds: float, *, is_good: bool) -> None:
        """A round has ended that took so long."""
        with self._lock:
            self._rounds.ended(seconds, time.time(), is_good=is_good)
            self._write()

    def trouble(self) -> str | None:
        """Why this process should be started again; None while it is well."""
        silent = time.time() - self._rounds.deadline_at
        if silent <= 0:
            return None
        return f"{self._process} gave no sign of life for {silent + self._rounds.patience_seconds:.0f} s"

    def exposition(self) -> bytes:
        """All families as text, with those of the ledger if this home has them."""
        with self._lock:
            families = self._families()
        if self._path is not None:
            with suppress(Exception):  # it is not there yet, or broken: the others are shown all the same
                families += read_file(self._path.with_name(f"{REPORTS}{ENDING}"))
        return render(merge(families)[0])

    def _families(self) -> list[Metric]:
        process = self._process
        unwritten = "Times that the file of figures could not be written."
        refused = "Connections to DRAINLAKE_METRICS_PORT that were closed because too many were open."
        return [
            *process_figures(process, __version__),
            *round_figures(self._rounds, process),
            *self._make(process),
            single("counter", "drainlake_figures_unwritten", unwritten, self._unwritten, process=process),
            single(
                "counter", "drainlake_metrics_connections_refused", refused, self.refused_connections(), process=process
            ),
        ]

    def _write(self) -> None:
        if self._path is None:
            return
        self._written = time.monotonic()
        try:
            write(self._path, self._families())
        except OSError:  # the disk is full perhaps, which the receiver's figures tell
            self._unwritten += 1
