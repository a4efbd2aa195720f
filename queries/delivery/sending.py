"""Send what waits: begin a parcel in the ledger, send it, mark it; every step can be killed (see ``ledger``)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from queries.delivery import outbox
from queries.delivery.ledger import Ledger, load, transact
from queries.delivery.outbox import Begun, Refused, Unsure

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from queries.delivery.notes import Notes

WAIT_MAX: Final = timedelta(seconds=30)  # of one run, for pauses: what is not sent then is kept for the next
PARCELS_MAX: Final = 500


def no_fault(point: str) -> None:
    """Let the work go on. Tests pass a function that kills at a named point instead."""


@dataclass(frozen=True)
class Post:
    """How one process sends: where the ledger lies, how to send, the clock, and what tells this process from others.

    ``send`` raises :class:`Refused` or :class:`Unsure`. ``new_token`` gives another text each time, ``jitter`` a number
    from 0 to 1. ``is_quiet`` tells whether quiet hours hold back what is not critical, ``is_dead`` whether a token
    is of a process that is known to be dead: nobody need wait for its lease to end.
    """

    notes: Notes
    send: Callable[[Begun], None]
    now: Callable[[], datetime]
    sleep: Callable[[float], None]
    new_token: Callable[[], str]
    jitter: Callable[[], float]
    is_quiet: Callable[[datetime], bool] = lambda now: False  # noqa: ARG005
    is_dead: Callable[[str], bool] = lambda token: False  # noqa: ARG005
    fault: Callable[[str], None] = no_fault


@dataclass(frozen=True)
class Sent:
    """One try: where to, and why it failed; '' if it went."""

    message_id: str
    destination: str
    reason: str = ""


def deliver(post: Post, destinations: Collection[str], wait_max: timedelta = WAIT_MAX) -> list[Sent]:
    """Send what waits, oldest first; what failed again after its pauses, as long as these take ``wait_max`` at most."""
    transact(post.notes, lambda ledger: (outbox.expire(ledger, destinations, post.now(), post.is_dead), None))
    tries: list[Sent] = []
    deadline, slept_seconds = post.now() + wait_max, 0.0
    while True:
        tries += _round(post, PARCELS_MAX - len(tries))
        due = outbox.next_due(load(post.notes), is_quiet=post.is_quiet(post.now()))
        pause_seconds = max((due - post.now()).total_seconds(), 1.0) if due else 0.0
        slept_seconds += pause_seconds  # a clock that is set back must not make this longer
        is_over = post.now() > deadline or slept_seconds > wait_max.total_seconds()
        if due is None or is_over or due > deadline or len(tries) >= PARCELS_MAX:
            return tries
        post.sleep(pause_seconds)


def _round(post: Post, limit: int) -> list[Sent]:
    """Try all that is due now."""
    tries: list[Sent] = []
    while len(tries) < limit:
        post.fault("sending")
        begun = _begin(post, post.new_token())
        if begun is None:
            break
        tries.append(_send(post, begun))
    post.fault("idle")
    return tries


def _begin(post: Post, token: str) -> Begun | None:
    now = post.now()
    is_quiet = post.is_quiet(now)
    return transact(post.notes, lambda ledger: outbox.begin(ledger, now, token, is_quiet=is_quiet))


def _send(post: Post, begun: Begun) -> Sent:
    post.fault("begun")
    try:
        post.send(begun)
    except Refused as error:
        reason = str(error)
        _change(post, lambda ledger: outbox.mark_failed(ledger, begun, post.now(), reason, post.jitter()))
        post.fault("marked")
        return Sent(begun.message.id, begun.destination, reason)
    except Unsure:
        _change(post, lambda ledger: outbox.mark_unsure(ledger, begun))
        post.fault("marked")
        return Sent(begun.message.id, begun.destination, "it took too long, and may have it")
    post.fault("accepted")
    _change(post, lambda ledger: outbox.mark_sent(ledger, begun))
    post.fault("marked")
    return Sent(begun.message.id, begun.destination)


def _change(post: Post, change: Callable[[Ledger], Ledger]) -> None:
    transact(post.notes, lambda ledger: (change(ledger), None))
