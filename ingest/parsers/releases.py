"""Changes to the app, as Heroku's API reports them (``app[api]``, before 2015 ``heroku[api]``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from ingest.records import rows
from ingest.schema import RELEASES

if TYPE_CHECKING:
    from ingest.records import Records

_EVENTS: Final = (
    (r"^Deploy \S", "deploy"),
    (r"^Release v\d+ created by", "release"),
    (r"^Rollback to v\d+", "rollback"),
    (r"^Scaled? to ", "scale"),
    (r"^(?:Set|Remove|Unset) .*\bconfig vars?\b", "config"),
    (r"^(?:Attach|Detach) |^(?:Add|Remove|Update|Upgrade) .* add-on\b|^@ref:", "addon"),
    (r"^Build ", "build"),
)
_VERSION: Final = r"^(?:Release|Rollback to) v(\d{1,9})\b"
_ACTOR: Final = r"^.* by(?: user)? (\S.*)$"


def parse(records: Records) -> pl.DataFrame:
    """Rows of the releases table, one per record, in order."""
    message = pl.col("message")
    event = pl.coalesce(pl.when(message.str.contains(shape)).then(pl.lit(name)) for shape, name in _EVENTS)
    columns = pl.DataFrame({"message": records.messages()}).select(
        "message",
        event=event.fill_null("other"),
        version=message.str.extract(_VERSION).cast(pl.Int32),
        actor=message.str.extract(_ACTOR),
    )
    return rows(RELEASES, records, columns.to_dict())
