"""The small files beside the lake's tables, in which processes share what they know."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from drainlake.errors import Failure
from drainlake.places import lake_at, lake_errors
from queries.delivery.notes import NoteError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drainlake.settings import Settings
    from queries.delivery.notes import Notes


@contextmanager
def lake_notes(settings: Settings) -> Iterator[Notes]:
    """The lake's notes; what lake and notes refuse becomes :class:`Failure`."""
    try:
        with lake_errors("drainlake status"):
            yield lake_at(settings.lake)
    except NoteError as error:
        raise Failure.told(error, "drainlake status") from None
