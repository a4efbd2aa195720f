"""Secrets out of log text, before anything is stored.

Three places leak them: query strings (in router, access, PHP and nginx lines, and in what apps print), the
passwords of URLs, and ``Starting process with command`` lines, which Heroku prints with the environment
expanded. The names of query parameters are searched for the words below; only messages that have one
meet the regular expressions, so a batch without secrets pays for one pass over its parameter names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from ingest.text import Spans

if TYPE_CHECKING:
    from ingest.text import Mask, Positions, Text

REDACTED: Final = "[REDACTED]"

# A name that contains one of these holds a secret; the second list counts only as the whole name.
SECRET_PARTS: Final = (
    "token", "secret", "passw", "pwd", "apikey", "api_key", "api-key", "access_key", "session", "signature",
    "credential", "jwt", "authorization", "oauth",
)  # fmt: skip
SECRET_NAMES: Final = ("auth", "sid", "sig", "code", "otp", "key")
COMMAND: Final = "Starting process with command"
_NAME_MAX_BYTES: Final = 64  # a longer name is suspect unread

_ANY_PART: Final = "|".join(SECRET_PARTS)
_QUERY_NAME: Final = rf'(?:[^=&;#?\s"]*(?:{_ANY_PART})[^=&;#?\s"]*|(?:{"|".join(SECRET_NAMES)}))'
_QUERY: Final = rf'(?i)([?&;]{_QUERY_NAME}=)(?:\\.|[^&;#\s"\\])+'
_URL_PASSWORD: Final = r'(?i)([a-z][a-z0-9+.-]*://[^\s/@:"]*:)[^\s/@"]+@'
_OPTION_NAME: Final = rf"[A-Za-z0-9_.-]*(?:{_ANY_PART}|auth|_key|-key)[A-Za-z0-9_.-]*"
_OPTION: Final = rf"""(?i)({_OPTION_NAME}=|--{_OPTION_NAME}\s+)(?:"[^"]*"|'[^']*'|[^\s"'`]+)"""
_AUTH_HEADER: Final = r"""(?i)\b((?:bearer|basic)\s+)[^\s"'`]+"""


def suspects(text: Text, spans: Spans) -> Mask:
    """Which spans need a closer look: all that hold a secret, and some that hold none."""
    suspect = text.starts_with(spans.start, COMMAND.encode()) & (spans.length > len(COMMAND))
    suspect |= text.count(b"@", spans) > 0
    secret = _secret_parameters(text)
    return suspect | (np.searchsorted(secret, spans.end) > np.searchsorted(secret, spans.start))


def _secret_parameters(text: Text) -> Positions:
    """Where a query parameter begins whose name may be that of a secret."""
    octets = text.octets[: text.size]
    start = np.flatnonzero((octets == ord("?")) | (octets == ord("&")) | (octets == ord(";"))) + 1
    equals = text.next(b"=", start)
    is_name = equals < text.next(b" ", start)
    short = is_name & (equals - start <= _NAME_MAX_BYTES)
    named = text.strings(Spans(start[short], equals[short])).str.contains_any(
        [*SECRET_PARTS, *SECRET_NAMES], ascii_case_insensitive=True
    )
    return np.sort(np.concatenate([start[is_name & ~short], start[short][named.to_numpy()]]))


def redact(messages: pl.Series) -> pl.Series:
    """The messages with every secret value replaced; NULL stays NULL."""
    clean = messages.str.replace_all(_QUERY, f"${{1}}{REDACTED}").str.replace_all(
        _URL_PASSWORD, f"${{1}}{REDACTED}@"
    )
    command = clean.str.starts_with(COMMAND)
    if not command.any():
        return clean
    stripped = clean.str.replace_all(_AUTH_HEADER, f"${{1}}{REDACTED}")
    stripped = stripped.str.replace_all(_OPTION, f"${{1}}{REDACTED}")
    return pl.select(pl.when(command).then(stripped).otherwise(clean)).to_series()
