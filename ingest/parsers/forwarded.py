"""The client's address out of X-Forwarded-For, as a router line's ``fwd`` and an access line's ``xff`` hold it."""

from __future__ import annotations

from typing import Final

_BLANKS: Final = " \t"


def last_address(forwarded_for: str | None) -> str | None:
    """The right-most entry, which whoever logged it saw itself: all before it is the client's word.

    Blanks and tabs may stand around an entry (RFC 9110, 5.6.1); any other byte is a part of it, however odd: Python's
    own blanks, such as a no-break space or a byte 1F, are what a client sent.
    """
    return (forwarded_for or "").rpartition(",")[2].strip(_BLANKS) or None
