"""Takes secrets out of a line before anything else looks at it (heroku-logs.md 2.4, 4.1, 11.6).

* Query parameters: a key stands after ``?``, ``&`` or ``;`` and holds no delimiter; its value ends before
  ``&``, ``;``, ``#``, a blank (but not in a router's quoted path, which Router 2.0 decodes), ``"`` or the end. An
  empty value is no secret and stays. Backslashes right before a ``"`` stay too: without them an escaped quote would
  turn into a closing one and let the client write the rest of the line.
* The same with delimiters that are percent-encoded, up to three times, as in an address within an address:
  ``next=%2Freset%3Ftoken%3Dabc``. Such a value ends at ``%26``, ``%3B`` and ``%23``, too. A query string can be a value
  by itself: ``state=token%3Dabc``.
* `author` and `authority` are no secrets, though they contain `auth`; `authorization` is one.
* Passwords in URLs: up to the last ``@`` before a blank, ``/``, ``?``, ``#`` or ``"``; the user may be
  empty. A user of HTTP without a password is a token.
* `Starting process with command`: assignments, options, headers, Bearer or Basic credentials, the password of
  ``-u NAME:PASSWORD`` and MySQL's ``-pPASSWORD`` too. Values may be quoted; the closing backtick of the command is not
  part of a value; an option's value never begins with ``--``.
"""

from __future__ import annotations

import re

MARK = "[REDACTED]"
PARTS = (
    "token|secret|passw|passphrase|pwd|apikey|api_key|api-key|access_key|private_key|auth(?!or(?!iz))|session|sessid"
    "|signature|credential|jwt"
)
WHOLE = "sid|sig|code|otp|key|pass|pw|hmac|bearer"


def _secret_name(allowed: str) -> str:
    """A name of the allowed characters that contains a telling word or is one of the short ones."""
    return rf"(?:{allowed}*(?:{PARTS}){allowed}*|(?:{WHOLE}))"


PARAMETER = re.compile(rf"""(?<=[?&;])({_secret_name('[^=?&;# "]')})=(?:[^&;# "\\]|\\+(?![\\"]))+""", re.IGNORECASE)
DECODED = re.compile(PARAMETER.pattern.replace("[^&;# ", "[^&;#"), re.IGNORECASE)
DELIMITER = "%(?:25){0,2}(?:26|3B|3D|3F|23)"
NESTED = re.compile(
    rf"""((?:[?&;]|%(?:25){{0,2}}(?:26|3B|3F)|(?P<value>=|%(?:25){{0,2}}3D))"""
    rf"""{_secret_name(f'(?:(?!{DELIMITER})[^=?&;# "])')}(?:%(?:25){{0,2}}3D|(?(value)(?!)|=)))"""
    r"""(?:(?!%(?:26|3B|23))[^&;# "\\]|\\+(?![\\"]))+""",
    re.IGNORECASE,
)
DECODED_NESTED = re.compile(NESTED.pattern.replace("[^&;# ", "[^&;#"), re.IGNORECASE)
ROUTER_PATH = re.compile(r'(?<= path=")[^"]*"(?= host=)')
URL_PASSWORD = re.compile(r'([A-Za-z0-9+.-]://[^ /?#"@:]*):[^ /?#"]+@')
TOKEN = re.compile(r'(https?://)(?![^ /?#"@:]*:(?!@))[^ /?#"]+@', re.IGNORECASE)
COMMAND = "Starting process with command"
VALUE = r"""(?:"[^"]*$|'[^']*$|(?:"[^"]*"|'[^']*'|[^ "'`]|`(?=[^ ]))+)"""
NAME = _secret_name("[A-Za-z0-9_.-]")
WORD_START = "(?<![^ `'\"])"
ASSIGNMENT = re.compile(rf"{WORD_START}({NAME})={VALUE}", re.IGNORECASE)
OPTION = re.compile(rf"{WORD_START}(--{NAME}(?:=| +(?!--))){VALUE}", re.IGNORECASE)
HEADER = re.compile(rf"{WORD_START}({NAME}: ++)(?!(?:Bearer|Basic) )[^\"'`]+", re.IGNORECASE)
USER = re.compile(rf"{WORD_START}((?:-u *|--user(?:=| +))[\"']?[^ \"'`:]+:(?!//))[^ \"'`]+")
MYSQL = re.compile(r"(?<![^ `'\"/;|&(])(?:mysql|mariadb)[a-z_-]* .*", re.DOTALL)
MYSQL_PASSWORD = re.compile(rf"{WORD_START}-p{VALUE}")
CREDENTIAL = re.compile(r"\b((?:Bearer|Basic) +)[^ \"'`]+", re.IGNORECASE)


def redact(message: str, rounds: int = 4) -> str:
    """The text without URL passwords and without the values of secret-looking query parameters.

    Taking one out can make what is left look like another, so it is done again while that changes anything.
    """
    message = ROUTER_PATH.sub(
        lambda path: DECODED_NESTED.sub(rf"\1{MARK}", DECODED.sub(rf"\1={MARK}", path[0])), message
    )
    once = TOKEN.sub(rf"\1{MARK}@", URL_PASSWORD.sub(rf"\1:{MARK}@", message))
    once = NESTED.sub(rf"\1{MARK}", PARAMETER.sub(rf"\1={MARK}", once))
    return once if once == message or rounds == 1 else redact(once, rounds - 1)


def redact_command(message: str) -> str:
    """A `Starting process with command` line without credentials; any other text as it is."""
    if not message.startswith(COMMAND):
        return message
    message = ASSIGNMENT.sub(rf"\1={MARK}", message)
    for expression in (OPTION, HEADER, USER):
        message = expression.sub(rf"\1{MARK}", message)
    message = MYSQL.sub(lambda command: MYSQL_PASSWORD.sub(f"-p{MARK}", command[0]), message)
    return CREDENTIAL.sub(rf"\1{MARK}", message)
