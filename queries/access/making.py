"""From sums of access lines to a report, which every form of reports shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from queries.access.findings import CHECKS, Looking
from queries.access.sections import SECTIONS
from queries.report.model import Report
from queries.report.verdict import verdict
from queries.trust import Trust

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from queries.access.reading import Asking
    from queries.report.model import Finding

_FAILED: Final = "SELECT coalesce(sum(requests) FILTER (WHERE status >= 500), 0)::BIGINT AS failed FROM {steps}"


def make(
    asking: Asking,
    app: str,
    made_at: datetime,
    *,
    lines: int,
    defects: int,
    first: str,
    notes: Sequence[str] = (),
) -> Report:
    """The report on the lines that were read: ``lines`` of which ``defects`` are no access lines.

    ``first`` is the shell line that imports the files.
    """
    looking = Looking.at(asking, app, first)
    findings = _worst_first([finding for check in CHECKS.values() for finding in check(looking)])
    share_seen = 1.0 if lines else None
    seen = Trust(
        received=lines, parsed=lines - defects, defective=defects, repeated=0, dropped=0, share_seen=share_seen
    )
    traffic = {"requests": looking.requests, "failed": asking.record(_FAILED)["failed"]}
    return Report(
        window=asking.window,
        made_at=made_at,
        apps=(app,),
        verdict=verdict(findings, seen, traffic),
        findings=findings,
        sections=tuple(section(asking) for section in SECTIONS.values()) if looking.requests else (),
        trust=seen,
        notes=tuple(notes),
    )


def _worst_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda finding: -finding.severity))
