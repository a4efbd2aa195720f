"""Brings the tables that are made from others up to date before they are read."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from drainlake.settings import Settings
    from transforms.lake import Lake


WAIT_SECONDS: Final = 20.0  # a run over the newest hours takes a few
POLL_SECONDS: Final = 0.2


def keep_minutes(settings: Settings, now: datetime) -> str | None:
    """Make the minutes that are missing or old; gives None, or a sentence why they stay as they are.

    Another process that makes them just now is waited for, a while. The caller shows the sentence and goes on with what
    is there: a lake that can only be read still answers.
    ``now`` has a time zone.
    """
    from transforms.minutes.keeping import keep  # noqa: PLC0415 - polars is slow to import

    return _kept(settings, "one-minute series", lambda lake: keep(lake, now, keep_days=settings.keep_days))


def keep_asset_sizes(settings: Settings, now: datetime, again: Collection[str] | None = None) -> str | None:
    """Make the sizes of assets of past days that are missing or old; of the dates ``again`` only those that were made.

    Gives None, or a sentence why they stay as they are. Nothing hangs on them but time: where they are not right, the
    router's rows are read in their place. ``now`` has a time zone.
    """
    from transforms.asset_sizes.keeping import keep  # noqa: PLC0415 - polars is slow to import

    return _kept(settings, "sizes of assets", lambda lake: keep(lake, now, keep_days=settings.keep_days, again=again))


def _kept(settings: Settings, name: str, keep: Callable[[Lake], object]) -> str | None:
    from drainlake.places import lake_at  # noqa: PLC0415 - polars is slow to import
    from transforms.lake import LakeError, LakeLockedError, StaleOwnerError  # noqa: PLC0415

    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            keep(lake_at(settings.lake))
        except (LakeLockedError, StaleOwnerError):
            if time.monotonic() > deadline:
                return f"Another process still makes the {name}, so that the newest may be missing."
            time.sleep(POLL_SECONDS)
        except LakeError as error:
            return _left_old(settings, name, str(error).rstrip("."))
        except OSError as error:
            return _left_old(settings, name, error.strerror or type(error).__name__)
        else:
            return None


def _left_old(settings: Settings, name: str, reason: str) -> str:
    return f"The {name} of {settings.lake} could not be brought up to date: {reason}."
