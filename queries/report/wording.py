"""The words that all forms of a report share, so that each says the same."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from queries.report.formatting import instant, minute
from queries.report.model import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from queries.report.model import Finding, Report, Window

SEVERITIES: Final = {Severity.CRITICAL: "critical", Severity.WARNING: "warning", Severity.NOTICE: "notice"}
THROUGHOUT: Final = "the whole time"
_PLURALS: Final = {Severity.CRITICAL: "critical", Severity.WARNING: "warnings", Severity.NOTICE: "notices"}


def title(report: Report) -> str:
    """What the report is about."""
    return f"drainlake report: {apps(report)}"


def apps(report: Report) -> str:
    """The apps by name, or the one that was asked about."""
    if report.window.app_name is not None:
        return report.window.app_name
    return ", ".join(report.apps) or "no app"


def window(report: Report) -> str:
    """The window, with its zone said once for the whole report."""
    return f"{minute(report.window.since)} to {minute(report.window.until)}, all times in UTC"


def tally(report: Report) -> str:
    """How many findings of each severity, and how many are new."""
    if not report.findings:
        return "No findings."
    return f"{counts(report.findings)}{_new(report)}."


def counts(findings: Iterable[Finding]) -> str:
    """'1 critical, 2 warnings'; nothing of none."""
    held = Counter(finding.severity for finding in findings)
    return ", ".join(
        f"{held[severity]} {SEVERITIES[severity] if held[severity] == 1 else _PLURALS[severity]}"
        for severity in sorted(Severity, reverse=True)
        if held[severity]
    )


def _new(report: Report) -> str:
    if report.previous_until is None:
        return ""
    count = sum(finding.is_new for finding in report.findings)
    return f"; {count or 'none'} new since the report of {minute(report.previous_until)}"


def plural(severity: Severity) -> str:
    """The heading of the findings of one severity."""
    return _PLURALS[severity].capitalize()


def when(finding: Finding, report: Report) -> str:
    """From when to when a finding holds."""
    if is_throughout(finding, report.window):
        return THROUGHOUT
    since, until = (instant(moment, report.window) for moment in (finding.since, finding.until))
    return since if since == until else f"{since} to {until}"


def is_throughout(finding: Finding, window: Window) -> bool:
    """Whether a finding holds for all of the window."""
    return finding.since <= window.since and finding.until >= window.until


def rows_shown(shown: int, row_count: int) -> str:
    """What is said of an answer's rows that are left out; nothing when all are shown."""
    return "" if shown >= row_count else f"The first {shown:,} of {row_count:,} rows; the SQL gives all."
