"""The ledger: what was due, what rings, and what has reached whom, as the note ``_delivery.json`` in the lake.

Every step is one compare-and-swap of this note, and correctness rests on that alone; clocks only decide who waits for
whom. A kill between any two steps leaves one of these, and each has its answer:

* *claimed, not finished*: whoever holds the claim makes the report or looks for alarms. Nothing was sent. When its
  lease has ended another process claims the run; the first one, should it still live, is refused when it finishes.
* *a parcel waits*: a message is in the ledger and nobody has begun to send it to that destination. Anyone sends it.
* *a parcel is begun*: a process was about to send it, or has just sent it. When its lease has ended it becomes
  *unknown*: it may have arrived, so it is not sent again, and the next message and ``drainlake status`` say so.
* *sent*, *unknown*, *given up*: final.

What is in here never holds a secret: destinations go by their names.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import datetime
from enum import StrEnum
from types import UnionType
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args, get_origin, get_type_hints

from queries.delivery.notes import damaged, read, time_of, time_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from queries.delivery.notes import Notes

NAME: Final = "_delivery.json"
VERSION: Final = 1
FINAL_MESSAGES_MAX: Final = 60
WAITING_MESSAGES_MAX: Final = 60
NEWS_MAX: Final = 50
TEXT_MAX_CHARS: Final = 12_000
LINE_MAX_CHARS: Final = 500
Result = TypeVar("Result")


class Kind(StrEnum):
    """What a message is."""

    REPORT = "report"
    ALARM = "alarm"


class State(StrEnum):
    """How far a message is on its way to one destination."""

    WAITING = "waiting"
    BEGUN = "begun"
    SENT = "sent"
    UNKNOWN = "unknown"  # begun, and the process died: it may have arrived
    GIVEN_UP = "given up"


FINAL: Final = frozenset({State.SENT, State.UNKNOWN, State.GIVEN_UP})


@dataclass(frozen=True)
class Claim:
    """A process that works on a due run. ``token`` is its own; ``until`` is when others may take it for dead."""

    token: str
    due_at: datetime
    until: datetime


@dataclass(frozen=True)
class Track:
    """How far one kind of run is.

    Due instants up to ``handled_until`` need nothing more; the windows of reports made so far end at
    ``covered_until``. ``failures`` in a row, and no new try before ``retry_at``.
    """

    handled_until: datetime
    covered_until: datetime | None = None
    claim: Claim | None = None
    failures: int = 0
    retry_at: datetime | None = None


@dataclass(frozen=True)
class Parcel:
    """One message on its way to one destination. ``reason`` says why the last try failed, in fixed words."""

    destination: str
    state: State = State.WAITING
    tries: int = 0
    next_at: datetime | None = None
    token: str = ""
    until: datetime | None = None
    reason: str = ""


@dataclass(frozen=True)
class Message:
    """What is sent. A report's window is [since, until); its page lies in ``reports/`` under the message's id.

    ``told`` are the lines of the text that are not of the report: that it is late, what happened in sending.
    Once every parcel is final the text is dropped: it is what takes room. An alarm without anything critical waits for
    the end of quiet hours.
    """

    id: str
    kind: Kind
    due_at: datetime
    made_at: datetime
    title: str
    text: str
    parcels: tuple[Parcel, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    is_critical: bool = False
    told: tuple[str, ...] = ()

    @property
    def is_final(self) -> bool:
        """Whether nothing is left to do for it."""
        return all(parcel.state in FINAL for parcel in self.parcels)


@dataclass(frozen=True)
class Episode:
    """A finding from its beginning until it has been gone for an hour.

    ``told`` is the severity that was told last, 0 for none. ``is_held`` means that it wanted to ring, but in quiet
    hours or over the limit of messages.
    """

    id: str
    app: str
    sentence: str
    severity: int
    began_at: datetime
    until: datetime
    ended_at: datetime | None = None
    told: int = 0
    is_held: bool = False


@dataclass(frozen=True)
class Ledger:
    """All of it. ``news`` are sentences for the next message; ``held_count`` alarms had to wait since the last one."""

    tracks: dict[str, Track] = field(default_factory=dict)
    messages: tuple[Message, ...] = ()
    episodes: tuple[Episode, ...] = ()
    news: tuple[str, ...] = ()
    held_count: int = 0


def transact(notes: Notes, change: Callable[[Ledger], tuple[Ledger, Result]]) -> Result:
    """Change the ledger by one compare-and-swap, and give what the change that was kept found.

    ``change`` may meet its own outcome: where an answer of S3 was lost it is called again. It must be the same then.
    """
    results: list[Result] = []

    def apply(data: bytes | None) -> bytes:
        before = decode(data)
        after, result = change(before)
        results[:] = [result]
        return data if data is not None and after == before else encode(after)

    notes.change_note(NAME, apply)
    return results[0]


def load(notes: Notes) -> Ledger:
    """The ledger as it stands; an empty one if there is none yet."""
    return decode(notes.note(NAME))


def encode(ledger: Ledger) -> bytes:
    """The note of a ledger, within its limits: old final messages go, long texts are cut."""
    return json.dumps({"version": VERSION} | _plain(bounded(ledger)), indent=1).encode()


def decode(data: bytes | None) -> Ledger:
    """The ledger in a note; raises :class:`NoteError` for what this version did not write."""
    found = read(NAME, data, VERSION)
    if found is None:
        return Ledger()
    try:
        ledger: Ledger = _typed(Ledger, {name: value for name, value in found.items() if name != "version"})
    except (ValueError, TypeError, KeyError, AttributeError):
        raise damaged(NAME) from None
    return ledger


def bounded(ledger: Ledger) -> Ledger:
    """The ledger within its limits. A message that must go before it was sent leaves a sentence in the news."""
    messages = [_without_text(m) if m.is_final else m for m in ledger.messages]
    final = [m for m in messages if m.is_final][-FINAL_MESSAGES_MAX:]
    waiting = [m for m in messages if not m.is_final]
    lost = waiting[:-WAITING_MESSAGES_MAX]
    told = tuple(f"Too many messages waited to be sent, and this one was dropped: {m.title}" for m in lost)
    kept = {id(m) for m in (*final, *waiting[len(lost) :])}
    return replace(
        ledger,
        messages=tuple(replace(m, text=m.text[:TEXT_MAX_CHARS]) for m in messages if id(m) in kept),
        news=tuple(line[:LINE_MAX_CHARS] for line in (*ledger.news, *told))[-NEWS_MAX:],
    )


def _without_text(message: Message) -> Message:
    return replace(message, text="", told=())


def _plain(value: Any) -> Any:
    """A dataclass as what JSON holds."""
    if is_dataclass(value):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return time_text(value) if isinstance(value, datetime) else value


def _typed(kind: Any, value: Any) -> Any:
    """What JSON holds as a value of a type that stands in the dataclasses here; raises for another shape."""
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{name: _typed(hints[name], item) for name, item in value.items()})  # type: ignore[operator]
    if get_origin(kind) is UnionType:
        return None if value is None else _typed(get_args(kind)[0], value)
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise TypeError("not a list")
        return tuple(_typed(get_args(kind)[0], item) for item in value)
    if get_origin(kind) is not None:
        return {str(name): _typed(get_args(kind)[1], item) for name, item in value.items()}
    return _scalar(kind, value)


def _scalar(kind: Any, value: Any) -> Any:
    if kind is datetime:
        return time_of(value)
    if issubclass(kind, StrEnum):
        return kind(value)
    if type(value) is not kind:
        raise TypeError("another type")
    return value
