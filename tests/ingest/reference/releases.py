"""Lines of the API about changes to the app (heroku-logs.md 5)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.ingest.reference.numbers import INTEGER, whole

if TYPE_CHECKING:
    from tests.ingest.reference.header import Line

# The first wording that matches names the event.
WORDINGS = (
    ("deploy", re.compile(r"Deploy(?:ed)? ")),
    ("release", re.compile(r"Release v([0-9]+) created by\b")),
    ("rollback", re.compile(r"Rollback to v([0-9]+)")),
    ("scale", re.compile(r"(?:Scaled|Scale) to ")),
    ("config", re.compile(r"(?:Set|Remove) .*\bconfig vars?\b")),
    ("addon", re.compile(r"(?:Attach|Detach) |Add .*\badd-on\b|@ref:.* completed provisioning")),
    ("build", re.compile(r"Build ")),
)
ACTOR = re.compile(r".* by (?:user )?(.+)", re.DOTALL)


def parse(line: Line) -> dict[str, Any]:
    """The columns of one API line; the actor is the text after the last `` by `` or `` by user ``."""
    event, version = "other", None
    for name, wording in WORDINGS:
        if match := wording.match(line.message):
            event, version = name, whole(match[1], INTEGER) if wording.groups else None
            break
    actor = ACTOR.fullmatch(line.message)
    return {"event": event, "version": version, "actor": actor[1] if actor else None, "message": line.message}
