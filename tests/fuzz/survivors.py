"""Finds secrets that redaction left over, written from its rules without its expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK: Final = "[REDACTED]"
_PARTS: Final = (
    "token", "secret", "passw", "pwd", "apikey", "api_key", "api-key", "access_key", "session", "signature",
    "credential", "jwt",
)  # fmt: skip
_WHOLE: Final = frozenset({"sid", "sig", "code", "otp", "key", "pw", "hmac", "bearer"})


def survivors(text: str) -> list[str]:
    """Values of secret-looking parameters and passwords of URLs that stand in the text."""
    found = (*_parameters(text), *_nested_parameters(text), *_passwords(text), *_tokens(text))
    return [value for value in found if value not in {"", MARK}]


def _parameters(text: str) -> Iterator[str]:
    for place, character in enumerate(text):
        if character not in "?&;":
            continue
        end = _until(text, place + 1, '=?&;# "')
        if text[end : end + 1] == "=" and _is_secret(text[place + 1 : end].lower()):
            stop = _until(text, end + 1, '&;# "')
            value = text[end + 1 : stop]
            # Backslashes before a quote stay; a column may end right before that quote.
            yield value.rstrip("\\") if text[stop : stop + 1] in {'"', ""} else value


def _nested_parameters(text: str) -> Iterator[str]:
    """Values of names with an encoded delimiter before or behind them."""
    name, before = 0, ""
    for place in range(len(text)):
        sign, end = _delimiter(text, place)
        if sign == "=" and before and (end > place + 1 or (before != "=" and text[name - 1] != before)):
            stop = end
            while stop < len(text) and text[stop] not in '&;# "' and text[stop : stop + 3].upper() not in _ENDS:
                stop += 1
            if _is_secret(text[name:place].lower()):
                yield text[end:stop].rstrip("\\")
        if sign:
            name, before = end, sign.strip('# "')


_ENDS: Final = frozenset({"%26", "%3B", "%23"})
_ENCODED: Final = {"3D": "=", "3F": "?", "26": "&", "3B": ";", "23": "#"}


def _delimiter(text: str, place: int) -> tuple[str, int]:
    """The delimiter at a place, plain or encoded up to three times, and where it ends; empty where there is none."""
    if text[place] != "%":
        return (text[place] if text[place] in '=?&;# "' else ""), place + 1
    end = place + 1
    while end < place + 5 and text[end : end + 2] == "25":
        end += 2
    return _ENCODED.get(text[end : end + 2].upper(), ""), end + 2


def _is_secret(name: str) -> bool:
    """``author`` and ``authority`` are no secrets, ``authorization`` is one."""
    plain = name.replace("authoriz", "token").replace("author", "")
    return name in _WHOLE or any(part in plain for part in (*_PARTS, "auth"))


def _passwords(text: str) -> Iterator[str]:
    place = text.find("://")
    while place >= 0:
        before = text[place - 1 : place] if place else ""
        user_end = _until(text, place + 3, ' /?#"@:')
        named = before.isascii() and (before.isalnum() or before in {"+", ".", "-"})
        if named and text[user_end : user_end + 1] == ":":
            rest = text[user_end + 1 : _until(text, user_end + 1, ' /?#"')]
            password, at, _ = rest.rpartition("@")
            if at:
                yield password
        place = text.find("://", place + 1)


def _tokens(text: str) -> Iterator[str]:
    """What stands before the last ``@`` of a host where no password does."""
    for protocol in ("http://", "https://"):
        place = text.lower().find(protocol)
        while place >= 0:
            user, at, _ = text[place + len(protocol) : _until(text, place + len(protocol), ' /?#"')].rpartition("@")
            name, colon, password = user.partition(":")
            if at and (not colon or "@" in name or password[:1] in {"", "@"}):
                yield user
            place = text.lower().find(protocol, place + 1)


def _until(text: str, start: int, stops: str) -> int:
    return next((place for place in range(start, len(text)) if text[place] in stops), len(text))
