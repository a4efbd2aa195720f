"""How much a page may hold: it has to open in a mail and on a telephone, whatever an attacker wrote into the log.

Text is taken from a purse, in the order of the page, so that what matters most is there; what no longer fits is left
out, and said. Drawn values are shared out among all charts: when there are too many, each chart is thinned alike.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from markupsafe import escape

from queries.report.escaping import clean, clean_line, shorten

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from queries.report.html.chart_view import ChartView
    from queries.report.model import Chart

TEXT_BYTES: Final = 500_000
FULL_BYTES: Final = 300_000  # for the whole of what is shortened: long paths must not push out a chart
DRAWN_VALUES: Final = 120_000
FULL_MAX: Final = 12_000  # characters of one text; the longest line that Heroku sends has 10,000
# A line must not break between a number and its unit.
_UNIT_GAP: Final = re.compile(r"(?<=\d) (?=(?:%|ms|s|min|h|d|MB|GB|kB|bytes)(?!\w))")
READ_MAX: Final = 2 * FULL_MAX  # characters that are looked at
MARKUP_BYTES: Final = 40  # what stands around a text


@dataclass(frozen=True)
class Text:
    """A text as it stands in the page; ``full`` is the whole of it where that is longer and there was room."""

    shown: str
    full: str = ""


@dataclass(frozen=True)
class Code:
    """A statement to copy, or a note on why it is not there or not exact."""

    shown: str
    note: str = ""


@dataclass
class Room:
    """What is left of the purses for text, the share of each chart's moments that may be drawn, and what was drawn."""

    drawn_share: float = 1.0
    text_bytes: int = TEXT_BYTES
    full_bytes: int = FULL_BYTES
    was_short: bool = False  # whether something did not fit any more
    views: dict[int, ChartView] = field(default_factory=dict)

    @classmethod
    def for_charts(cls, charts: Iterable[Chart]) -> Room:
        """Room for a page with these charts."""
        wanted = sum(len(chart.times) * (len(chart.lines) + 1) for chart in charts)
        return cls(min(1.0, DRAWN_VALUES / max(1, wanted)))

    def moments_max(self, chart: Chart) -> int:
        """How many moments of a chart may be drawn."""
        return int(len(chart.times) * self.drawn_share)

    def takes(self, *texts: str) -> bool:
        """Whether these texts fit, as they are written into the page; if so they are counted."""
        size = sum(map(len, texts))
        if size <= self.text_bytes:
            size = sum(map(_size, texts))
        if size > self.text_bytes:
            self.was_short = True
            return False
        self.text_bytes -= size
        return True

    def text(self, text: str, length_max: int) -> Text:
        """A line of text, shortened to ``length_max`` characters, the rest beside it while there is room."""
        line = _display(text)
        shown = shorten(line, length_max)
        self.takes(shown)
        return self._with_full(line, shown)

    def texts(self, texts: Iterable[str], count_max: int, length_max: int) -> list[Text]:
        """The first lines, as many as fit."""
        taken: list[Text] = []
        for text in itertools.islice(texts, count_max):
            line = _display(text)
            shown = shorten(line, length_max)
            if not self.takes(shown):
                break
            taken.append(self._with_full(line, shown))
        return taken

    def _with_full(self, line: str, shown: str) -> Text:
        full = shorten(line, FULL_MAX)
        if shown == line or len(full) > self.full_bytes or (size := _size(full)) > self.full_bytes:
            return Text(shown)
        self.full_bytes -= size
        return Text(shown, full)

    def code(self, text: str) -> Code:
        """SQL or a command, whole or not at all: half a statement is none."""
        given = text.strip("\n")
        shown = clean(given[:READ_MAX])
        if len(shown) > FULL_MAX or not self.takes(shown):
            return Code("", f"Left out: it has {len(given):,} characters. `--format json` holds it.")
        changed = "Invisible characters are left out here. `--format json` holds them."
        return Code(shown, "" if shown == given else changed)

    def rows(self, rows: Sequence[Sequence[str]], rows_max: int, cell_max: int) -> list[list[Text]]:
        """The first rows, as many as fit; a row is whole."""
        taken: list[list[Text]] = []
        for row in rows[:rows_max]:
            lines = [clean_line(text[:READ_MAX]) for text in row]
            if not self.takes(*(shorten(line, cell_max) for line in lines)):
                break
            taken.append([self._with_full(line, shorten(line, cell_max)) for line in lines])
        return taken


def _display(text: str) -> str:
    return _UNIT_GAP.sub("\u00a0", clean_line(text[:READ_MAX]))


def _size(text: str) -> int:
    """How many bytes a text and what stands around it take in the page."""
    return len(str(escape(text)).encode("utf-8", "replace")) + MARKUP_BYTES
