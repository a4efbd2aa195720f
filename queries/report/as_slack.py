"""A report as a Slack message in mrkdwn: the verdict, the findings with a command each, the trust line.

Slack takes 3,000 characters in a block and 40,000 in a message: ``paragraphs`` gives texts of which each fits a block,
and all together a message. What does not fit is counted in the last of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from queries.report import wording
from queries.report.escaping import clean_line, escape_slack, shorten
from queries.trust import trust_line

if TYPE_CHECKING:
    from queries.report.model import Finding, Report

BLOCK_MAX: Final = 3_000
MESSAGE_MAX: Final = 40_000
BLOCKS_MAX: Final = 50
# Escaping makes a character up to five (`&amp;`): three such texts fit a block whatever is in them.
SENTENCE_MAX: Final = 400
SHORT_MAX: Final = 60
COMMAND_MAX: Final = 150
_RESERVED: Final = 2 * BLOCK_MAX  # for the last paragraphs
_SIGNS: Final = {"critical": "🔴", "warning": "🟠", "notice": "🔵"}


def render(report: Report) -> str:
    """The message as one text, at most 40,000 characters."""
    return "\n\n".join(paragraphs(report)) + "\n"


def paragraphs(report: Report) -> list[str]:
    """The message in pieces, each at most 3,000 characters, at most 50 of them: one for each block."""
    told = [_head(report)]
    for finding in report.findings:
        piece = _finding(finding, report)
        if sum(map(len, told)) + 2 * len(told) + len(piece) > MESSAGE_MAX - _RESERVED or len(told) > BLOCKS_MAX - 3:
            break
        told.append(piece)
    left_out = len(report.findings) - (len(told) - 1)
    if left_out:
        told.append(f"{left_out:,} more findings do not fit a message; the report has them.")
    return [*told, escape_slack(trust_line(report.trust))]


def _text(text: str, length_max: int = SENTENCE_MAX) -> str:
    return escape_slack(shorten(clean_line(text), length_max))


def _head(report: Report) -> str:
    about = f"{wording.title(report)}, {wording.window(report)}"
    return f"*Report*: {_text(report.verdict)}\n({_text(about)})\nFindings: {_text(wording.tally(report))}"


def _finding(finding: Finding, report: Report) -> str:
    severity = wording.SEVERITIES[finding.severity]
    new = ", new" if finding.is_new else ""
    lines = [f"{_SIGNS[severity]} *{severity.capitalize()}{new}*: {_text(finding.sentence)}"]
    lines.append(f"({_text(finding.app, SHORT_MAX)}, {_text(wording.when(finding, report))}, {finding.id})")
    command = clean_line(finding.command)
    # A command with what Slack would change in it could not be copied: then it is left to the report.
    if 0 < len(command) <= COMMAND_MAX and escape_slack(command) == command:
        lines.append(f"`{command}`")
    return "\n".join(lines)
