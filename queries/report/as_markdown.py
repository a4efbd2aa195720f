"""A report as GitHub's Markdown: findings with their evidence, standing questions with their first rows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from queries.report import wording
from queries.report.charting import extremes
from queries.report.escaping import clean, escape_markdown, shorten
from queries.report.formatting import amount, cell, heading, instant, is_right
from queries.trust import trust_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from queries.report.model import Answer, Chart, Finding, Report, Section, Window

ROWS_MAX: Final = 10
TEXT_MAX: Final = 600
CELL_MAX: Final = 90
CODE_MAX: Final = 12_000
_BLOCK: Final = re.compile(r"^[#+\-=]|(?<=^\d)[.)]|(?<=^\d\d)[.)]|(?<=^\d\d\d)[.)]")


def render(report: Report) -> str:
    """Blocks with an empty line between them; no text of a log is anything but text there."""
    return "\n\n".join(_blocks(report)) + "\n"


def _blocks(report: Report) -> Iterator[str]:
    yield f"# {_text(report.verdict)}"
    yield _text(
        f"{wording.title(report)}, {wording.window(report)}. {wording.tally(report)} {trust_line(report.trust)}"
    )
    for finding in report.findings:
        yield from _finding(finding, report)
    for section in report.sections:
        yield from _section(section, report.window)
    if report.muted:
        yield "## Muted"
        yield _list(
            f"{each.finding.sentence} (until {each.until:%Y-%m-%d}, {each.finding.id})" for each in report.muted
        )
    about = [*report.notes, *(f"{name}: {value}" for name, value in report.settings.items())]
    if about:
        yield "## About this report"
        yield _list(about)


def _text(text: str) -> str:
    """A line of text that begins no heading, list, rule or code, wherever it stands."""
    return _BLOCK.sub(r"\\\g<0>", escape_markdown(shorten(text.strip(), TEXT_MAX)))


def _list(texts: Iterable[str]) -> str:
    return "\n".join(f"* {_text(text)}" for text in texts)


def _finding(finding: Finding, report: Report) -> Iterator[str]:
    new = " (new)" if finding.is_new else ""
    yield f"## {wording.SEVERITIES[finding.severity].capitalize()}{new}: {_text(finding.sentence)}"
    yield _text(f"{finding.app}, {wording.when(finding, report)}, known as {finding.id}")
    if finding.advice.strip():
        yield "What to do:"
        yield _list(line for line in finding.advice.splitlines() if line.strip())
    if finding.also:
        yield "With the same cause, or near it:"
        yield _list(finding.also)
    if finding.chart is not None:
        yield _chart(finding.chart, report.window)
    if finding.request_ids:
        yield _text(f"Requests to look up: {', '.join(finding.request_ids)}")
    yield _code(finding.command, "sh")
    yield _code(finding.sql, "sql")


def _code(text: str, language: str) -> str:
    """A fenced block; its fence is longer than any row of backticks inside, so that nothing ends it early."""
    shown = clean(text).replace("\r", "\n")
    if len(shown) > CODE_MAX:
        return f"Left out: {len(shown):,} characters of {language}."
    longest = max((len(found) for found in re.findall(r"`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{shown}\n{fence}"


def _chart(chart: Chart, window: Window) -> str:
    """What a chart says in words: each line's lowest, highest and last value, levels and marked moments."""
    return f"{_text(chart.title)}:\n\n{_list(_chart_lines(chart, window))}"


def _chart_lines(chart: Chart, window: Window) -> Iterator[str]:
    for key in chart.keys:
        yield f"{key.label}: {amount(key.value, chart.unit)} at {instant(key.at, window)}"
    for line in chart.lines:
        found = extremes(chart, line)
        if found is None:
            yield f"{line.label}: nothing known"
            continue
        parts = zip(("lowest", "highest", "last"), (found.lowest, found.highest, found.last), strict=True)
        told = (f"{name} {amount(value, chart.unit)} at {instant(at, window)}" for name, (value, at) in parts)
        yield f"{line.label}: {', '.join(told)}"
    for threshold in chart.thresholds:
        yield f"{threshold.label}: {amount(threshold.value, chart.unit)}"
    for marker in chart.markers:
        yield f"{marker.label}: {instant(marker.at, window)}"


def _section(section: Section, window: Window) -> Iterator[str]:
    yield f"## {_text(section.title)}"
    yield _text(section.sentence)
    for chart in section.charts:
        yield _chart(chart, window)
    for answer in section.answers:
        yield f"### {_text(answer.question)}"
        yield _table(answer, window)
        yield _code(answer.sql, "sql")


def _table(answer: Answer, window: Window) -> str:
    if not answer.rows:
        return "No rows."
    rows = answer.rows[:ROWS_MAX]
    rights = [is_right([row[place] for row in rows]) for place in range(len(answer.columns))]
    lines = [_row(map(heading, answer.columns)), _rule(rights)]
    lines += [_row(cell(name, value, window) for name, value in zip(answer.columns, row, strict=True)) for row in rows]
    left_out = wording.rows_shown(len(rows), answer.row_count)
    return "\n".join(lines) + (f"\n\n{left_out}" if left_out else "")


def _rule(rights: Sequence[bool]) -> str:
    return f"| {' | '.join('---:' if right else '---' for right in rights)} |"


def _row(texts: Iterable[str]) -> str:
    return f"| {' | '.join(escape_markdown(shorten(text, CELL_MAX)) for text in texts)} |"
