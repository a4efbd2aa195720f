"""Findings that are not told until a date, as the note ``_mutes.json`` in the lake."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from queries.delivery.notes import NoteError, damaged, read, time_of, time_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from queries.delivery.notes import Notes

NAME: Final = "_mutes.json"
VERSION: Final = 1
MUTES_MAX: Final = 1000
WHY_MAX_CHARS: Final = 200
ID: Final = re.compile(r"[0-9a-f]{10}")


@dataclass(frozen=True)
class Mute:
    """A finding by its id, until when it is not told, and why."""

    finding_id: str
    until: datetime
    made_at: datetime
    why: str = ""


def muted(notes: Notes, now: datetime) -> dict[str, Mute]:
    """What is muted now, by id; raises :class:`NoteError`."""
    return {found: mute for found, mute in decode(notes.note(NAME)).items() if mute.until > now}


def mute(notes: Notes, wanted: Mute) -> None:
    """Mute a finding, or change until when; mutes that have ended are dropped."""

    def change(before: dict[str, Mute]) -> dict[str, Mute]:
        kept = {found: each for found, each in before.items() if each.until > wanted.made_at}
        if len(kept) >= MUTES_MAX and wanted.finding_id not in kept:
            raise NoteError(f"{MUTES_MAX} findings are muted already; drainlake mute ID --off")
        return kept | {wanted.finding_id: wanted}

    _change(notes, change)


def unmute(notes: Notes, finding_id: str) -> bool:
    """Tell a finding again; False if it was not muted."""
    was_muted = False

    def change(before: dict[str, Mute]) -> dict[str, Mute]:
        nonlocal was_muted
        was_muted = finding_id in before
        return {found: each for found, each in before.items() if found != finding_id}

    _change(notes, change)
    return was_muted


def decode(data: bytes | None) -> dict[str, Mute]:
    """The mutes in a note, by id."""
    found = read(NAME, data, VERSION)
    if found is None:
        return {}
    try:
        each = [Mute(m["id"], time_of(m["until"]), time_of(m["made_at"]), str(m["why"])) for m in found["mutes"]]
    except (ValueError, TypeError, KeyError):
        raise damaged(NAME) from None
    return {mute.finding_id: mute for mute in each}


def encode(mutes: Mapping[str, Mute]) -> bytes:
    """The note of these mutes."""
    rows = [
        {"id": m.finding_id, "until": time_text(m.until), "made_at": time_text(m.made_at), "why": m.why[:WHY_MAX_CHARS]}
        for m in sorted(mutes.values(), key=lambda each: each.finding_id)
    ]
    return json.dumps({"version": VERSION, "mutes": rows}, indent=1).encode()


def _change(notes: Notes, change: Callable[[dict[str, Mute]], dict[str, Mute]]) -> None:
    notes.change_note(NAME, lambda data: encode(change(decode(data))))
