"""A chart as the page shows it: the data that a script draws, and in words and tables all that it says."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from queries.report import charting
from queries.report.charting import extremes, known, stretches
from queries.report.escaping import clean_line, shorten
from queries.report.formatting import amount, as_utc, bare, instant, iso
from queries.report.model import Chart, Line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from queries.report.html.room import Room
    from queries.report.model import Key, Marker, Threshold, Window

LINES_MAX: Final = 6  # as many as colour and dash tell apart
LABEL_MAX: Final = 60
MARKS_MAX: Final = 40
KEYS_MAX: Final = 6
SPARK_WIDTH, SPARK_HEIGHT, SPARK_POINTS = 112, 26, 56
_WITHOUT_ROWS: Final = "The table is left out for the size of this page; `--format json` holds all values."
DASHES: Final = ("", "7 4", "2 3", "10 3 2 3", "5 2", "1 5")


@dataclass(frozen=True)
class When:
    """A moment: as text in UTC, and in ISO 8601 for the script that shows it in local time."""

    shown: str
    iso: str


@dataclass(frozen=True)
class Value:
    """An amount and when it was so."""

    shown: str
    when: When


@dataclass(frozen=True)
class LegendRow:
    """A line in the legend: how it is drawn, its label, and its extremes; None when nothing is known of it."""

    label: str
    dash: str
    lowest: Value | None
    highest: Value | None
    last: Value | None


@dataclass(frozen=True)
class Mark:
    """A threshold with its level, or a marker with its moment."""

    label: str
    level: str = ""
    when: When | None = None


@dataclass(frozen=True)
class ChartView:
    """All that the template needs of a chart."""

    title: str
    unit: str
    data: str
    legend: list[LegendRow]
    keys: list[tuple[str, Value]]
    thresholds: list[Mark]
    markers: list[Mark]
    rows: list[tuple[When, tuple[str, ...]]]
    rows_note: str
    notes: list[str]
    spark: str


def when(moment: datetime, window: Window) -> When:
    """A moment as the page shows it."""
    return When(instant(moment, window), iso(moment))


def _minute(moment: datetime, window: Window) -> When:
    """A moment of a chart, whose moments are whole minutes."""
    return When(instant(moment, window).removesuffix(":00"), iso(moment))


def chart_view(chart: Chart, window: Window, room: Room) -> ChartView | None:
    """The chart within its limits; what they left out stands in ``notes``. None when the page has no room for it."""
    kept = _within(chart)
    if not room.takes(*_words(kept)):
        return None
    # By identity: one chart can belong to each of a hundred findings.
    view = room.views.get(id(chart)) or room.views.setdefault(id(chart), _whole(chart, kept, window, room))
    if room.takes(*(text for at, cells in view.rows for text in (at.shown, at.iso, *cells))):
        return view
    return replace(view, rows=[], notes=[*view.notes, _WITHOUT_ROWS])


def _whole(chart: Chart, kept: Chart, window: Window, room: Room) -> ChartView:
    drawn = charting.thin(kept, room.moments_max(kept))
    return ChartView(
        title=kept.title,
        unit=kept.unit,
        data=_data(drawn),
        legend=[_legend_row(kept, line, DASHES[place], window) for place, line in enumerate(kept.lines)],
        keys=[(key.label, Value(amount(key.value, kept.unit), _minute(key.at, window))) for key in kept.keys],
        thresholds=[Mark(each.label, amount(each.value, kept.unit)) for each in kept.thresholds],
        markers=[Mark(each.label, when=_minute(each.at, window)) for each in kept.markers],
        rows=[(_minute(row.begins_at, window), row.cells) for row in stretches(kept)],
        rows_note=_rows_note(kept),
        notes=_notes(chart, kept, drawn),
        spark=spark(kept),
    )


def _within(chart: Chart) -> Chart:
    """The chart with no more lines and marks than can be told apart, and with clean short labels."""
    return Chart(
        _label(chart.title),
        _label(chart.unit),
        chart.times,
        tuple(Line(_label(line.label), line.values) for line in chart.lines[:LINES_MAX]),
        tuple(replace(key, label=_label(key.label)) for key in chart.keys[:KEYS_MAX]),
        tuple(replace(each, label=_label(each.label)) for each in chart.thresholds[:MARKS_MAX]),
        tuple(replace(each, label=_label(each.label)) for each in chart.markers[:MARKS_MAX]),
    )


def _words(chart: Chart) -> Iterator[str]:
    """All that the page writes of a chart beside its table, as often as it does: in drawing, legend and headings."""
    yield from [chart.title] * 6
    for line in chart.lines:
        yield from [line.label] * 3
        yield " " * 700  # three values with their moments
    marks: tuple[Key | Threshold | Marker, ...] = (*chart.keys, *chart.thresholds, *chart.markers)
    for mark in marks:
        yield from [mark.label, mark.label, chart.unit]
        yield " " * 240  # a swatch or a moment


def _label(text: str) -> str:
    return shorten(clean_line(text), LABEL_MAX)


def _legend_row(chart: Chart, line: Line, dash: str, window: Window) -> LegendRow:
    found = extremes(chart, line)
    if found is None:
        return LegendRow(line.label, dash, None, None, None)
    values = [
        Value(bare(value, chart.unit), _minute(at, window)) for value, at in (found.lowest, found.highest, found.last)
    ]
    return LegendRow(line.label, dash, *values)


def _notes(chart: Chart, kept: Chart, drawn: Chart) -> list[str]:
    said = [
        (len(kept.lines) < len(chart.lines), f"{len(kept.lines)} of {len(chart.lines)} lines are drawn."),
        (len(kept.markers) < len(chart.markers), f"The first {MARKS_MAX} of {len(chart.markers)} markers are drawn."),
        (
            len(drawn.times) < len(kept.times),
            f"Drawn with {len(drawn.times):,} of {len(kept.times):,} moments: the lowest and the highest of each few.",
        ),
    ]
    return [sentence for holds, sentence in said if holds]


def _rows_note(chart: Chart) -> str:
    each = charting.moments_each(chart)
    return "" if each == 1 else f"Each row stands for {each} moments: the lowest to the highest value."


def _data(chart: Chart) -> str:
    """The drawn values as JSON in which no character can end a script element or begin a comment."""
    thresholds = [[each.label, _short(each.value)] for each in chart.thresholds]
    held = {
        "unit": chart.unit,
        "times": _times(chart.times),
        "lines": [
            {"label": line.label, "values": [_short(value) for value in line.values], "dash": _dash(place)}
            for place, line in enumerate(chart.lines)
        ],
        "thresholds": [each for each in thresholds if each[1] is not None],
        "markers": [[each.label, int(as_utc(each.at).timestamp())] for each in chart.markers],
    }
    text = json.dumps(held, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _dash(place: int) -> list[int]:
    return [int(part) for part in DASHES[place].split()]


def _times(times: Sequence[datetime]) -> Any:
    """Seconds since 1970: as start, step and count where the step is always the same."""
    seconds = [round(as_utc(at).timestamp()) for at in times]
    steps = {after - before for before, after in itertools.pairwise(seconds)}
    if len(steps) == 1:
        return {"start": seconds[0], "step": steps.pop(), "count": len(seconds)}
    return seconds


def _short(value: float | None) -> float | int | None:
    """Five digits that count: more than any screen shows, and whole numbers below 100,000 exact."""
    if value is None or not math.isfinite(value):
        return None
    short = float(f"{value:.5g}")
    return int(short) if short == int(short) and abs(short) < 1e15 else short


def spark(chart: Chart) -> str:
    """An SVG path of the highest line, to see the shape of what happened at a glance; gaps are gaps, 0 is the floor."""
    tops = [(found.highest[0], line) for line in chart.lines if (found := extremes(chart, line)) is not None]
    if not tops:
        return ""
    top, line = max(tops, key=lambda each: each[0])
    values = charting.thin(Chart("", "", chart.times, (line,)), SPARK_POINTS).lines[0].values
    steps, pen = [], "M"
    for place, value in enumerate(values):
        if value is None or not known(value):
            pen = "M"
            continue
        x = 1 + place * (SPARK_WIDTH - 2) / max(1, len(values) - 1)
        y = SPARK_HEIGHT - 2 - max(0.0, value) / top * (SPARK_HEIGHT - 4) if top > 0 else SPARK_HEIGHT - 2
        # A value alone between gaps is a dot: a line of no length with round ends.
        steps.append(f"{pen}{x:.1f} {y:.1f}" + ("h0" if pen == "M" else ""))
        pen = "L"
    return "".join(steps)
