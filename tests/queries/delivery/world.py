"""A world for the schedule: a clock that is set by hand, notes in memory, destinations that fail on demand."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from queries.delivery import cron, quiet
from queries.delivery.ledger import Ledger, load
from queries.delivery.outbox import Refused, Unsure
from queries.delivery.schedule import Done, Makers, Plan, run
from queries.delivery.sending import Post
from queries.report.model import Finding, Report, Severity, Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from queries.delivery.outbox import Begun
    from queries.trust import Trust

UTC_ZONE = ZoneInfo("UTC")
BERLIN = ZoneInfo("Europe/Berlin")
NO_TRUST: Trust = {"received": 0, "repeated": 0, "defective": 0, "dropped": 0}  # type: ignore[typeddict-item]


def at(text: str) -> datetime:
    """An instant of November 2026: ``26 07:00``."""
    return datetime.strptime(f"2026-11-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC)


def finding(kind: str = "timeouts", severity: Severity = Severity.WARNING, **more: object) -> Finding:
    """A finding that began at seven and is still so."""
    base = Finding(
        kind, "shop", "/cart", severity, f"{kind} on /cart", at("26 07:00"), at("26 07:05"), "SELECT 1", "look"
    )
    return replace(base, **more)  # type: ignore[arg-type]


def report(window: Window, now: datetime, *findings: Finding, verdict: str = "All is well.") -> Report:
    """A report of these findings."""
    return Report(window, now, ("shop",), verdict, findings, (), NO_TRUST)


@dataclass
class MemoryNotes:
    """Notes of one process after the other. With ``repeats`` each change meets its own outcome, as when S3's answer
    to the first write was lost."""

    notes: dict[str, bytes] = field(default_factory=dict)
    repeats: bool = False

    def note(self, name: str) -> bytes | None:
        """The note."""
        return self.notes.get(name)

    def change_note(self, name: str, change: Callable[[bytes | None], bytes]) -> bytes:
        """Change it."""
        for _ in range(1 + self.repeats):
            self.notes[name] = change(self.note(name))
        return self.notes[name]


@dataclass
class World:
    """All that a run needs.

    ``down`` are destinations that refuse, ``slow`` those that take too long; ``dead`` are tokens of processes that are
    known to be dead.
    """

    now: datetime
    plan: Plan
    notes: MemoryNotes = field(default_factory=MemoryNotes)
    findings: list[Finding] = field(default_factory=list)
    muted: set[str] = field(default_factory=set)
    down: set[str] = field(default_factory=set)
    slow: set[str] = field(default_factory=set)
    dead: set[str] = field(default_factory=set)
    broken: str = ""
    sent: list[tuple[str, str, str]] = field(default_factory=list)
    tries: list[tuple[str, datetime]] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    saved: list[str] = field(default_factory=list)
    numbers: count[int] = field(default_factory=count)

    def run(self, fault: Callable[[str], None] = lambda point: None) -> Done:
        """One run of the schedule."""
        quiet_hours = self.plan.quiet
        post = Post(
            self.notes,
            self._send,
            lambda: self.now,
            self._sleep,
            lambda: f"token {next(self.numbers)}",
            lambda: 0.5,
            lambda now: quiet_hours is not None and quiet_hours.contain(now),
            lambda token: token in self.dead,
            fault,
        )
        return run(post, self.plan, Makers(self._report, self._check, lambda now: tuple(self.muted), self._save))

    def run_at(self, text: str) -> list[tuple[str, str, str]]:
        """One run at a time; gives what was sent: destination, title, text."""
        self.now, before = at(text), len(self.sent)
        self.run()
        return self.sent[before:]

    @property
    def ledger(self) -> Ledger:
        """The ledger as it stands."""
        return load(self.notes)

    def _send(self, begun: Begun) -> None:
        self.tries.append((begun.destination, self.now))
        if begun.destination in self.down:
            raise Refused("it answered HTTP 500")
        self.sent.append((begun.destination, begun.message.title, begun.message.text))
        if begun.destination in self.slow:
            raise Unsure

    def _sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def _report(self, window: Window, now: datetime) -> Report:
        self._break()
        self.windows.append(window)
        return report(window, now, *self.findings)

    def _check(self, now: datetime) -> list[Finding]:
        self._break()
        return list(self.findings)

    def _break(self) -> None:
        if self.broken:
            raise RuntimeError(self.broken)

    def _save(self, name: str, made: Report, text: str) -> None:
        self.saved.append(name)


def reports(
    begin: str, *to: str, cron_text: str = "0 7 * * *", zone: ZoneInfo = UTC_ZONE, repeats: bool = False
) -> World:
    """A world with reports only, that has been looked at once at ``begin``."""
    world = World(at(begin), Plan(zone, cron.parse(cron_text, zone), None, None, to or ("mail",)))
    world.notes.repeats = repeats
    world.run()
    return world


def alarms(begin: str, *to: str, quiet_text: str = "") -> World:
    """A world with checks every five minutes only, that has been looked at once at ``begin``."""
    quiet_hours = quiet.parse(quiet_text, UTC_ZONE) if quiet_text else None
    plan = Plan(UTC_ZONE, None, cron.parse("*/5 * * * *", UTC_ZONE), quiet_hours, (), to or ("mail",))
    world = World(at(begin), plan)
    world.run()
    return world
