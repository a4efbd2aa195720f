"""From a connection to a report: all checks and sections, findings by cause, what is new, what is muted, the verdict.

What fails costs its own part and no more: a note says what failed and why. An interruption ends everything.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

import duckdb

from queries.report.apps import apps, traffic
from queries.report.asked import Asked
from queries.report.causes import grouped
from queries.report.changes import changes
from queries.report.checks import CHECKS
from queries.report.model import Muted, Report
from queries.report.notes import narrowed_to, notes
from queries.report.sections import APART, SECTIONS
from queries.report.verdict import verdict
from queries.trust import Trust, trust

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from queries.report.asked import Early, Record
    from queries.report.model import Finding, Section, Window
    from queries.report.previous import Reported

    More = Callable[[duckdb.DuckDBPyConnection, Window], Iterable[Finding]]
    MoreSections = Callable[[duckdb.DuckDBPyConnection, Window], Section]

T = TypeVar("T")
# Each with all its effects; a lake that makes more has one problem that these show.
FINDINGS_MAX: Final = 200
_TOGETHER: Final = SECTIONS.keys() - APART
_REASON_MAX: Final = 300
_NOTHING: Final[Mapping[str, Any]] = {}
_NO_TRUST: Final = Trust(received=0, parsed=0, defective=0, repeated=0, dropped=0, share_seen=None)


def make(  # noqa: PLR0913 - what a report depends on
    connection: duckdb.DuckDBPyConnection,
    window: Window,
    made_at: datetime,
    more: Mapping[str, More] = _NOTHING,
    more_sections: Mapping[str, MoreSections] = _NOTHING,
    *,
    previous: Reported | None = None,
    mutes: Mapping[str, datetime] | None = None,
    early: Early = _NOTHING,
) -> Report:
    """The report of a window.

    ``more`` and ``more_sections``, by name, are asked besides what this package has, in a thread with a cursor of the
    connection, which sees all days of the lake; so are sections that share nothing with the others. ``previous`` is the
    report before this one (None: nothing is called new), ``mutes`` are ids with the time until which they are not told,
    ``early`` are known answers. Raises duckdb.InterruptException when interrupted, and nothing else of the lake.
    """
    trying, aside = _Trying(), _Trying()
    with Asked(connection, window, early) as asked, _thread_with_cursor(connection) as (pool, own):
        others = pool.submit(_more_findings, own, window, aside, more)
        other_sections = pool.submit(_more_sections, own, window, aside, more_sections)
        apart = pool.submit(_sections_apart, own, asked, aside)
        found = [*_findings(asked, trying), *others.result()]  # the detector computes while DuckDB reads
        near = trying.listed("The list of changes", lambda: changes(asked))
        told, muted = _told(grouped(found, near), made_at, previous, mutes or {})
        seen = trying.value("The share of lines seen", lambda: _trust(asked), _NO_TRUST)
        return Report(
            window=window,
            made_at=made_at,
            apps=trying.value("The list of apps", lambda: apps(asked), ()),
            verdict=verdict(told, seen, trying.value("The count of requests", lambda: traffic(asked), _no_traffic())),
            findings=told[:FINDINGS_MAX],
            sections=(*_in_order(_sections(asked, trying, _TOGETHER) | apart.result()), *other_sections.result()),
            trust=seen,
            muted=muted,
            previous_until=previous.until if previous else None,
            notes=(*trying.notes, *aside.notes, *_left_out(told), *_not_checked(asked, trying)),
        )


class _Trying:
    """Runs parts of a report and keeps a note for each that failed."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def value(self, what: str, part: Callable[[], T], otherwise: T) -> T:
        try:
            return part()
        except duckdb.InterruptException:
            raise
        except Exception as error:  # noqa: BLE001 - whatever bad data does to one part, the others must be told
            self.notes.append(f"{what} failed: {_reason(error)}.")
            return otherwise

    def listed(self, what: str, part: Callable[[], Iterable[T]]) -> list[T]:
        """All of an iterable up to where it fails."""
        found: list[T] = []
        self.value(what, lambda: _take(part(), found), None)
        return found


def _take(items: Iterable[T], found: list[T]) -> None:
    for item in items:
        found.append(item)  # noqa: PERF402 - one by one: what came before a failure is kept


def _reason(error: Exception) -> str:
    """The first line of an error."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return text[:_REASON_MAX].removesuffix(".")


@contextmanager
def _thread_with_cursor(
    connection: duckdb.DuckDBPyConnection,
) -> Iterator[tuple[ThreadPoolExecutor, duckdb.DuckDBPyConnection]]:
    """Waits at the end for what the thread does; after an error it is stopped."""
    with connection.cursor() as own, ThreadPoolExecutor(1) as pool:
        try:
            yield pool, own
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            own.interrupt()  # else its query would be waited for
            raise


def _findings(asked: Asked, trying: _Trying) -> list[Finding]:
    found: list[Finding] = []
    for name, check in CHECKS.items():
        found += trying.listed(f"The check of {name}", lambda check=check: check(asked))  # type: ignore[misc]
    return found


def _more_findings(
    connection: duckdb.DuckDBPyConnection, window: Window, trying: _Trying, more: Mapping[str, More]
) -> list[Finding]:
    found: list[Finding] = []
    for name, ask in more.items():
        found += trying.listed(f"The check of {name}", lambda ask=ask: ask(connection, window))  # type: ignore[misc]
    return found


def _sections(asked: Asked, trying: _Trying, names: Collection[str]) -> dict[str, Section]:
    made: dict[str, Section] = {}
    for name, ask in SECTIONS.items():
        if name in names:
            for section in trying.listed(f"The section on {name}", lambda ask=ask: [_looked_at(asked, ask)]):  # type: ignore[misc]
                made[name] = section
    return made


def _in_order(sections: Mapping[str, Section]) -> Iterator[Section]:
    yield from (sections[name] for name in SECTIONS if name in sections)


def _sections_apart(connection: duckdb.DuckDBPyConnection, beside: Asked, trying: _Trying) -> dict[str, Section]:
    """Sections made on a connection of its own; what they narrow is told beside what the other one did."""
    with Asked(connection, beside.window, counted=beside.counted, listing=beside.listing) as asked:
        made = _sections(asked, trying, APART)
    beside.narrowed |= asked.narrowed
    return made


def _more_sections(
    connection: duckdb.DuckDBPyConnection, window: Window, trying: _Trying, more: Mapping[str, MoreSections]
) -> list[Section]:
    made: list[Section] = []
    for name, ask in more.items():
        made += trying.listed(f"The section on {name}", lambda ask=ask: [ask(connection, window)])  # type: ignore[misc]
    return made


def _looked_at(asked: Asked, ask: Callable[[Asked], Section]) -> Section:
    """A section, which says of what part of a long window its answers are."""
    section = ask(asked)
    names: dict[str, list[str]] = {}
    for answer in section.answers:
        if answer.question in asked.narrowed:
            names.setdefault(narrowed_to(asked, answer.question), []).append(answer.question)
    said = "".join(f" Only {when}: {', '.join(questions)}." for when, questions in names.items())
    return replace(section, sentence=section.sentence + said)


def _told(
    findings: Iterable[Finding],
    made_at: datetime,
    previous: Reported | None,
    mutes: Mapping[str, datetime],
) -> tuple[tuple[Finding, ...], tuple[Muted, ...]]:
    """What is told and what is muted, in order; new is what the report before did not have."""
    told: list[Finding] = []
    muted: list[Muted] = []
    for finding in findings:
        until = mutes.get(finding.id)
        if until is not None and until > made_at:
            muted.append(Muted(finding, until))
        else:
            told.append(replace(finding, is_new=previous is not None and finding.id not in previous.ids))
    return tuple(told), tuple(muted)


def _left_out(told: Sequence[Finding]) -> Iterator[str]:
    if len(told) > FINDINGS_MAX:
        yield f"Only the worst {FINDINGS_MAX:,} of {len(told):,} findings are told."


def _not_checked(asked: Asked, trying: _Trying) -> list[str]:
    return trying.listed("The list of what was not checked", lambda: notes(asked))


def _trust(asked: Asked) -> Trust:
    with asked.connection.cursor() as own:
        return trust(own, asked.window.since, asked.window.until, asked.window.app_name)


def _no_traffic() -> Record:
    return {"requests": 0, "balanced": 0, "failed": 0, "p95_ms": None}
