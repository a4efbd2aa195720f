"""The small files beside the lake's tables, in which processes share what they know."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from drainlake.errors import Failure
from queries.delivery.notes import NoteError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drainlake.settings import Settings
    from queries.delivery.notes import Notes


@contextmanager
def lake_notes(settings: Settings) -> Iterator[Notes]:
    """The lake's notes; what lake and notes refuse becomes :class:`Failure`."""
    from drainlake.places import lake_at  # noqa: PLC0415 - polars is slow to import
    from transforms.lake import LakeError  # noqa: PLC0415

    try:
        yield lake_at(settings.lake)
    except (LakeError, NoteError) as error:
        raise Failure.told(error, "drainlake status") from None
