"""What a chart says without being seen: each line's lowest, highest and last value, a table, a thinned copy.

A chart may have 1,500 moments. A table of as many rows helps nobody, so a row stands for a stretch of moments and
shows the lowest and the highest value in it: a peak of one minute is in the table and in a thinned drawing too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from queries.report.formatting import bare
from queries.report.model import Line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from queries.report.model import Chart

TABLE_ROWS: Final = 48


@dataclass(frozen=True)
class Extremes:
    """Of one line: the lowest, the highest and the last known value, each with its moment; None when all is unknown."""

    lowest: tuple[float, datetime]
    highest: tuple[float, datetime]
    last: tuple[float, datetime]


@dataclass(frozen=True)
class Stretch:
    """Moments of a chart as one row of its table: when it begins, and each line's value or range as text."""

    begins_at: datetime
    cells: tuple[str, ...]


def known(value: float | None) -> bool:
    """Whether a value is one: None, NaN and infinities are gaps."""
    return value is not None and math.isfinite(value)


def extremes(chart: Chart, line: Line) -> Extremes | None:
    """What matters of a line; of equal values the first."""
    points = [(value, at) for value, at in zip(line.values, chart.times, strict=False) if known(value)]
    sure = [(float(value), at) for value, at in points if value is not None]
    if not sure:
        return None
    values = [value for value, _ in sure]
    return Extremes(sure[values.index(min(values))], sure[values.index(max(values))], sure[-1])


def stretches(chart: Chart, rows_max: int = TABLE_ROWS) -> list[Stretch]:
    """The table of a chart, in at most ``rows_max`` rows."""
    step = moments_each(chart, rows_max)
    return [
        Stretch(chart.times[start], tuple(_range(chart, line.values[start : start + step]) for line in chart.lines))
        for start in range(0, len(chart.times), step)
    ]


def moments_each(chart: Chart, rows_max: int = TABLE_ROWS) -> int:
    """How many moments one row of the table stands for."""
    return max(1, math.ceil(len(chart.times) / rows_max))


def _range(chart: Chart, values: Sequence[float | None]) -> str:
    sure = [value for value in values if value is not None and known(value)]
    if not sure:
        return bare(None, chart.unit)
    low, high = bare(min(sure), chart.unit), bare(max(sure), chart.unit)
    return low if low == high else f"{low} to {high}"


def thin(chart: Chart, moments_max: int) -> Chart:
    """The chart with fewer moments: each stretch keeps its lowest and its highest value, in their order.

    A stretch with nothing known stays a gap; a shorter gap is lost.
    """
    if len(chart.times) <= moments_max:
        return chart
    step = math.ceil(2 * len(chart.times) / max(2, moments_max))
    starts = range(0, len(chart.times), step)
    times = [chart.times[min(place, len(chart.times) - 1)] for start in starts for place in (start, start + step // 2)]
    lines = tuple(
        Line(line.label, [value for start in starts for value in _pair(line.values[start : start + step])])
        for line in chart.lines
    )
    return replace(chart, times=times, lines=lines)


def _pair(values: Sequence[float | None]) -> tuple[float | None, float | None]:
    sure = [value for value in values if value is not None and known(value)]
    if not sure:
        return None, None
    low, high = min(sure), max(sure)
    return (low, high) if values.index(low) <= values.index(high) else (high, low)
