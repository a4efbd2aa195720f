"""The catalog as people read it: the README's table and the help text of a question."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from queries.catalog import Question


def readme_table(questions: Iterable[Question]) -> str:
    """A Markdown table, one line per question, that ends with a newline."""
    lines = ["| question | answers | one row per |", "|---|---|---|"]
    lines += [f"| `{item.name}` | {cell(item.question)} | {cell(item.one_row_per)} |" for item in questions]
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    """Text as a cell of a Markdown table."""
    return text.replace("|", "\\|")


def list_text(questions: Iterable[Question]) -> str:
    """What ``drainlake query`` without a name prints: each name with its question."""
    items = list(questions)
    width = max((len(item.name) for item in items), default=0)
    return "".join(f"{item.name:<{width}}  {item.question}\n" for item in items)


def help_text(question: Question, width: int = 100) -> str:
    """All that the header says of one question, in at most ``width`` columns, and its fix as it stands."""
    blocks = [
        f"{question.name}: {question.question}",
        f"One row per {question.one_row_per}.",
        "Parameters:\n" + _entries(_parameters(question), width),
        "Columns:\n" + _entries(_columns(question), width),
        f"Cost: {question.cost}",
        f"Example:\n  {question.example}",
    ]
    text = "\n\n".join(block if "\n" in block else fill(block, width) for block in blocks) + "\n"
    return f"{text}\n{question.fix}" if question.fix else text


def _parameters(question: Question) -> Iterator[tuple[str, str]]:
    for item in question.parameters:
        default = "" if item.default == "NULL" else f" (default {item.default})"
        yield option(item.name) + default, item.meaning


def _columns(question: Question) -> Iterator[tuple[str, str]]:
    for item in question.columns:
        yield f"{item.name} {item.type}", item.meaning


def _entries(entries: Iterable[tuple[str, str]], width: int) -> str:
    return "\n".join(
        fill(f"{name}: {meaning}", width, initial_indent="  ", subsequent_indent="      ") for name, meaning in entries
    )


_OPTIONS: Final = {"since": "--since", "until": "--until", "app_name": "--app"}


def option(parameter: str) -> str:
    """How the command line has a parameter: ``--since``, ``--until``, ``--app`` or ``--param NAME=...``."""
    return _OPTIONS.get(parameter, f"--param {parameter}=...")


def typed(parameter: str, value: str) -> str:
    """A parameter with its value, as it is typed on the command line."""
    name = _OPTIONS.get(parameter)
    return f"--param {parameter}={value}" if name is None else f"{name} {value}"
