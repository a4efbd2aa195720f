"""Messages on their way: the second half of the protocol that ``ledger`` states.

A message has one parcel for each destination, and each goes its own way: one that works is not sent to twice because
another failed. Pauses between tries grow from 5 s to 15 min; after a week a parcel is given up, and that is told.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from queries.delivery.ledger import Kind, State

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from datetime import datetime

    from queries.delivery.ledger import Ledger, Message, Parcel

LEASE: Final = timedelta(minutes=5)  # longer than one try may take
FIRST_PAUSE_SECONDS: Final = 5.0
PAUSE_MAX_SECONDS: Final = 900.0
GIVE_UP_AFTER: Final = timedelta(days=7)


class Refused(Exception):  # noqa: N818 - no fault of ours
    """A destination did not take a message; the text is a reason in fixed words, without anything of its address."""


class Unsure(Exception):  # noqa: N818 - as above
    """A destination took too long: it may or may not have the message."""


@dataclass(frozen=True)
class Begun:
    """A message that this process may send to one destination now, as nobody else does."""

    message: Message
    destination: str
    token: str


def enqueue(ledger: Ledger, message: Message) -> Ledger:
    """Put a message in the ledger; one that is there already stays as it is.

    A report is there if one for its due instant is. An alarm is another one where it was made at another moment (a
    clock that went back comes to the same due instant twice), and gets a name of its own.
    """
    same = [each for each in ledger.messages if each.due_at == message.due_at and each.kind is message.kind]
    named = any(each.id == message.id for each in ledger.messages)
    if named and (message.kind is Kind.REPORT or any(each.made_at == message.made_at for each in same)):
        return ledger
    name = f"{message.id}-{len(same) + 1}" if named else message.id
    return replace(ledger, messages=(*ledger.messages, replace(message, id=name)))


def expire(
    ledger: Ledger,
    known: Collection[str],
    now: datetime,
    is_dead: Callable[[str], bool] = lambda token: False,  # noqa: ARG005
) -> Ledger:
    """Settle what can go no further: begun by a process that died, too old, or for a destination that is gone."""
    told: list[str] = []
    messages = []
    for message in ledger.messages:
        parcels = tuple(
            _died(parcel)
            if parcel.state is State.BEGUN and is_dead(parcel.token)
            else _expired(message, parcel, known, now)
            for parcel in message.parcels
        )
        for before, after in zip(message.parcels, parcels, strict=True):
            if after is not before:
                told.append(_said(message, after))
        messages.append(replace(message, parcels=parcels))
    return replace(ledger, messages=tuple(messages), news=(*ledger.news, *told))


def begin(ledger: Ledger, now: datetime, token: str, *, is_quiet: bool = False) -> tuple[Ledger, Begun | None]:
    """Take the oldest parcel that is due."""
    for message, parcel in _parcels(ledger):
        if parcel.state is State.BEGUN and parcel.token == token:
            return ledger, Begun(message, parcel.destination, token)  # the answer to this very step was lost
        if _waits(message, parcel, is_quiet) and _is_due(parcel, now):
            begun = replace(parcel, state=State.BEGUN, token=token, until=now + LEASE, tries=parcel.tries + 1)
            return _with(ledger, message.id, begun), Begun(message, parcel.destination, token)
    return ledger, None


def mark_sent(ledger: Ledger, begun: Begun) -> Ledger:
    """Note that a destination has it, also when others have taken this process for dead meanwhile."""
    return _marked(ledger, begun, State.SENT)


def mark_failed(ledger: Ledger, begun: Begun, now: datetime, reason: str, jitter: float) -> Ledger:
    """Note that a destination did not take it; it is tried again after a pause. ``jitter`` is from 0 to 1.

    What else waits for that destination waits as long: it would fail too, each after its time limit.
    """
    parcel = _parcel(ledger, begun)
    if parcel is None:
        return ledger
    pause = timedelta(seconds=pause_seconds(parcel.tries) * (0.8 + 0.4 * jitter))
    waiting = replace(parcel, state=State.WAITING, token="", until=None, next_at=now + pause, reason=reason)
    after = _with(ledger, begun.message.id, waiting)
    for message, other in _parcels(after):
        if other.state is State.WAITING and other.destination == begun.destination and _is_due(other, now + pause):
            after = _with(after, message.id, replace(other, next_at=now + pause))
    return after


def mark_unsure(ledger: Ledger, begun: Begun) -> Ledger:
    """Note that nobody can know whether a destination has it."""
    if _parcel(ledger, begun) is None:
        return ledger
    after = _marked(ledger, begun, State.UNKNOWN)
    return replace(after, news=(*after.news, unknown_sentence(begun.message, begun.destination, "it took too long")))


def pause_seconds(tries: int) -> float:
    """The pause after try number ``tries``: 5, 20, 80, 320, 900, 900 … s."""
    return min(FIRST_PAUSE_SECONDS * 4.0 ** min(max(tries - 1, 0), 10), PAUSE_MAX_SECONDS)


def next_due(ledger: Ledger, *, is_quiet: bool = False) -> datetime | None:
    """When the first waiting parcel is due; None if none waits."""
    waiting = [
        (parcel.next_at or message.made_at) for message, parcel in _parcels(ledger) if _waits(message, parcel, is_quiet)
    ]
    return min(waiting, default=None)


def unsent(ledger: Ledger) -> list[tuple[Message, Parcel]]:
    """What waits to be sent or is being sent, oldest first."""
    return [(message, parcel) for message, parcel in _parcels(ledger) if parcel.state in {State.WAITING, State.BEGUN}]


def unknown_sentence(message: Message, destination: str, why: str) -> str:
    """What is told of a message that may have arrived."""
    again = f" `drainlake report --send` sends one again; it is kept as {message.id}." if message.since else ""
    return f'"{message.title}" may not have reached you by {destination} ({why}).{again}'


def _waits(message: Message, parcel: Parcel, is_quiet: bool) -> bool:
    may_go = not is_quiet or message.is_critical or message.kind is not Kind.ALARM
    return parcel.state is State.WAITING and may_go


def _is_due(parcel: Parcel, now: datetime) -> bool:
    # A time further off than any pause was written by a clock that was wrong.
    return parcel.next_at is None or not now < parcel.next_at <= now + timedelta(seconds=2 * PAUSE_MAX_SECONDS)


def _parcels(ledger: Ledger) -> Iterator[tuple[Message, Parcel]]:
    return ((message, parcel) for message in ledger.messages for parcel in message.parcels)


def _parcel(ledger: Ledger, begun: Begun) -> Parcel | None:
    """The parcel as this process begun it; None when it is not its own any more."""
    found = (
        parcel
        for message, parcel in _parcels(ledger)
        if (message.id, parcel.destination, parcel.token, parcel.state)
        == (begun.message.id, begun.destination, begun.token, State.BEGUN)
    )
    return next(found, None)


def _marked(ledger: Ledger, begun: Begun, state: State) -> Ledger:
    for message, parcel in _parcels(ledger):
        if (message.id, parcel.destination, parcel.token) == (begun.message.id, begun.destination, begun.token):
            return _with(ledger, message.id, replace(parcel, state=state, until=None, reason=""))
    return ledger


def _with(ledger: Ledger, message_id: str, parcel: Parcel) -> Ledger:
    messages = tuple(
        replace(m, parcels=tuple(parcel if p.destination == parcel.destination else p for p in m.parcels))
        if m.id == message_id
        else m
        for m in ledger.messages
    )
    return replace(ledger, messages=messages)


def _expired(message: Message, parcel: Parcel, known: Collection[str], now: datetime) -> Parcel:
    if parcel.state is State.BEGUN and not (parcel.until and now < parcel.until <= now + 2 * LEASE):
        return _died(parcel)
    if parcel.state is not State.WAITING:
        return parcel
    if parcel.destination not in known:
        return replace(parcel, state=State.GIVEN_UP, reason="it is no destination any more")
    if now - message.made_at > GIVE_UP_AFTER:
        return replace(parcel, state=State.GIVEN_UP)
    return parcel


def _died(parcel: Parcel) -> Parcel:
    """Begun by a process that is dead: it may have arrived."""
    return replace(parcel, state=State.UNKNOWN, until=None)


def _said(message: Message, parcel: Parcel) -> str:
    if parcel.state is State.UNKNOWN:
        return unknown_sentence(message, parcel.destination, "the process died while sending")
    why = parcel.reason or "no reason is known"
    return f'"{message.title}" did not reach you by {parcel.destination} and is given up ({why}).'
