"""Takes secrets out of a line before anything else looks at it (heroku-logs.md 2.4, 4.1, 11.6).

* Query parameters: a key stands after ``?``, ``&`` or ``;`` and holds no delimiter; its value ends before
  ``&``, ``;``, ``#``, a blank (but not in a router's quoted path, which Router 2.0 decodes), ``"`` or the end. An
  empty value is no secret and stays. Backslashes right before a ``"`` stay too: without them an escaped quote would
  turn into a closing one and let the client write the rest of the line.
* `author` and `authority` are no secrets, though they contain `auth`; `authorization` is one.
* Passwords in URLs: up to the last ``@`` before a blank, ``/``, ``?``, ``#`` or ``"``; the user may be
  empty.
* `Starting process with command`: assignments, options, headers, Bearer or Basic credentials and the password of
  ``-u NAME:PASSWORD`` too. Values may be quoted; the closing backtick of the command is not part of a value; an
  option's value never begins with ``--``.
"""

from __future__ import annotations

import re

MARK = "[REDACTED]"
PARTS = (
    "token|secret|passw|passphrase|pwd|apikey|api_key|api-key|access_key|private_key|auth(?!or(?!iz))|session|sessid"
    "|signature|credential|jwt"
)
WHOLE = "sid|sig|code|otp|key|pass"


def _secret_name(allowed: str) -> str:
    """A name of the allowed characters that contains a telling word or is one of the short ones."""
    return rf"(?:{allowed}*(?:{PARTS}){allowed}*|(?:{WHOLE}))"


PARAMETER = re.compile(rf"""(?<=[?&;])({_secret_name('[^=?&;# "]')})=(?:[^&;# "\\]|\\+(?![\\"]))+""", re.IGNORECASE)
DECODED = re.compile(PARAMETER.pattern.replace("[^&;# ", "[^&;#"), re.IGNORECASE)
ROUTER_PATH = re.compile(r'(?<= path=")[^"]*"(?= host=)')
URL_PASSWORD = re.compile(r'([A-Za-z0-9+.-]://[^ /?#"@:]*):[^ /?#"]+@')
COMMAND = "Starting process with command"
VALUE = r"""(?:"[^"]*$|'[^']*$|(?:"[^"]*"|'[^']*'|[^ "'`]|`(?=[^ ]))+)"""
NAME = _secret_name("[A-Za-z0-9_.-]")
WORD_START = "(?<![^ `'\"])"
ASSIGNMENT = re.compile(rf"{WORD_START}({NAME})={VALUE}", re.IGNORECASE)
OPTION = re.compile(rf"{WORD_START}(--{NAME}(?:=| +(?!--))){VALUE}", re.IGNORECASE)
HEADER = re.compile(rf"{WORD_START}({NAME}: ++)(?!(?:Bearer|Basic) )[^\"'`]+", re.IGNORECASE)
USER = re.compile(rf"{WORD_START}((?:-u *|--user(?:=| +))[\"']?[^ \"'`:]+:(?!//))[^ \"'`]+")
CREDENTIAL = re.compile(r"\b((?:Bearer|Basic) +)[^ \"'`]+", re.IGNORECASE)


def redact(message: str, rounds: int = 4) -> str:
    """The text without URL passwords and without the values of secret-looking query parameters.

    Taking one out can make what is left look like another, so it is done again while that changes anything.
    """
    message = ROUTER_PATH.sub(lambda path: DECODED.sub(rf"\1={MARK}", path[0]), message)
    once = PARAMETER.sub(rf"\1={MARK}", URL_PASSWORD.sub(rf"\1:{MARK}@", message))
    return once if once == message or rounds == 1 else redact(once, rounds - 1)


def redact_command(message: str) -> str:
    """A `Starting process with command` line without credentials; any other text as it is."""
    if not message.startswith(COMMAND):
        return message
    message = ASSIGNMENT.sub(rf"\1={MARK}", message)
    for expression in (OPTION, HEADER, USER):
        message = expression.sub(rf"\1{MARK}", message)
    return CREDENTIAL.sub(rf"\1{MARK}", message)
