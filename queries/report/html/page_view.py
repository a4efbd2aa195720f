"""A report as the page shows it: plain text within the page's limits, ready for the template, which escapes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from queries.report import wording
from queries.report.escaping import clean_line, shorten
from queries.report.formatting import cell, heading, is_right, minute
from queries.report.html.chart_view import ChartView, When, chart_view, when
from queries.report.html.room import Code, Room, Text
from queries.report.model import Severity
from queries.trust import trust_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queries.report.model import Answer, Chart, Finding, Report, Section, Window

FINDINGS_MAX: Final = 60
SECTIONS_MAX: Final = 20
CHARTS_MAX: Final = 6  # of a section
ANSWERS_MAX: Final = 6
ROWS_MAX: Final = 100
COLUMNS_MAX: Final = 16
NOTES_MAX: Final = 40
SENTENCE_MAX: Final = 320
CELL_MAX: Final = 90
LINE_MAX: Final = 500
_SHORT_OF_ROOM: Final = "Some of this is left out for the size of the page; `--format json` holds all."
_NO_ANCHOR: Final = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True)
class FindingView:
    """A finding: what its one line says, and what opens below it."""

    id: str
    severity: str
    app: str
    sentence: Text
    is_new: bool
    since: When
    until: When
    throughout: str
    advice: list[Text]
    also: list[Text]
    request_ids: list[str]
    command: Code
    sql: Code
    chart: ChartView | None
    note: str
    muted_until: str = ""


@dataclass(frozen=True)
class AnswerView:
    """The rows of a question as a table."""

    question: str
    headings: list[str]
    is_right: list[bool]
    rows: list[list[Text]]
    note: str
    sql: Code


@dataclass(frozen=True)
class SectionView:
    """A standing question."""

    name: str
    title: str
    sentence: Text
    charts: list[ChartView]
    answers: list[AnswerView]
    note: str


@dataclass(frozen=True)
class PageView:
    """All of the page. ``groups`` are the findings by severity, each with its heading."""

    title: str
    apps: Text
    verdict: Text
    tone: str
    tally: str
    window: str
    made_at: str
    trust: str
    groups: list[tuple[str, str, list[FindingView]]]
    sections: list[SectionView]
    muted: list[FindingView]
    notes: list[Text]
    settings: list[tuple[str, Text]]


def page_view(report: Report) -> PageView:
    """The report within the page's limits; what they left out stands in ``notes``."""
    room = Room.for_charts(_charts(report))
    verdict = room.text(report.verdict, SENTENCE_MAX)
    findings = [_finding(finding, report.window, room) for finding in report.findings[:FINDINGS_MAX]]
    sections = [_section(section, report.window, room) for section in report.sections[:SECTIONS_MAX]]
    muted = [_finding(each.finding, report.window, room, minute(each.until)) for each in report.muted[:FINDINGS_MAX]]
    return PageView(
        title=_line(wording.title(report)),
        apps=room.text(wording.apps(report), SENTENCE_MAX),
        verdict=verdict,
        tone=_tone(report),
        tally=wording.tally(report),
        window=wording.window(report),
        made_at=minute(report.made_at),
        trust=trust_line(report.trust),
        groups=list(_groups(findings)),
        sections=sections,
        muted=muted,
        notes=[room.text(note, LINE_MAX) for note in (*_left_out(report), *report.notes)[:NOTES_MAX]],
        settings=[(_line(name), room.text(value, LINE_MAX)) for name, value in [*report.settings.items()][:NOTES_MAX]],
    )


def _tone(report: Report) -> str:
    """The worst there is; without findings good, unless nothing came that could have been found."""
    if report.findings:
        return wording.SEVERITIES[max(finding.severity for finding in report.findings)]
    return "good" if report.trust["received"] else "notice"


def _charts(report: Report) -> Iterator[Chart]:
    findings = (*report.findings[:FINDINGS_MAX], *(each.finding for each in report.muted[:FINDINGS_MAX]))
    yield from (finding.chart for finding in findings if finding.chart is not None)
    for section in report.sections[:SECTIONS_MAX]:
        yield from section.charts[:CHARTS_MAX]


def _left_out(report: Report) -> Iterator[str]:
    limits = (
        ("findings", len(report.findings), FINDINGS_MAX),
        ("muted findings", len(report.muted), FINDINGS_MAX),
        ("sections", len(report.sections), SECTIONS_MAX),
        ("notes", len(report.notes), NOTES_MAX),
    )
    for name, count, limit in limits:
        if count > limit:
            yield f"The first {limit} of {count:,} {name} are on this page; `--format json` holds all."


def _line(text: str) -> str:
    return shorten(clean_line(text), CELL_MAX)


def _groups(findings: list[FindingView]) -> Iterator[tuple[str, str, list[FindingView]]]:
    for severity in sorted(Severity, reverse=True):
        name = wording.SEVERITIES[severity]
        chosen = [finding for finding in findings if finding.severity == name]
        if chosen:
            yield name, wording.plural(severity), chosen


def _finding(finding: Finding, window: Window, room: Room, muted_until: str = "") -> FindingView:
    return FindingView(
        id=finding.id,
        severity=wording.SEVERITIES[finding.severity],
        app=_line(finding.app),
        sentence=room.text(finding.sentence, SENTENCE_MAX),
        is_new=finding.is_new,
        since=when(finding.since, window),
        until=when(finding.until, window),
        throughout=wording.THROUGHOUT if wording.is_throughout(finding, window) else "",
        advice=room.texts(filter(str.strip, finding.advice.splitlines()), NOTES_MAX, LINE_MAX),
        also=room.texts(finding.also, NOTES_MAX, LINE_MAX),
        request_ids=[_line(each) for each in finding.request_ids[:3]],
        command=room.code(finding.command),
        sql=room.code(finding.sql),
        chart=chart_view(finding.chart, window, room) if finding.chart is not None else None,
        note=_SHORT_OF_ROOM if room.was_short else "",
        muted_until=muted_until,
    )


def _section(section: Section, window: Window, room: Room) -> SectionView:
    charts = [chart_view(chart, window, room) for chart in section.charts[:CHARTS_MAX]]
    answers = [_answer(answer, window, room) for answer in section.answers[:ANSWERS_MAX]]
    return SectionView(
        name=_NO_ANCHOR.sub("-", section.name),
        title=_line(section.title),
        sentence=room.text(section.sentence, LINE_MAX),
        charts=[chart for chart in charts if chart is not None],
        answers=[answer for answer in answers if answer is not None],
        note=_SHORT_OF_ROOM if room.was_short else "",
    )


def _answer(answer: Answer, window: Window, room: Room) -> AnswerView | None:
    columns = answer.columns[:COLUMNS_MAX]
    given = answer.rows[:ROWS_MAX]
    headings = [_line(heading(name)) for name in columns]
    if not room.takes(*[_line(answer.question)] * 6, *headings):
        return None
    rows = room.rows(
        [[cell(name, value, window) for name, value in zip(columns, row, strict=False)] for row in given],
        ROWS_MAX,
        CELL_MAX,
    )
    return AnswerView(
        question=_line(answer.question),
        headings=headings,
        is_right=[is_right([row[place] for row in given]) for place in range(len(columns))],
        rows=rows,
        note=wording.rows_shown(len(rows), answer.row_count),
        sql=room.code(answer.sql),
    )
