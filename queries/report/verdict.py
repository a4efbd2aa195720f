"""The verdict: all of a report in one sentence."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from queries.report.formatting import duration, share
from queries.report.model import Severity
from queries.report.words import counted, named, number_word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queries.report.asked import Record
    from queries.report.model import Finding
    from queries.trust import Trust

TOLD_MAX: Final = 3
_CUT: Final = 100
ALARMS: Final = "anomaly_"

# What a finding is called in the headline, by its kind; others are told by the beginning of their sentence.
TITLES: Final = {
    "timeouts": "requests timed out behind {subject}",
    "timeouts-apart": "single requests time out",
    "error-code": "requests end in {subject}",
    "server-errors": "the app answers with errors",
    "memory-quota": "{subject} is over its memory quota",
    "memory-leak": "{subject} leaks memory",
    "php-memory-limit": "{subject} runs into PHP's memory limit",
    "php-capacity": "PHP has too few workers",
    "php-workers-busy": "PHP has too few workers",
    "php-killed": "requests of {subject} are killed",
    "php-fatal": "PHP breaks off with a fatal error",
    "connections": "{subject} ran out of connections",
    "connections-refused": "database connections were refused",
    "compression": "files go out uncompressed",
    "move-slower": "routes are slower than before the move",
    "move-errors": "more fails than before the move",
    "move-gone": "routes are gone since the move",
    "cold-cache": "{subject} is slow first on each dyno",
    "worse-after-change": "a change made things worse",
    "crashes": "dynos crash",
    "broken-links": "links on own pages lead nowhere",
    "secrets-sent": "files that hold secrets were sent",
    "failures": "requests fail",
    "lines-lost": "log lines were lost",
    "lines-damaged": "damaged lines come in",
}


def verdict(findings: Sequence[Finding], seen: Trust, traffic: Record) -> str:
    """One sentence. ``findings`` are worst first, ``traffic`` is of `apps.traffic`."""
    wrong = [finding for finding in findings if finding.severity >= Severity.WARNING]
    if wrong:
        several = len({finding.app for finding in wrong}) > 1
        titles = Counter(_title(finding, several=several) for finding in wrong)
        told = list(titles.items())[:TOLD_MAX]
        untold = len(wrong) - sum(count for _, count in told)
        verb = "thing is" if len(wrong) == 1 else "things are"
        listed = "; ".join(title if count == 1 else f"{title}, {count:,} times" for title, count in told)
        return f"{number_word(len(wrong))} {verb} wrong: {listed}{f'; and {untold:,} more' if untold else ''}."
    if not seen["received"] and not traffic.get("requests"):
        balanced = traffic.get("balanced") or 0
        if balanced:
            return f"Nothing was checked: all there is are {counted(balanced, 'request')} in a load balancer's log."
        return "No lines came in this window."
    return f"Nothing is wrong: {', '.join(_figures(seen, traffic))}."


def _title(finding: Finding, *, several: bool) -> str:
    """What the finding is called; with its app where there are several."""
    title = TITLES.get(finding.kind) or _alarm_title(finding)
    if title is None or ("{subject}" in title and not finding.subject):
        text = finding.sentence.removesuffix(".")
        title = text if len(text) <= _CUT else f"{text[: _CUT - 1]}…"
    else:
        title = title.replace("{subject}", named(finding.subject))
    return f"{title} ({named(finding.app)})" if several else title


def _alarm_title(finding: Finding) -> str | None:
    """What an alarm claims, which is the first part of its sentence, as it stands within one."""
    if not finding.kind.startswith(ALARMS):
        return None
    claim = finding.sentence.removesuffix(".").partition("; ")[0]
    return f"{claim[:1].lower()}{claim[1:]}" if len(claim) <= _CUT else None


def _figures(seen: Trust, traffic: Record) -> list[str]:
    requests = traffic.get("requests") or 0
    logged = traffic.get("logged") or 0
    told = f"no request at Heroku's router, {counted(logged, 'request')} in a web server's log"
    figures = [told if logged else counted(requests, "request")]
    if requests:
        figures.append(f"{share((traffic['failed'] or 0) / requests)} failed")
    if traffic.get("p95_ms") is not None:
        figures.append(f"p95 {duration(traffic['p95_ms'])}")
    if seen["share_seen"] is not None:
        figures.append(f"{share(seen['share_seen'])} of the lines seen")
    return figures
