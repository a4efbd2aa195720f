"""Rows as a table for people: aligned columns that fit the terminal, or one record below the other.

Cells are clean single lines when they come here. In a pipe there is no width and nothing is cut; on a
terminal long text is cut with an ellipsis, and when the columns do not fit at all each row becomes a block.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from rich.cells import cell_len, set_cell_size

if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMN_MIN: Final = 12
GAP: Final = "  "


def text_of(value: Any) -> str:
    """A plain value as a table shows it: NULL is empty, fractions have four digits, the rest is JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return _short(value)
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _short(value: float) -> str:
    if value and abs(value) < 0.001:
        return f"{value:.3g}"
    text = f"{value:.4f}".rstrip("0")
    return text.removesuffix(".")


def draw(names: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[bool], width: int | None) -> str:
    """The table as text with a final newline; ``right`` says which columns are aligned to the right.

    ``width`` is the terminal's in cells, None for a pipe.
    """
    natural = [max(map(cell_len, column)) for column in zip(names, *rows, strict=True)]
    widths = _fit(natural, right, width)
    if widths is None:
        return _blocks(names, rows, width or 0)
    lines = [_line(names, widths, right), GAP.join("─" * size for size in widths)]
    lines += [_line(row, widths, right) for row in rows]
    return "\n".join(lines) + "\n"


def _fit(natural: list[int], right: Sequence[bool], width: int | None) -> list[int] | None:
    """Widths of the columns within ``width``: the widest text columns give way first; None: they cannot."""
    widths = list(natural)
    excess = sum(widths) + len(GAP) * (len(widths) - 1) - width if width is not None else 0
    while excess > 0:
        texts = [i for i, is_number in enumerate(right) if not is_number and widths[i] > COLUMN_MIN]
        if not texts:
            return None
        widest = max(texts, key=widths.__getitem__)
        second = max([widths[i] for i in texts if widths[i] < widths[widest]], default=COLUMN_MIN)
        cut = min(excess, widths[widest] - second)
        widths[widest] -= cut
        excess -= cut
    return widths


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = [_pad(cell, size, side) for cell, size, side in zip(cells, widths, right, strict=True)]
    return GAP.join(padded).rstrip()


def _pad(cell: str, size: int, to_right: bool) -> str:
    length = cell_len(cell)
    if length > size:
        return set_cell_size(cell, size - 1) + "…"
    blanks = " " * (size - length)
    return blanks + cell if to_right else cell + blanks


def _blocks(names: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """One record below the other, as a narrow terminal shows a wide row; empty cells are left out."""
    margin = max(map(cell_len, names))
    lines = []
    for number, row in enumerate(rows, 1):
        lines.append(f"── {number} ".ljust(width, "─"))
        lines += [
            f"{_pad(name, margin, to_right=False)}  {cell}" for name, cell in zip(names, row, strict=True) if cell
        ]
    return "\n".join(lines) + "\n"
