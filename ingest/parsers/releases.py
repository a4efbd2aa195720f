"""Changes to the app, as Heroku's API reports them (``app[api]``, before 2015 ``heroku[api]``), one by one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ingest.parsers.numbers import INTEGER_MAX, whole
from ingest.records import read_singly
from ingest.schema import RELEASES

if TYPE_CHECKING:
    import pyarrow as pa

    from ingest.records import Records

# The first wording that matches names the event; its group, if it has one, is the release number.
_WORDINGS: Final = (
    ("deploy", re.compile(r"Deploy(?:ed)? ")),
    ("release", re.compile(r"Release v([0-9]+) created by\b")),
    ("rollback", re.compile(r"Rollback to v([0-9]+)")),
    ("scale", re.compile(r"(?:Scaled|Scale) to ")),
    ("config", re.compile(r"(?:Set|Remove) .*\bconfig vars?\b")),
    ("addon", re.compile(r"(?:Attach|Detach) |Add .*\badd-on\b|@ref:.* completed provisioning")),
    ("build", re.compile(r"Build ")),
)
_ACTOR: Final = re.compile(r".* by (?:user )?(.+)", re.DOTALL)


def parse(records: Records) -> pa.RecordBatch:
    """Rows of the releases table, one per record, in order."""
    return read_singly(RELEASES, records, [_line(message) for message in records.message_texts()])


def _line(message: str) -> dict[str, str | int | None]:
    event, version = "other", None
    for name, wording in _WORDINGS:
        if match := wording.match(message):
            event, version = name, whole(match[1], INTEGER_MAX) if wording.groups else None
            break
    actor = _ACTOR.fullmatch(message)
    return {"event": event, "version": version, "actor": actor[1] if actor else None, "message": message}
