"""Brings the lake's one-minute series up to date before they are read."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from drainlake.settings import Settings


WAIT_SECONDS: Final = 20.0  # a run over the newest hours takes a few
POLL_SECONDS: Final = 0.2


def keep_minutes(settings: Settings, now: datetime) -> str | None:
    """Make the minutes that are missing or old; gives None, or a sentence why they stay as they are.

    Another process that makes them just now is waited for, a while. The caller shows the sentence and goes on with what
    is there: a lake that can only be read still answers.
    ``now`` has a time zone.
    """
    from drainlake.places import lake_at  # noqa: PLC0415 - polars is slow to import
    from transforms.lake import LakeError, LakeLockedError, StaleOwnerError  # noqa: PLC0415
    from transforms.minutes.keeping import keep  # noqa: PLC0415

    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            keep(lake_at(settings.lake), now, keep_days=settings.keep_days)
        except (LakeLockedError, StaleOwnerError):
            if time.monotonic() > deadline:
                return "Another process still makes the one-minute series, so that the newest minutes may be missing."
            time.sleep(POLL_SECONDS)
        except LakeError as error:
            return _left_old(settings, str(error).rstrip("."))
        except OSError as error:
            return _left_old(settings, error.strerror or type(error).__name__)
        else:
            return None


def _left_old(settings: Settings, reason: str) -> str:
    return f"The one-minute series of {settings.lake} could not be brought up to date: {reason}."
