"""What cannot be on a Heroku dyno: anything that has to last. Pure.

A dyno's disk is scratch: it is emptied at each restart, which comes at least once a day, and no other dyno sees it. A
log, a lake or credentials kept there would be gone with everything that was acknowledged. The spool before Kafka may be
there: what is in it waits for Kafka only, and a restart that Heroku asks for empties it first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drainlake.errors import WrongUse
from drainlake.places import S3Place

if TYPE_CHECKING:
    from drainlake.settings import Settings


def every_address(dyno: str) -> str:
    """Where Heroku's router reaches a dyno: Fir's, such as ``web-12a34b56d-e78f9``, by IPv6, Cedar's ``web.1`` not."""
    return "0.0.0.0" if "." in dyno else "::"  # noqa: S104 - nothing but the router gets there


def refuse_scratch(settings: Settings, *, log: bool = False, lake: bool = False, credentials: bool = False) -> None:
    """Raise :class:`WrongUse` where a command would keep on a dyno's disk what it needs to last."""
    if settings.dyno is None:
        return
    kept, remedies = [], []
    if log and settings.kafka is None:
        kept.append(f"the event log (DRAINLAKE_LOG={settings.log})")
        remedies.append("KAFKA_URL, as the add-on heroku-kafka sets it")
    if lake and not isinstance(settings.lake, S3Place):
        kept.append(f"the lake (DRAINLAKE_LAKE={settings.lake})")
        remedies.append("DRAINLAKE_LAKE=s3://bucket/prefix")
    if credentials:
        kept.append(f"credentials ({settings.log})")
        remedies.append("DRAINLAKE_DRAINS=app:secret as a config var")
    if kept:
        raise WrongUse(
            f"On a dyno (DYNO={settings.dyno}) {' and '.join(kept)} cannot be kept: its disk is scratch, emptied at"
            " each restart, at least once a day, and not shared between dynos.",
            " and ".join(remedies),
        )
