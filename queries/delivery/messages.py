"""What is sent: a title of one line and a short plain text, made of a report or of the findings that ring.

Findings hold pieces of log lines, which attackers write. A title is a mail's subject, and a text comes to chats that
give meaning to ``@everyone`` or ``<!channel>``: nothing of a finding may begin a header or call anybody.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

from queries.report.wording import counts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from queries.delivery.runs import Work
    from queries.report.model import Finding, Report

TITLE_MAX_CHARS: Final = 120
SENTENCE_MAX_CHARS: Final = 400
FINDINGS_SHOWN: Final = 15
NEWS_SHOWN: Final = 20
SKIPPED_SHOWN: Final = 5
MAIL_MAX_CHARS: Final = 40_000  # of Markdown, about 85 KB of HTML: Gmail clips a mail at 102 KB
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_CALLS: Final = re.compile(r"@(?=everyone|here|channel|all\b)|<(?=[!@#/A-Za-z])", re.IGNORECASE)


def plain_line(text: str, max_chars: int = SENTENCE_MAX_CHARS) -> str:
    """Text as one line without control and invisible characters, that calls nobody in a chat."""
    visible = "".join(" " if unicodedata.category(c) in _HIDDEN else c for c in text[: 4 * max_chars])
    line = _CALLS.sub(lambda match: f"{match[0]} ", " ".join(visible.split()))
    return line if len(line) <= max_chars else f"{line[: max_chars - 1]}…"


def report_title(report: Report, zone: ZoneInfo) -> str:
    """The subject of a report: which app, which day, how bad."""
    day = report.window.until.astimezone(zone)
    apps = sorted(
        {*report.apps, *(each.app for each in report.findings if each.app)}
    )  # one that fell silent has no lines
    of = report.window.app_name or (apps[0] if len(apps) == 1 else f"{len(apps)} apps")
    what = f"{_count(report.findings)} in {of}" if apps else "no lines came"
    return plain_line(f"drainlake: {what}, {day:%a %d %b %Y}", TITLE_MAX_CHARS)


def report_text(report: Report, told: Sequence[str], zone: ZoneInfo) -> str:
    """A report in short: the verdict, the findings, then what is to be told besides."""
    window = f"{_at(report.window.since, zone)} to {_at(report.window.until, zone)}"
    lines = [plain_line(report.verdict), f"Asked about: {window}."]
    lines += [""] if report.findings else []
    lines += [f"{each.severity.name}{_new(each)}: {plain_line(each.sentence)} [{each.id}]" for each in _shown(report)]
    lines += _more(len(report.findings))
    return "\n".join([*lines, *_news(told)]).strip() + "\n"


def alarm_title(findings: Sequence[Finding]) -> str:
    """The subject of an alarm: the worst finding itself."""
    worst = max(findings, key=lambda each: each.severity)
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    head = f"drainlake {worst.severity.name} in {worst.app}: "
    room = TITLE_MAX_CHARS - len(more)
    return plain_line(head + worst.sentence, room) + more


def alarm_text(findings: Sequence[Finding], news: Sequence[str], zone: ZoneInfo) -> str:
    """All that rings at once: each with since when, how to dig, how to mute it."""
    lines: list[str] = []
    for each in sorted(findings, key=lambda finding: -finding.severity)[:FINDINGS_SHOWN]:
        lines.append(f"{each.severity.name} in {plain_line(each.app)}: {plain_line(each.sentence)}")
        lines.append(f"  since {_at(each.since, zone)}")
        lines += [f"  {plain_line(sentence)}" for sentence in each.also[:3]]
        lines += [f"  {plain_line(line)}" for line in each.advice.splitlines()[:3]]
        lines += [f"  Look: {plain_line(each.command)}", f"  Mute: drainlake mute {each.id} --until 7d", ""]
    return "\n".join([*lines, *_more(len(findings)), *_news(news)]).strip() + "\n"


def mail_markdown(markdown: str) -> str:
    """A report's Markdown as it stands in a mail: one that is too long ends before a heading."""
    if len(markdown) <= MAIL_MAX_CHARS:
        return markdown
    end = markdown.rfind("\n## ", 0, MAIL_MAX_CHARS)
    kept = markdown[: end if end > 0 else MAIL_MAX_CHARS].rstrip()
    return f"{kept}\n\n*The rest is in the page that is attached.*\n"


def failure_text(what: str, reason: str, news: Sequence[str]) -> str:
    """What is told when a report or the checks cannot be made."""
    lines = [f"{what}: {plain_line(reason)}", "Try: drainlake status, and the log of drainlake schedule"]
    return "\n".join([*lines, *_news(news)]) + "\n"


def with_lateness(text: str, due_at: datetime, now: datetime, late_from_seconds: float, zone: ZoneInfo) -> str:
    """The text, said to be late where it could not be sent in time."""
    late_seconds = (now - due_at).total_seconds()
    if late_seconds < late_from_seconds:
        return text
    return f"Late by {span(late_seconds)}: this could not be sent at {_at(due_at, zone)}.\n\n{text}"


def span(seconds: float) -> str:
    """Seconds in words: 40 s, 12 min, 3 h, 2 days."""
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def lateness(work: Work, late_by: str, zone: ZoneInfo) -> tuple[str, ...]:
    """What is told of a run that is late, or that stands for others."""
    lines = []
    if late_by:
        lines.append(f"This report was due at {_at(work.due_at, zone)} and is {late_by} late.")
    if work.skipped:
        named = ", ".join(_at(each, zone) for each in reversed(work.skipped[:SKIPPED_SHOWN]))
        more = len(work.skipped) - SKIPPED_SHOWN
        before = f"{more} more and " if more > 0 else ""
        lines.append(f"No report was made at {before}{named}; this one asks about that time too.")
    if work.is_cut:
        lines.append(f"What was before {_at(work.since, zone)} has had no report: it is too long ago.")
    return tuple(lines)


def _shown(report: Report) -> Sequence[Finding]:
    return sorted(report.findings, key=lambda each: -each.severity)[:FINDINGS_SHOWN]


def _more(count: int) -> list[str]:
    return [f"And {count - FINDINGS_SHOWN} more: drainlake report"] if count > FINDINGS_SHOWN else []


def _news(news: Sequence[str]) -> list[str]:
    if not news:
        return []
    more = [f"And {len(news) - NEWS_SHOWN} more."] if len(news) > NEWS_SHOWN else []
    return ["", *(plain_line(line) for line in news[:NEWS_SHOWN]), *more]


def _new(finding: Finding) -> str:
    return " (new)" if finding.is_new else ""


def _count(findings: Sequence[Finding]) -> str:
    return counts(findings) or "all is well"


def _at(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M %Z}"
