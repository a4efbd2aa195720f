"""Whether the figures that a sentence gives are those of the rows beside it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from queries.report import formatting, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from queries.report.model import Window

# What is said of a rule of Heroku or PHP, and no figure of the lake.
FIXED = re.compile(r"\((?:H12|R14|R15|L10 and kin)\)|after 30 s|over [23] s|\bR14\b|UTC|p9[59]|p50|\d+ dyno\b")
FIGURE = re.compile(r"(?<![\w.:-])(?:\d{1,3}(?:,\d{3})+|\d+)(?:[.:]\d+)?(?: ?%| [kMGT]?B\b| ms\b)?")


def unproved(sentence: str, columns: Iterable[str], rows: Iterable[tuple[Any, ...]], window: Window) -> list[str]:
    """The figures of a sentence that no value of the rows is written as."""
    values = [value for row in rows for value in _flat(row)]
    for text in sorted({value for value in values if isinstance(value, str) and value}, key=len, reverse=True):
        sentence = sentence.replace(words.named(text), " ")
    written = {figure for value in values for text in _written(value, window) for figure in FIGURE.findall(text)}
    return [figure for figure in FIGURE.findall(FIXED.sub(" ", sentence)) if figure not in written]


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, (tuple, list)):
        for each in value:
            yield from _flat(each)
    else:
        yield value


def _written(value: Any, window: Window) -> Iterator[str]:
    if isinstance(value, datetime):
        yield words.at(value, window)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield from (
            f"{value:,}",
            formatting.number(value),
            formatting.share(value),
            formatting.size(value),
            words.megabytes(value),
        )
        yield from (formatting.duration(value), f"{formatting.number(value)} %", f"{formatting.number(value)} ms")
        yield f"{formatting.number(value)} MB"
