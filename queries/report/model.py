"""What a report holds, before it is a page, Markdown, JSON or a message.

All text here is plain text that may hold pieces of log lines, which attackers write: whoever renders it escapes it.
Times are UTC. A report is made once and rendered in any number of forms, so that all of them say the same.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from queries.trust import Trust


class Severity(IntEnum):
    """How bad a finding is; the highest comes first. From WARNING on something is wrong: exit code 3."""

    NOTICE = 1  # worth knowing
    WARNING = 2  # costs money, speed or some requests; mend it this week
    CRITICAL = 3  # visitors get errors, or will within hours


@dataclass(frozen=True)
class Window:
    """The time that is asked about, [since, until), and the app; None is all apps."""

    since: datetime
    until: datetime
    app_name: str | None = None


@dataclass(frozen=True)
class Key:
    """The value that matters of a chart, and when it was reached."""

    label: str
    value: float
    at: datetime


@dataclass(frozen=True)
class Line:
    """One line of a chart: a value or None (unknown, drawn as a gap) at each of the chart's moments."""

    label: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class Threshold:
    """A level that is drawn across, such as the memory quota."""

    label: str
    value: float


@dataclass(frozen=True)
class Marker:
    """A moment that is drawn down, such as a deploy."""

    label: str
    at: datetime


@dataclass(frozen=True)
class Chart:
    """Lines over time, at most 1,500 moments. ``unit`` is 'requests', 'ms', 'MB', '%', 'bytes', 'lines' …"""

    title: str
    unit: str
    times: Sequence[datetime]
    lines: tuple[Line, ...]
    keys: tuple[Key, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    markers: tuple[Marker, ...] = ()


@dataclass(frozen=True)
class Answer:
    """Rows of a question: names of the columns, the first rows, how many there are, and the SQL that gives them all."""

    question: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    row_count: int
    sql: str


@dataclass(frozen=True)
class Finding:
    """One thing that is so, said in one sentence, with what proves it.

    ``kind`` and ``subject`` (a route, a dyno, a file …; '' for the app as a whole) stay the same from report to report
    as long as the cause does: the id is made of them, and what is known by it (new, muted) holds.
    """

    kind: str
    app: str
    subject: str
    severity: Severity
    sentence: str
    since: datetime
    until: datetime
    sql: str  # runs in `drainlake sql`, and gives the rows that the sentence is made from
    command: str  # a shell line that digs further
    advice: str = ""  # what to do; may have several lines
    request_ids: tuple[str, ...] = ()  # at most three, to look up in the app's own log
    chart: Chart | None = None
    also: tuple[str, ...] = ()  # sentences about what has the same cause, deploys and restarts near it
    is_new: bool = False

    @property
    def id(self) -> str:
        """Ten hexadecimal digits that name the cause, for muting and for telling what is new."""
        return hashlib.sha256(f"{self.app}\0{self.kind}\0{self.subject}".encode(errors="surrogatepass")).hexdigest()[
            :10
        ]


@dataclass(frozen=True)
class Section:
    """A standing question: what its answer is in a sentence, drawn, and in rows."""

    name: str  # of its anchor: 'timeouts', 'memory' …
    title: str
    sentence: str
    charts: tuple[Chart, ...] = ()
    answers: tuple[Answer, ...] = ()


@dataclass(frozen=True)
class Muted:
    """A finding that is not told until a date, and not counted in the verdict."""

    finding: Finding
    until: datetime


@dataclass(frozen=True)
class Report:
    """All of it. ``findings`` are worst first; ``previous_until`` is the end of the report that "new" compares with."""

    window: Window
    made_at: datetime
    apps: tuple[str, ...]
    verdict: str
    findings: tuple[Finding, ...]
    sections: tuple[Section, ...]
    trust: Trust
    muted: tuple[Muted, ...] = ()
    previous_until: datetime | None = None
    notes: tuple[str, ...] = ()  # what was left out and why
    settings: Mapping[str, str] = field(default_factory=dict)  # what the figures depend on: alarm budget, objectives

    @property
    def is_wrong(self) -> bool:
        """Whether something is wrong, for the exit code."""
        return any(finding.severity >= Severity.WARNING for finding in self.findings)
