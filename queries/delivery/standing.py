"""How the schedule stands, for ``drainlake status``: what is due next, what was sent, what is kept unsent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from queries.delivery.ledger import Kind, Ledger, Message, Parcel, State
from queries.delivery.messages import plain_line, span
from queries.delivery.outbox import unsent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    from queries.delivery.cron import Cron
    from queries.delivery.schedule import Plan

MISSED_PERIODS: Final = 2  # a schedule that is late by a whole period does not run at all


@dataclass(frozen=True)
class Standing:
    """One line: what it is about, how it stands, and whether that is well."""

    part: str
    state: str
    well: bool = True


def stand(ledger: Ledger, plan: Plan, now: datetime) -> list[Standing]:
    """The lines of the schedule; none where it has never run."""
    if not ledger.tracks:
        return []
    parts = list(_kind(ledger, Kind.REPORT, plan.report_at, now))
    if plan.alarm_to:
        parts += _kind(ledger, Kind.ALARM, plan.check_at, now)
    return [*parts, *_unsent(ledger, now), *_unknown(ledger)]


def _kind(ledger: Ledger, kind: Kind, cron: Cron | None, now: datetime) -> Iterator[Standing]:
    name = {Kind.REPORT: "report", Kind.ALARM: "alarm check"}[kind]
    if cron is None:
        yield Standing(name, "off")
        return
    track = ledger.tracks.get(kind)
    missed = cron.between(track.handled_until, now, MISSED_PERIODS) if track else ()
    last = max((m.made_at for m in ledger.messages if m.kind is kind), default=None)
    made = f"last message {_ago(now - last)}" if last else "no message yet"
    if track and track.claim and track.claim.due_at <= now < track.claim.until:
        yield Standing(name, f"being made since {track.claim.due_at:%Y-%m-%d %H:%M} UTC, {made}")
        return
    if track and len(missed) >= MISSED_PERIODS:
        first = cron.next(track.handled_until)
        yield Standing(name, f"not run since {first:%Y-%m-%d %H:%M} UTC, {made}; run drainlake schedule", well=False)
        return
    failed = f", the last {track.failures} failed" if track and track.failures else ""
    yield Standing(name, f"next {cron.next(now):%Y-%m-%d %H:%M} UTC, {made}{failed}", well=not failed)


def _unsent(ledger: Ledger, now: datetime) -> Iterator[Standing]:
    for message, parcel in unsent(ledger):
        tries = f", {parcel.tries} tries: {parcel.reason}" if parcel.reason else ""
        state = (
            f'"{plain_line(message.title)}" waits for {parcel.destination} since {_ago(now - message.made_at)}{tries}'
        )
        yield Standing("unsent", state, well=parcel.tries == 0 or not parcel.reason)


def _unknown(ledger: Ledger) -> Iterator[Standing]:
    """Where the newest message to a destination did not certainly arrive."""
    newest: dict[str, tuple[Message, Parcel]] = {}
    for message in ledger.messages:
        for parcel in message.parcels:
            if parcel.state not in {State.WAITING, State.BEGUN}:
                newest[parcel.destination] = (message, parcel)
    for name, (message, parcel) in newest.items():
        if parcel.state is State.SENT:
            yield Standing("sent", f'"{plain_line(message.title)}" to {name}')
        else:
            said = "may not have reached" if parcel.state is State.UNKNOWN else "was given up for"
            yield Standing("unsent", f'"{plain_line(message.title)}" {said} {name}', well=False)


def _ago(age: timedelta) -> str:
    return f"{span(max(0.0, age.total_seconds()))} ago"
