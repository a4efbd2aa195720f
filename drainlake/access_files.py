"""A report on access logs as they lie in files: parsed by all processors, added up, told. Nothing is stored.

Lines stream through. What is held is a few pieces of text, their rows, and sums of what differs in them.
"""

from __future__ import annotations

import os
import shlex
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import click
import pyarrow as pa

from drainlake.access_pieces import EXAMPLES_MAX, pieces
from drainlake.errors import Failure
from drainlake.hostile import clean_line
from drainlake.importing import MEGABYTE, files, wrong_kind
from drainlake.progress import progress
from drainlake.values import APP_NAME
from ingest.saved_logs import SavedLogError
from queries.access.making import make
from queries.access.reading import Reading
from queries.access.sections import own_host
from queries.report.escaping import shorten
from queries.report.model import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from drainlake.access_pieces import Piece
    from drainlake.importing import Named
    from queries.access.reading import Asking
    from queries.report.model import Report

    Ends = tuple[datetime | None, datetime | None]

PIECE_ROWS: Final = 250_000  # what is added up at once
LOOK_BYTES: Final = 13_000_000  # so far into a file, unpacked, its first access line must come
_EXAMPLE_MAX: Final = 160
_NAMES_MAX: Final = 10
_SITE: Final = "site"


@dataclass
class Told:
    """What a file gave: lines, those that are none of an access log, and the first of these."""

    name: str
    lines: int = 0
    defects: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, piece: Piece) -> None:
        """Count a piece."""
        self.lines += piece.defects + (piece.rows.num_rows if piece.rows is not None else 0)
        self.defects += piece.defects
        self.examples += piece.examples[: EXAMPLES_MAX - len(self.examples)]

    def note(self) -> str:
        """Which lines are no access lines."""
        shown = "; ".join(f"“{shorten(clean_line(example), _EXAMPLE_MAX)}”" for example in self.examples)
        noun = "line is none" if self.defects == 1 else "lines are none"
        return f"{self.name}: {self.defects:,} {noun} of an access log and not counted; the first: {shown}."


class Files:
    """Files that are read one after another into the same sums.

    ``refused`` and ``notes`` say why some are not, or not all of them.
    """

    def __init__(self, reading: Reading, pool: ThreadPoolExecutor, threads: int, app: str) -> None:
        self.told: list[Told] = []
        self.refused: list[Failure] = []
        self.notes: list[str] = []
        self._reading, self._pool, self._ahead, self._app = reading, pool, 2 * threads, app
        self._held: list[pa.RecordBatch] = []

    def read(self, file: Named, show: Callable[[int], None]) -> None:
        """Add up a file, if it has access lines."""
        told = Told(file.name)
        try:
            self._read(file, told, show)
        except SavedLogError as error:
            sentence, _, remedy = str(error).partition("; ")
            if told.lines == told.defects:
                self._refuse(Failure(f"{sentence}.", remedy))
                return
            self._refuse(Failure(f"{sentence}: only its first {told.lines:,} lines count.", remedy), "Read in part")
        except Failure as failure:
            self._refuse(failure)
            return
        self.told.append(told)

    def end(self) -> None:
        """Add up what is still held."""
        if self._held:
            self._reading.add(pa.Table.from_batches(self._held))
        self._held = []

    def _read(self, file: Named, told: Told, show: Callable[[int], None]) -> None:
        if not file.path.is_file():
            raise Failure(f"{file.name} is no file.", "save what it gives to a file")
        sample, looked = b"", 0
        for piece in pieces(file.path, self._pool, self._ahead):
            told.add(piece)
            sample = sample or piece.sample
            looked += piece.size
            if told.lines == told.defects and looked > LOOK_BYTES:
                break
            self._add(piece)
            show(piece.position // MEGABYTE)
        if told.defects and told.lines == told.defects:
            raise wrong_kind(file, self._app, "access", sample)

    def _add(self, piece: Piece) -> None:
        if piece.rows is not None:
            self._held.append(piece.rows)
        if sum(rows.num_rows for rows in self._held) >= PIECE_ROWS:
            self.end()

    def _refuse(self, failure: Failure, fate: str = "Left out") -> None:
        note = f"{fate}: {failure.sentence}"
        click.echo(clean_line(note), err=True)
        self.notes.append(note)
        self.refused.append(failure)


def report_on(
    places: Sequence[Path], home: Path, app: str | None, ends: Ends, now: datetime
) -> tuple[Report, Failure | None]:
    """The report on the access lines of these places, and why not all files are in it, if so.

    ``ends`` leave out what is before the first and from the second on. Raises :class:`Failure` when no file could be
    read.
    """
    found, threads = files(places, home), _processors()
    with ThreadPoolExecutor(threads) as pool, Reading(*ends, threads) as reading:
        read = Files(reading, pool, threads, app or _SITE)
        for number, file in enumerate(found, 1):
            with progress(f"{number} of {len(found)}: MB of {file.name}", _megabytes(file.path)) as show:
                read.read(file, show)
        if read.refused and not any(each.lines for each in read.told):
            raise read.refused[0]
        read.end()
        asking = reading.finish(_window(reading, ends, app, now))
        report = _made(asking, app, read, f"drainlake import access {shlex.join(map(str, places))}", now)
    return report, read.refused[0] if read.refused else None


def _made(asking: Asking, app: str | None, read: Files, first: str, now: datetime) -> Report:
    name = app or app_of(own_host(asking))
    names = [each.name for each in read.told]
    first = f"{first} --app {shlex.quote(name)}"
    more = f" and {len(names) - _NAMES_MAX} more files" if len(names) > _NAMES_MAX else ""
    return make(
        asking,
        name,
        now,
        lines=sum(each.lines for each in read.told),
        defects=sum(each.defects for each in read.told),
        first=first,
        notes=(
            f"Read from {', '.join(names[:_NAMES_MAX])}{more}.",
            f"Nothing was stored: `{first}` does that; then the statements of this page run in `drainlake sql`.",
            *(each.note() for each in read.told if each.defects),
            *read.notes,
        ),
    )


def app_of(host: str | None) -> str:
    """The name of an app for a site: its host without the port, where that is one. Clients write hosts as they like."""
    name = (host or "").partition(":")[0]
    return name if APP_NAME.fullmatch(name) else _SITE


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _megabytes(path: Path) -> int:
    return max(1, path.stat().st_size // MEGABYTE)


def _window(reading: Reading, ends: Ends, app: str | None, now: datetime) -> Window:
    """From the first to the last request, where no end is given."""
    first, last = reading.span() or (now - timedelta(days=1), now)
    since = ends[0] or first
    return Window(since, ends[1] or max(last, since + timedelta(minutes=1)), app)
