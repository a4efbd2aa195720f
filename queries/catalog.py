"""The questions drainlake can answer: one .sql file each, whose header comment is its documentation.

A file is a header of ``--`` lines and below it exactly one ``CREATE OR REPLACE MACRO name(...) AS TABLE``
statement, named as the file is. The header has these parts, all of them, in this order::

    -- question: One sentence that ends with a question mark.
    -- one row per: what a row of the answer stands for
    -- parameters:
    --   since: One sentence, with the meaning of NULL.
    -- columns:
    --   app VARCHAR: One sentence, with the unit and the meaning of NULL.
    -- cost: What is read, in one sentence.
    -- example: SELECT * FROM name(since := now() - INTERVAL 1 DAY)

Whoever calls a question by name, prints its help or tests it reads the header through this module, so that
the documentation cannot drift from what runs. A header that lacks a part is refused with file and line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PARTS: Final = ("question", "one row per", "parameters", "columns", "cost", "example")
LISTS: Final = ("parameters", "columns")
_PART: Final = re.compile(r"-- ([a-z ]+):(?: (\S.*))?")
_ENTRY: Final = re.compile(r"--   (\S[^:]*): (\S.*)")
_MACRO: Final = re.compile(
    r"CREATE OR REPLACE MACRO (?P<name>[a-z][a-z0-9_]*)\((?P<parameters>[^)]*)\) AS TABLE\s.*;\s*", re.DOTALL
)
# A macro of `shared/` that gives rows of the table `minutes`.
_MINUTES: Final = re.compile(r"\b(objective_minutes|minutes_of|minutes_between)\(")
_PARAMETER: Final = re.compile(r"([a-z_]+) := (NULL|'[^']*'|\d+)")


class CatalogError(ValueError):
    """A .sql file of the catalog is malformed; the message names file and line."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a question: its name, its default as SQL, and what it means in one sentence."""

    name: str
    default: str
    meaning: str


@dataclass(frozen=True)
class Column:
    """A column of the answer: its name, its type as DuckDB shows it, and what it means in one sentence."""

    name: str
    type: str
    meaning: str


@dataclass(frozen=True)
class Question:
    """One question: its documentation, and the statement that installs it as a DuckDB table macro."""

    name: str
    question: str
    one_row_per: str
    parameters: tuple[Parameter, ...]
    columns: tuple[Column, ...]
    cost: str
    example: str
    sql: str
    fix: str = ""  # what to do about the rows, whole; empty where that depends

    @property
    def reads_minutes(self) -> bool:
        """Whether it is answered from the table `minutes`, which somebody must have brought up to date."""
        return _MINUTES.search(self.sql) is not None


@dataclass(frozen=True)
class _Line:
    """A header line: where it stands, and its text after the part's or the entry's name."""

    number: int
    name: str
    text: str


@dataclass
class _Header:
    """The parts read so far: a text each, or entries for the parts that are lists."""

    texts: dict[str, str]
    entries: dict[str, list[_Line]]


def parse(file: str, content: str) -> Question:
    """The question that a .sql file holds; ``file`` is its name, such as ``latency.sql``.

    Raises CatalogError for a header or statement that departs from the format.
    """
    lines = content.splitlines()
    length = next((at for at, line in enumerate(lines) if not line.startswith("--")), len(lines))
    header = _header(file, lines[:length])
    sql = "\n".join(lines[length:]).strip() + "\n"
    statement = _MACRO.fullmatch(sql)
    if statement is None:
        _refuse(file, length + 1, "expected CREATE OR REPLACE MACRO name(...) AS TABLE ... ;")
    name = statement["name"]
    if file != f"{name}.sql":
        _refuse(file, length + 1, f"the macro is named {name}; file and macro must have one name")
    return Question(
        name=name,
        question=header.texts["question"],
        one_row_per=header.texts["one row per"],
        parameters=_parameters(file, length + 1, header.entries["parameters"], statement["parameters"]),
        columns=tuple(_column(file, entry) for entry in header.entries["columns"]),
        cost=header.texts["cost"],
        example=header.texts["example"],
        sql=sql,
    )


def _header(file: str, lines: Sequence[str]) -> _Header:
    """Read the parts in their order; an entry belongs to the list that was begun last."""
    header = _Header({}, {})
    expected = iter(PARTS)
    current = ""
    for number, line in enumerate(lines, 1):
        if entry := _ENTRY.fullmatch(line):
            if current not in LISTS:
                _refuse(file, number, "an indented line belongs below 'parameters:' or 'columns:'")
            header.entries[current].append(_Line(number, entry[1], entry[2]))
            continue
        current = next(expected, "")
        _begin_part(file, number, line, current, header)
    if missing := next(expected, ""):
        _refuse(file, len(lines) + 1, f"the header lacks the part '{missing}:'")
    _require_entries(file, header)
    return header


def _begin_part(file: str, number: int, line: str, expected: str, header: _Header) -> None:
    part = _PART.fullmatch(line)
    if part is None or part[1] != expected:
        wanted = f"'-- {expected}:'" if expected else "the statement after the last part"
        _refuse(file, number, f"expected {wanted}, found {line!r}")
    if expected in LISTS:
        if part[2]:
            _refuse(file, number, f"'{expected}:' stands alone; its entries follow, indented, one a line")
        header.entries[expected] = []
        return
    if not part[2]:
        _refuse(file, number, f"'{expected}:' is empty")
    header.texts[expected] = part[2]


def _require_entries(file: str, header: _Header) -> None:
    for name in LISTS:
        if not header.entries[name]:
            _refuse(file, 1, f"'{name}:' has no entries")


def _parameters(file: str, number: int, entries: Sequence[_Line], signature: str) -> tuple[Parameter, ...]:
    """Each parameter with its default, which stands only in the statement; both must list the same names."""
    declared = dict(_declared(file, number, signature))
    documented = [entry.name for entry in entries]
    if documented != list(declared):
        _refuse(file, entries[0].number, f"documented {documented}, but the macro takes {list(declared)}")
    return tuple(Parameter(entry.name, declared[entry.name], entry.text) for entry in entries)


def _declared(file: str, number: int, signature: str) -> Iterator[tuple[str, str]]:
    for text in signature.split(","):
        parameter = _PARAMETER.fullmatch(text.strip())
        if parameter is None:
            _refuse(file, number, f"the parameter {text.strip()!r} must read name := default")
        yield parameter[1], parameter[2]


def _column(file: str, entry: _Line) -> Column:
    name, _, type_ = entry.name.partition(" ")
    if not type_:
        _refuse(file, entry.number, f"the column {name!r} lacks its type")
    return Column(name, type_, entry.text)


def _refuse(file: str, number: int, reason: str) -> NoReturn:
    raise CatalogError(f"{file}:{number}: {reason}")


@cache
def questions() -> tuple[Question, ...]:
    """All questions, by name. Raises CatalogError when a file of the catalog is malformed."""
    package = resources.files("queries")
    files = sorted((entry for entry in package.iterdir() if entry.name.endswith(".sql")), key=lambda file: file.name)
    fixes = {entry.name: entry.read_text("utf-8") for entry in (package / "fixes").iterdir()}
    parsed = [parse(file.name, file.read_text("utf-8")) for file in files]
    return tuple(replace(item, fix=fixes.get(f"{item.name}.txt", "")) for item in parsed)


def question(name: str) -> Question:
    """The question of that name. Raises KeyError, with the names there are, for any other."""
    for candidate in questions():
        if candidate.name == name:
            return candidate
    known = ", ".join(candidate.name for candidate in questions())
    raise KeyError(f"There is no question {name!r}; try one of {known}.")
