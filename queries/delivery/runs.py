"""Which run is due, who does it, and how it ends: the first half of the protocol that ``ledger`` states.

A run that is late is done late. Of several missed ones only the newest is done, and its report looks back to where the
last one ended, so that nothing falls between; the others are named in it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from queries.delivery.ledger import Claim, Kind, Ledger, Track

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from queries.delivery.cron import Cron

LEASE: Final = timedelta(minutes=20)  # longer than a run may take before it is ended
FIRST_LOOK_BACK: Final = timedelta(minutes=10)  # a CronJob starts after the instant that it is meant for
# How far a run that was noted as done may lie ahead of this clock. Beyond that the clock which noted it was wrong. A
# report is not sent twice because a clock went back by hours; a check that is done twice rings nothing twice, while one
# that waits for the clock to catch up is blind.
FUTURE_MAX: Final = {Kind.REPORT: timedelta(days=1), Kind.ALARM: timedelta(minutes=10)}
WINDOW_MAX: Final = timedelta(days=7)
LATE_FROM: Final = timedelta(minutes=10)
SKIPPED_MAX: Final = 50
FAILURES_MAX: Final = 3
RETRY_PAUSE: Final = timedelta(minutes=2)


@dataclass(frozen=True)
class Work:
    """A claimed run. ``skipped`` are due instants before it that no run was done for, newest first.

    ``since`` is where a report's window begins; ``is_cut`` if that is later than where the last one ended.
    """

    kind: Kind
    token: str
    due_at: datetime
    since: datetime
    skipped: tuple[datetime, ...] = ()
    is_cut: bool = False


def claim(ledger: Ledger, kind: Kind, cron: Cron, now: datetime, token: str) -> tuple[Ledger, Work | None]:
    """Claim the newest due run of a kind, if there is one that nobody has done or is doing."""
    track, told = _sane(ledger.tracks.get(kind), kind, now)
    work = _work(track, kind, cron, now, token)
    if work is not None:
        track = replace(track, claim=Claim(token, work.due_at, now + LEASE))
    return replace(ledger, tracks={**ledger.tracks, kind: track}, news=ledger.news + told), work


def holds(ledger: Ledger, work: Work) -> bool:
    """Whether the run is still this process's; when it was taken over, what it has made must not be sent."""
    track = ledger.tracks.get(work.kind)
    return track is not None and track.claim is not None and track.claim.token == work.token


def finish(ledger: Ledger, work: Work) -> Ledger:
    """Note that a run was done."""
    before = ledger.tracks[work.kind]
    track = Track(max(work.due_at, before.handled_until), work.due_at)
    return replace(ledger, tracks={**ledger.tracks, work.kind: track})


def abandoned(ledger: Ledger, kind: Kind, cron: Cron, now: datetime, is_dead: Callable[[str], bool]) -> Work | None:
    """The run of a process that claimed it and died, if there is one; ``is_dead`` knows tokens of such processes."""
    track = ledger.tracks.get(kind)
    if track is None or track.claim is None or (_is_fresh(track.claim, now) and not is_dead(track.claim.token)):
        return None
    due_at = track.claim.due_at
    return Work(kind, track.claim.token, due_at, track.covered_until or due_at - _period(cron, due_at))


def fail(ledger: Ledger, work: Work, now: datetime, pause: timedelta = RETRY_PAUSE) -> tuple[Ledger, bool]:
    """Note that a run failed; True once that must be told, which is at the third failure in a row.

    A report is tried again after a pause that doubles; after the third failure it is left, and the next one's window
    begins where this one's would have. A check is not tried again: the next one is due in minutes.
    """
    before = ledger.tracks[work.kind]
    failures = before.failures + 1
    is_left = work.kind is Kind.ALARM or failures >= FAILURES_MAX
    track = Track(
        work.due_at if is_left else before.handled_until,
        before.covered_until or work.since,
        failures=0 if is_left and work.kind is Kind.REPORT else failures,
        retry_at=None if is_left else now + pause * 2 ** (failures - 1),
    )
    return replace(ledger, tracks={**ledger.tracks, work.kind: track}), failures == FAILURES_MAX


def release(ledger: Ledger, work: Work) -> Ledger:
    """Give a claim back, so that another process may do the run at once."""
    if not holds(ledger, work):
        return ledger
    track = replace(ledger.tracks[work.kind], claim=None)
    return replace(ledger, tracks={**ledger.tracks, work.kind: track})


def _sane(track: Track | None, kind: Kind, now: datetime) -> tuple[Track, tuple[str, ...]]:
    """A track that can be: with a beginning, and not of a future in which a wrong clock has been."""
    if track is None:
        return Track(now - FIRST_LOOK_BACK), ()
    if track.handled_until <= now + FUTURE_MAX[kind]:
        return track, ()
    told = f"The clock was wrong: runs up to {track.handled_until:%Y-%m-%d %H:%M} UTC had been noted as done."
    return Track(now - FIRST_LOOK_BACK), (told,)


def _work(track: Track, kind: Kind, cron: Cron, now: datetime, token: str) -> Work | None:
    if track.claim is not None and track.claim.token != token and _is_fresh(track.claim, now):
        return None
    if track.retry_at is not None and now < track.retry_at <= now + FUTURE_MAX[kind]:
        return None
    due = cron.between(track.handled_until, now, SKIPPED_MAX + 1)
    if not due:
        return None
    period = _period(cron, due[0])
    wanted = track.covered_until if track.covered_until and track.covered_until < due[0] else due[-1] - period
    since = max(wanted, due[0] - max(WINDOW_MAX, period))
    return Work(kind, token, due[0], since, due[1:], is_cut=since > wanted)


def _period(cron: Cron, due_at: datetime) -> timedelta:
    return due_at - cron.latest(due_at, 2)[-1]


def _is_fresh(claim: Claim, now: datetime) -> bool:
    # A lease that ends further off than any can was written by a clock ahead of ours by hours: nobody waits for it.
    return now < claim.until <= now + 2 * LEASE
