"""Secrets out of log text, before anything is stored.

Three places leak them: query strings (in router, access, PHP and nginx lines, and in what apps print), the
passwords of URLs, and ``Starting process with command`` lines, which Heroku prints with the environment
expanded. The names of query parameters are searched for the words below; only messages that have one
meet the regular expressions, so a batch without secrets pays for one pass over its parameter names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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
_OPTION_NAME: Final = rf"[A-Za-z0-9_.-]*(?:{_ANY_PART}|auth|_key|-key)[A-Za-z0-9_.-]*"
# Expressions of RE2 and their replacements; RE2 takes linear time on any text.
_ANYWHERE: Final = (
    (rf'(?i)([?&;]{_QUERY_NAME}=)(?:\\.|[^&;#\s"\\])+', rf"\1{REDACTED}"),
    (r'(?i)([a-z][a-z0-9+.-]*://[^\s/@:"]*:)[^\s/@"]+@', rf"\1{REDACTED}@"),
)
_IN_COMMANDS: Final = (
    (r"""(?i)\b((?:bearer|basic)\s+)[^\s"'`]+""", rf"\1{REDACTED}"),
    (rf"""(?i)({_OPTION_NAME}=|--{_OPTION_NAME}\s+)(?:"[^"]*"|'[^']*'|[^\s"'`]+)""", rf"\1{REDACTED}"),
)
_NAMES: Final = rf"(?i){_ANY_PART}|{'|'.join(SECRET_NAMES)}"


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
    named = _are_suspect(text.strings(Spans(start[short], equals[short])))
    return np.sort(np.concatenate([start[is_name & ~short], start[short][named]]))


def _are_suspect(names: pa.StringArray) -> Mask:
    """Which names look like those of secrets; each distinct name is looked at once."""
    distinct = names.dictionary_encode()
    if not len(distinct.dictionary):
        return np.zeros(len(names), dtype=np.bool_)
    suspect = pc.match_substring_regex(distinct.dictionary, _NAMES).to_numpy(zero_copy_only=False)
    found: Mask = suspect[distinct.indices.to_numpy()]
    return found


def redact_all(messages: pa.StringArray) -> pa.StringArray:
    """The messages with every secret value replaced."""
    for expression, replacement in _ANYWHERE:
        messages = pc.replace_substring_regex(messages, expression, replacement)
    command = pc.starts_with(messages, COMMAND)
    if not pc.any(command).as_py():
        return messages
    stripped = messages
    for expression, replacement in _IN_COMMANDS:
        stripped = pc.replace_substring_regex(stripped, expression, replacement)
    return pc.if_else(command, stripped, messages)


def redact(message: str) -> str:
    """One message with every secret value replaced."""
    return str(redact_all(pa.array([message], pa.string()))[0])
