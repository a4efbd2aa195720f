"""Brings the lake's one-minute series up to date before they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from drainlake.settings import Settings


def keep_minutes(settings: Settings, now: datetime) -> str | None:
    """Make the minutes that are missing or old; gives None, or a sentence why they stay as they are.

    The caller shows the sentence and goes on with what is there: a lake that can only be read still answers.
    ``now`` has a time zone.
    """
    from drainlake.places import lake_at  # noqa: PLC0415 - polars is slow to import
    from transforms.lake import LakeError, LakeLockedError, StaleOwnerError  # noqa: PLC0415
    from transforms.minutes.keeping import keep  # noqa: PLC0415

    try:
        keep(lake_at(settings.lake), now, keep_days=settings.keep_days)
    except (LakeLockedError, StaleOwnerError):
        return "Another process is making the one-minute series just now, so that the newest minutes may be missing."
    except LakeError as error:
        reason = str(error).rstrip(".")
    except OSError as error:
        reason = error.strerror or type(error).__name__
    else:
        return None
    return f"The one-minute series of {settings.lake} could not be brought up to date: {reason}."
