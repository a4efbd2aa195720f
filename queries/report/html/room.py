"""How much a page may hold: it has to open in a mail and on a telephone, whatever an attacker wrote into the log.

Text is taken from one purse, in the order of the page, so that what matters most is there; what no longer fits is left
out, and said. Drawn values are shared out among all charts: when there are too many, each chart is thinned alike.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from markupsafe import escape

from queries.report.escaping import clean, clean_line, shorten

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from queries.report.model import Chart

TEXT_BYTES: Final = 900_000
DRAWN_VALUES: Final = 160_000
FULL_MAX: Final = 12_000  # characters of one text; the longest line that Heroku sends has 10,000
# A line must not break between a number and its unit.
_UNIT_GAP: Final = re.compile(r"(?<=\d) (?=(?:%|ms|s|min|h|d|MB|GB|kB|bytes)(?!\w))")
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
    """What is left of the purse for text, and the share of each chart's moments that may be drawn."""

    drawn_share: float = 1.0
    text_bytes: int = TEXT_BYTES

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
        size = sum(len(str(escape(text)).encode("utf-8", "replace")) + MARKUP_BYTES for text in texts)
        if size > self.text_bytes:
            return False
        self.text_bytes -= size
        return True

    def text(self, text: str, length_max: int) -> Text:
        """A line of text, shortened to ``length_max`` characters, the rest beside it while there is room."""
        line = _UNIT_GAP.sub("\u00a0", clean_line(text))
        shown = shorten(line, length_max)
        self.takes(shown)
        return self._with_full(line, shown)

    def _with_full(self, line: str, shown: str) -> Text:
        full = shorten(line, FULL_MAX)
        return Text(shown, full if shown != line and self.takes(full) else "")

    def code(self, text: str) -> Code:
        """SQL or a command, whole or not at all: half a statement is none."""
        given = text.strip("\n")
        shown = clean(given)
        if len(shown) > FULL_MAX or not self.takes(shown):
            return Code("", f"Left out: it has {len(given):,} characters. `--format json` holds it.")
        changed = "Invisible characters are left out here. `--format json` holds them."
        return Code(shown, "" if shown == given else changed)

    def rows(self, rows: Sequence[Sequence[str]], rows_max: int, cell_max: int) -> list[list[Text]]:
        """The first rows, as many as fit; a row is whole."""
        taken: list[list[Text]] = []
        for row in rows[:rows_max]:
            lines = [clean_line(text) for text in row]
            if not self.takes(*(shorten(line, cell_max) for line in lines)):
                break
            taken.append([self._with_full(line, shorten(line, cell_max)) for line in lines])
        return taken
