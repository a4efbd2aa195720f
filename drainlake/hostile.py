"""Text from logs is written by attackers: what must happen to it before people or spreadsheets see it.

The rules that reports need too stand in :mod:`queries.report.escaping`; ``guard_formula`` keeps a spreadsheet from
running a cell. Parquet carries text exactly.
"""

from __future__ import annotations

from typing import Final

from queries.report.escaping import clean, clean_line, escape_json, escape_markdown

__all__ = ["clean", "clean_line", "escape_json", "escape_markdown", "guard_formula"]

# OWASP's list: some spreadsheets drop blanks in front, and read the full-width signs of Asian keyboards as the others.
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def guard_formula(text: str) -> str:
    """The clean text, with a leading ``'`` where a spreadsheet would take it for a formula."""
    text = clean(text)
    return "'" + text if text.startswith(_FORMULA_STARTS) else text
