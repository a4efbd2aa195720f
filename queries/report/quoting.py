"""SQL and shell lines that a report gives to be pasted: what logs hold stays text in them, and is seen.

A route or an app's name can hold quotes, newlines, control characters and marks that turn the direction of text. In SQL
these are written as ``chr(N)``; in a shell line no such name is written at all, since drainlake takes none there.
"""

from __future__ import annotations

import re
import shlex
from datetime import UTC
from typing import TYPE_CHECKING, Final

from queries.literals import literal

if TYPE_CHECKING:
    from datetime import datetime

    from queries.report.model import Window

# What `drainlake … --app` takes: nothing else can be pasted usefully.
_APP_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")

_READ_BY_SHELLS: Final = re.compile(r'["$`\\!]')


def sql_text(text: str | None) -> str:
    """The text as an SQL expression in printable characters; None is NULL."""
    if text is None:
        return "NULL::VARCHAR"
    if text.isprintable():
        return literal(text)
    pieces = [literal(piece) if piece.isprintable() else f"chr({ord(piece)})" for piece in _pieces(text)]
    return f"({' || '.join(pieces)})"


def _pieces(text: str) -> list[str]:
    """The text cut into printable stretches and single other characters."""
    pieces = [""]
    for character in text:
        if character.isprintable() and pieces[-1].isprintable():
            pieces[-1] += character
        else:
            pieces.append(character)
    return [piece for piece in pieces if piece]


def sql_time(moment: datetime) -> str:
    """The instant as an SQL literal, to the microsecond."""
    return f"{literal(moment.isoformat())}::TIMESTAMPTZ"


def call(question: str, window: Window, **more: int | str | datetime) -> str:
    """The question as it is called in SQL, with the window's times written out."""
    arguments = {"since": sql_time(window.since), "until": sql_time(window.until)}
    if window.app_name is not None:
        arguments["app_name"] = sql_text(window.app_name)
    arguments |= {name: _argument(value) for name, value in more.items()}
    return f"{question}({', '.join(f'{name} := {value}' for name, value in arguments.items())})"


def _argument(value: int | str | datetime) -> str:
    if isinstance(value, int):
        return str(value)
    return sql_text(value) if isinstance(value, str) else sql_time(value)


def between(table: str, window: Window) -> str:
    """The rows of a table in the window, as called in SQL."""
    return f"{table}_between({sql_time(window.since)}, {sql_time(window.until)}, {sql_text(window.app_name)})"


def _short(moment: datetime) -> str:
    """The same instant as people write it, ``2026-11-25T10:00Z``; with seconds and below only where it has them."""
    text = moment.astimezone(UTC).replace(tzinfo=None).isoformat()
    return f"{text.removesuffix(':00')}Z"


def command(question: str, window: Window, app: str, *parameters: str, **instants: datetime) -> str:
    """The shell line that asks the question for the app; ``parameters`` are ``name=value``, as ``instants`` will be."""
    words = ["drainlake", "query", question, "--since", _short(window.since), "--until", _short(window.until)]
    if _APP_NAME.fullmatch(app):
        words += ["--app", app]
    for parameter in (*parameters, *(f"{name}={_short(value)}" for name, value in instants.items())):
        words += ["--param", parameter]
    return shlex.join(words)


def statement_command(statement: str) -> str:
    """The shell line that runs the statement on the lake, in double quotes where a shell reads nothing in them."""
    quoted = shlex.quote(statement) if _READ_BY_SHELLS.search(statement) else f'"{statement}"'
    return f"drainlake sql {quoted}"
