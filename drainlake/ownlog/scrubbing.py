"""Takes secrets out of texts that other packages write: their errors may quote an address or a password. Pure.

drainlake's own sentences hold none. This is the second line, for the own log: whatever a library says, none of the
values that the settings keep secret gets through, whole, percent-encoded or as Basic credentials.
"""

from __future__ import annotations

import base64
import dataclasses
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus, unquote

from drainlake.values import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

HIDDEN: Final = "[hidden]"
PIECE_MIN_CHARACTERS: Final = 6  # a shorter piece of a secret would be hidden in the middle of common words
_BETWEEN: Final = re.compile(r"[\s/?&=:@,;#\\]+")
_HOST: Final = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+){1,5}")  # no secret of its own, and often in our sentences
_COMMON: Final = frozenset({"PRIVATE", "-----BEGIN", "KEY-----"})
_IN_URL: Final = re.compile(r"(?<=://)[^/@\s\"']*@")
_BASIC: Final = re.compile(r"\b(Basic|Bearer)\s+[A-Za-z0-9+/=._~-]{6,}", re.IGNORECASE)


def scrubber(holder: object) -> Callable[[str], str]:
    """A function that hides in a text what the secrets in ``holder`` (settings) say, and credentials in URLs."""
    known = sorted({form for text in _secrets(holder) for form in _forms(text)}, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, known))) if known else None

    def scrub(text: str) -> str:
        hidden = pattern.sub(HIDDEN, text) if pattern is not None else text
        return _BASIC.sub(rf"\1 {HIDDEN}", _IN_URL.sub(f"{HIDDEN}@", hidden))

    return scrub


def _secrets(holder: object) -> Iterator[str]:
    """The texts of all secrets in dataclasses, mappings and tuples."""
    if isinstance(holder, Secret):
        yield holder.reveal()
    elif dataclasses.is_dataclass(holder):
        for each in dataclasses.fields(holder):
            yield from _secrets(getattr(holder, each.name))
    elif isinstance(holder, Mapping):
        for name, kept in holder.items():
            secrets = list(_secrets(kept))
            yield from secrets
            # what a header says of credentials: user and secret together in base64
            yield from (base64.b64encode(f"{name}:{secret}".encode()).decode() for secret in secrets)
    elif isinstance(holder, tuple | list):
        for each in holder:
            yield from _secrets(each)


def _forms(text: str) -> Iterable[str]:
    """The text, its encodings, and its pieces: tokens stand in the path of an address, a key has lines."""
    forms = {text, quote(text, safe=""), quote_plus(text), unquote(text), base64.b64encode(text.encode()).decode()}
    for form in list(forms):
        pieces = _BETWEEN.split(form.partition("://")[2] or form)
        forms |= {piece for piece in pieces if not _HOST.fullmatch(piece)}
    forms |= {repr(form)[1:-1] for form in forms}
    return {form for form in forms if len(form) >= PIECE_MIN_CHARACTERS and form not in _COMMON}
