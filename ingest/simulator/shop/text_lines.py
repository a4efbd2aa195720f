"""Lines that are written out ahead: everything but the two lines of each request."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ingest.simulator.shop.stamps import Stamps

TABLES: Final = ("router", "access", "php", "platform", "samples", "releases", "lines")
_CODES: Final = {name: code for code, name in enumerate(TABLES)}


class Stream(Protocol):
    """Lines of the day that can be written in any order. ``at``: microseconds since midnight; ``table``:
    index into TABLES; ``rows``: how many rows the line becomes in the lake."""

    at: np.ndarray
    table: np.ndarray
    rows: np.ndarray

    def render(self, index: np.ndarray) -> list[str]:
        """The syslog messages of these lines, from ``<PRI>`` on."""
        ...


@dataclass(slots=True)
class Pen:
    """Writes lines down. ``note`` marks a line for the truth."""

    times: array[int] = field(default_factory=lambda: array("q"))
    tables: array[int] = field(default_factory=lambda: array("b"))
    rows: array[int] = field(default_factory=lambda: array("b"))
    sources: list[tuple[str, str]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    notes: dict[int, str] = field(default_factory=dict)

    def write(self, table: str, source: tuple[str, str], at: int, text: str, *, rows: int = 1, note: str = "") -> None:
        """One line of a source (see :func:`app`, :func:`heroku`) at a time in microseconds since midnight."""
        if note:
            self.notes[len(self.texts)] = note
        self.times.append(at)
        self.tables.append(_CODES[table])
        self.rows.append(rows)
        self.sources.append(source)
        self.texts.append(text)

    def block(self, source: tuple[str, str], at: int, lines: Iterable[str]) -> None:
        """Lines that belong to the PHP event before them: no row of their own, a microsecond apart."""
        for number, text in enumerate(lines):
            self.write("php", source, at + number, text, rows=0)


@cache
def app(process: str, pri: int = 190) -> tuple[str, str]:
    """The source of what a process of the app (or an add-on) writes."""
    return f"<{pri}>1 ", f" host app {process} - "


@cache
def heroku(process: str) -> tuple[str, str]:
    """The source of what the dyno manager writes about a process."""
    return "<45>1 ", f" host heroku {process} - "


def samples(values: Mapping[str, object]) -> str:
    """Measured values as Heroku's metrics lines have them."""
    return " ".join(f"sample#{name}={value}" for name, value in values.items())


class TextLines:
    """What a pen wrote, as a stream."""

    def __init__(self, pen: Pen, stamps: Stamps) -> None:
        self.at = np.array(pen.times, dtype=np.int64)
        self.table = np.array(pen.tables, dtype=np.int8)
        self.rows = np.array(pen.rows, dtype=np.int8)
        self._sources = pen.sources
        self._texts = pen.texts
        self._stamps = stamps

    def render(self, index: np.ndarray) -> list[str]:
        """See :class:`Stream`."""
        sources, texts = self._sources, self._texts
        written = []
        for number, stamp in zip(index.tolist(), self._stamps.frames(self.at[index]), strict=True):
            before, after = sources[number]
            written.append(f"{before}{stamp}{after}{texts[number]}")
        return written
