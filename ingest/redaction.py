"""Secrets out of log text, before anything is stored.

Three places leak them: query strings (in router, access, PHP and nginx lines, and in what apps print), the
passwords and tokens of URLs, and ``Starting process with command`` lines, which Heroku prints with the environment
expanded. The names of query parameters are searched for the words below by column; only messages that have one
are rewritten, one by one.

* A parameter's value ends before ``&``, ``;``, ``#``, a blank, ``"`` or the end. In a router's quoted path a blank ends
  nothing: Router 2.0 logs paths decoded, so ``?authorization=Bearer%20x`` can hold one. Backslashes right before a
  ``"`` stay: without them an escaped quote would turn into a closing one and let the client write the rest of the line.
* An address within an address is written with ``%3F``, ``%26`` and ``%3D``, or these encoded again. A value between
  such delimiters also ends before ``%26``, ``%3B`` and ``%23``; encoded twice they are of the value. A query string can
  be a value by itself, as in ``state=token%3Dabc``.
* A URL's password runs to the last ``@`` before a blank, ``/``, ``?``, ``#`` or ``"``. A user of HTTP without a
  password is a token; ``git`` in ``ssh://git@host`` is none.
* In commands assignments, options, headers, Bearer or Basic credentials, the password of ``-u NAME:PASSWORD`` and
  MySQL's ``-pPASSWORD`` count too. Values may be quoted; the closing backtick of the command is no part of a value; an
  option's value never begins with ``--``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from ingest.columns import integers, matches
from ingest.text import Spans

if TYPE_CHECKING:
    import pyarrow as pa

    from ingest.text import Mask, Positions, Text

REDACTED: Final = "[REDACTED]"
COMMAND: Final = "Starting process with command"

# A name that contains one of the first holds a secret; the others count only as the whole name. `author` and
# `authority` are no secrets, `authorization` is.
_PARTS: Final = (
    "token", "secret", "passw", "passphrase", "pwd", "apikey", "api_key", "api-key", "access_key", "private_key",
    "session", "sessid", "signature", "credential", "jwt", "auth(?!or(?!iz))",
)  # fmt: skip
_NAMES: Final = ("sid", "sig", "code", "otp", "key", "pass", "pw", "hmac", "bearer")
_ROUNDS_MAX: Final = 4
_NAME_MAX_BYTES: Final = 64  # a longer name is suspect unread
_ENCODINGS_MAX: Final = 3  # as in the scanner: ``%3D``, ``%253D``, ``%25253D``; a limit, for text of anybody


def _name(allowed: str) -> str:
    """A secret-looking name; what follows it must be no allowed character.

    The name is taken whole or not at all. Were it given back byte by byte for each ``token`` in it, a query string of
    8 KB, which anybody can send, would take 0.2 s to read.
    """
    return rf"(?:(?={allowed}*?(?:{'|'.join(_PARTS)})){allowed}*+|(?:{'|'.join(_NAMES)}))"


def _parameter(blank: str) -> re.Pattern[str]:
    return re.compile(rf"""(?<=[?&;])({_name('[^=?&;# "]')})=(?:[^&;#{blank}"\\]|\\+(?![\\"]))+""", re.IGNORECASE)


def _encoded(*codes: str) -> str:
    return rf"%(?:25){{0,{_ENCODINGS_MAX - 1}}}(?:{'|'.join(codes)})"


def _nested_parameter(blank: str) -> re.Pattern[str]:
    """A parameter with an encoded delimiter on one side of its name or on both."""
    name = _name(rf"""(?:(?!{_encoded("3D", "3F", "26", "3B", "23")})[^=?&;# "])""")
    equals, either = _encoded("3D"), f"[?&;]|{_encoded('3F', '26', '3B')}"
    before = rf"(?:(?:{either}){name}(?:=|{equals})|(?:=|{equals}){name}{equals})"
    return re.compile(rf"""({before})(?:(?!%(?:26|3B|23))[^&;#{blank}"\\]|\\+(?![\\"]))+""", re.IGNORECASE)


_AS_WRITTEN: Final = (_parameter(" "), _nested_parameter(" "))
_DECODED: Final = (_parameter(""), _nested_parameter(""))
_ROUTER_PATH: Final = re.compile(r'(?<= path=")[^"]*"(?= host=)')
_URL_PASSWORD: Final = re.compile(r'([A-Za-z0-9+.-]://[^ /?#"@:]*):[^ /?#"]+@')
_URL_TOKEN: Final = re.compile(r'(https?://)(?![^ /?#"@:]*:(?!@))[^ /?#"]+@', re.IGNORECASE)
_VALUE: Final = r"""(?:"[^"]*$|'[^']*$|(?:"[^"]*"|'[^']*'|[^ "'`]|`(?=[^ ]))+)"""
_OPTION_NAME: Final = _name("[A-Za-z0-9_.-]")
_WORD_START: Final = "(?<![^ `'\"])"
_ASSIGNMENT: Final = re.compile(rf"{_WORD_START}({_OPTION_NAME}=){_VALUE}", re.IGNORECASE)
_OPTION: Final = re.compile(rf"{_WORD_START}(--{_OPTION_NAME}(?:=| +(?!--))){_VALUE}", re.IGNORECASE)
_HEADER: Final = re.compile(rf"{_WORD_START}({_OPTION_NAME}: ++)(?!(?:Bearer|Basic) )[^\"'`]+", re.IGNORECASE)
_USER: Final = re.compile(rf"{_WORD_START}((?:-u *|--user(?:=| +))[\"']?[^ \"'`:]+:(?!//))[^ \"'`]+")
_MYSQL: Final = re.compile(r"(?<![^ `'\"/;|&(])(?:mysql|mariadb)[a-z_-]* .*", re.DOTALL)
_MYSQL_PASSWORD: Final = re.compile(rf"{_WORD_START}(-p){_VALUE}")
_CREDENTIAL: Final = re.compile(r"\b((?:Bearer|Basic) +)[^ \"'`]+", re.IGNORECASE)
# A sieve may let too much through: RE2 and the scanner know no look-ahead. A name that contains one of the first, or is
# one of the second, is looked at.
SIEVE_PARTS: Final = tuple(re.sub(r"\(.*", "", part) for part in _PARTS)
SIEVE_NAMES: Final = _NAMES
_TWO_BYTES: Final = np.uint64(0xFFFF)
_LOWER: Final = 0x20  # the bit that makes a letter a small one
_LOWER_SECOND: Final = np.uint64(_LOWER << 8)
_ENCODED_DELIMITERS: Final = np.frombuffer(b"3d3f3b2623", dtype="<u2").astype(np.uint64)
_ENDS_NAME: Final = bytes(octet in b'=?&;# "' for octet in range(256))
_SIEVE: Final = "(?i)" + "|".join((*SIEVE_PARTS, *SIEVE_NAMES))


def suspects(text: Text, spans: Spans, commands: Mask) -> Mask:
    """Which spans need a closer look: all that hold a secret, and some that hold none."""
    suspect = commands | (text.count(b"@", spans) > 0)
    for places in (_secret_parameters(text), _nested_secrets(text)):
        suspect |= np.searchsorted(places, spans.end) > np.searchsorted(places, spans.start)
    return suspect


def _nested_secrets(text: Text) -> Positions:
    """Where a query parameter with an encoded delimiter before or behind its name may be a secret."""
    begin, end = _encoded_delimiters(text)
    if not len(begin):  # as almost always
        return begin
    ends_one = np.frombuffer(text.padded.translate(_ENDS_NAME), dtype=np.bool_)[: text.size]  # quicker than a look-up
    plain = np.concatenate([[-1], np.flatnonzero(ends_one), [text.size]])
    before = np.maximum(plain[np.searchsorted(plain, begin) - 1] + 1, np.append(0, end[:-1]))
    behind = plain[np.searchsorted(plain, end)]
    is_equals = text.octets[end - 1] | _LOWER == ord("d")
    ends_name = (behind < np.append(begin[1:], text.size)) & (text.octets[behind] == ord("="))
    names = Spans(
        np.concatenate([before[is_equals], end[ends_name]]), np.concatenate([begin[is_equals], behind[ends_name]])
    )
    return np.sort(names.end[_are_suspect(text.strings(names))])


def _encoded_delimiters(text: Text) -> Spans:
    """Where delimiters of a query string are percent-encoded, once or several times."""
    begin = text.positions(b"%")
    end = begin + 1
    for _ in range(_ENCODINGS_MAX - 1):
        end = np.where(text.starts_with(end, b"25"), end + 2, end)
    found = np.isin(text.words[end] & _TWO_BYTES | _LOWER_SECOND, _ENCODED_DELIMITERS)
    return Spans(begin[found], end[found] + 2)


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
    suspect = matches(distinct.dictionary, _SIEVE)
    found: Mask = suspect[integers(distinct.indices)]
    return found


def redact(message: str) -> str:
    """The text without URL passwords and without the values of secret-looking query parameters.

    What is taken out can hold the ``/`` that ended a URL's host, and what stands behind it then looks like a password.
    So it is done again until nothing changes, within a bound: the text is an attacker's.
    """
    message = _ROUTER_PATH.sub(lambda path: _without_parameters(path[0], *_DECODED), message)
    for _ in range(_ROUNDS_MAX):
        clean = _URL_TOKEN.sub(rf"\1{REDACTED}@", _URL_PASSWORD.sub(rf"\1:{REDACTED}@", message))
        clean = _without_parameters(clean, *_AS_WRITTEN)
        if clean == message or "://" not in clean:
            return clean
        message = clean
    return message


def _without_parameters(message: str, parameter: re.Pattern[str], nested: re.Pattern[str]) -> str:
    message = parameter.sub(rf"\1={REDACTED}", message)
    return nested.sub(rf"\1{REDACTED}", message) if "%" in message else message


def redact_command(message: str) -> str:
    """A line in which Heroku says which command it starts, without any credentials; another line as it is."""
    message = redact(message)
    if not message.startswith(COMMAND):
        return message
    for expression in (_ASSIGNMENT, _OPTION, _HEADER, _USER, _CREDENTIAL):
        message = expression.sub(rf"\1{REDACTED}", message)
    return _MYSQL.sub(lambda command: _MYSQL_PASSWORD.sub(rf"\1{REDACTED}", command[0]), message)
