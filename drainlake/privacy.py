"""What the settings ask to be taken out of rows at landing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transforms.privacy import Privacy

if TYPE_CHECKING:
    from drainlake.settings import Settings


def privacy_of(settings: Settings) -> Privacy:
    """Whether addresses are hashed, under which key, and whether query strings go."""
    key = settings.address_key
    return Privacy(key.reveal().encode() if key else None, drop_queries=settings.query_strings == "drop")
