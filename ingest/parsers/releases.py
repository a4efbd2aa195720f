"""Changes to the app, as Heroku's API reports them (``app[api]``, before 2015 ``heroku[api]``), one by one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ingest.records import read_singly
from ingest.schema import RELEASES

if TYPE_CHECKING:
    import pyarrow as pa

    from ingest.records import Records

_EVENTS: Final = (
    (re.compile(r"Deploy \S"), "deploy"),
    (re.compile(r"Release v[0-9]+ created by"), "release"),
    (re.compile(r"Rollback to v[0-9]+"), "rollback"),
    (re.compile(r"Scaled? to "), "scale"),
    (re.compile(r"(?:Set|Remove|Unset) .*\bconfig vars?\b"), "config"),
    (re.compile(r"(?:Attach|Detach) |(?:Add|Remove|Update|Upgrade) .* add-on\b|@ref:"), "addon"),
    (re.compile(r"Build "), "build"),
)
_VERSION: Final = re.compile(r"(?:Release|Rollback to) v([0-9]{1,9})\b")
_ACTOR: Final = re.compile(r".* by(?: user)? (\S.*)", re.DOTALL)


def parse(records: Records) -> pa.RecordBatch:
    """Rows of the releases table, one per record, in order."""
    return read_singly(RELEASES, records, parse_line)


def parse_line(message: str) -> dict[str, str | int | None]:
    """The columns of one line."""
    version, actor = _VERSION.match(message), _ACTOR.fullmatch(message)
    return {
        "event": next((event for shape, event in _EVENTS if shape.match(message)), "other"),
        "version": int(version[1]) if version else None,
        "actor": actor[1] if actor else None,
        "message": message,
    }
