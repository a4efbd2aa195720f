"""A report for a terminal: the verdict, the findings with what to run next, one line for each standing question."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from queries.report import wording
from queries.report.escaping import clean_line, shorten
from queries.trust import trust_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queries.report.model import Finding, Report

WIDTH: Final = 100
SENTENCE_MAX: Final = 600
COMMAND_MAX: Final = 1_000
_INDENT: Final = " " * 10


def render(report: Report) -> str:
    """Lines of at most 100 characters, commands apart; no text of a log can move the cursor or write a colour."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield from _wrapped(f"{wording.title(report)}, {wording.window(report)}")
    yield ""
    yield from _wrapped(report.verdict)
    yield from _wrapped(wording.tally(report))
    for finding in report.findings:
        yield ""
        yield from _finding(finding, report)
    if report.sections:
        yield ""
    for section in report.sections:
        yield from _wrapped(f"{section.title}: {section.sentence}", after="  ")
    yield ""
    yield from _end(report)


def _finding(finding: Finding, report: Report) -> Iterator[str]:
    label = wording.SEVERITIES[finding.severity].upper().ljust(len(_INDENT))
    yield from _wrapped(finding.sentence, label, _INDENT)
    new = "new, " if finding.is_new else ""
    yield from _wrapped(f"{new}{finding.app}, {wording.when(finding, report)}, {finding.id}", _INDENT, _INDENT)
    # Not wrapped and not shortened: half a command can do something else.
    if len(finding.command) <= COMMAND_MAX:
        yield f"{_INDENT}{clean_line(finding.command)}"


def _end(report: Report) -> Iterator[str]:
    for note in report.notes:
        yield from _wrapped(note, after="  ")
    if report.muted:
        yield f"{len(report.muted)} more muted."
    yield from _wrapped(trust_line(report.trust))


def _wrapped(text: str, first: str = "", after: str = "") -> list[str]:
    line = shorten(clean_line(text), SENTENCE_MAX)
    return textwrap.wrap(line, WIDTH, initial_indent=first, subsequent_indent=after, break_on_hyphens=False) or [""]
