"""SQL statements, one after the other, on one DuckDB connection: what the prompt and a pipe both do."""

from __future__ import annotations

import sqlite3
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from drainlake.errors import Failure
from drainlake.lake import BATCH_ROWS, interruptible
from queries.guarding import NotReadingError, refuse_unless_reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from duckdb import DuckDBPyConnection

    from queries.guarding import Limits

_HELP: Final = """\
Statements end with a semicolon and may take several lines.
  .tables       the tables and the questions
  .schema T     the columns of table or question T; T() is the question where both have the name
  .help         this text
Ctrl-C stops a running query, Ctrl-D leaves.
"""


@dataclass(frozen=True)
class Vocabulary:
    """What can be named in SQL here: columns by table, parameters by question (a table macro), keywords."""

    tables: dict[str, list[str]] = field(default_factory=dict)
    questions: dict[str, list[str]] = field(default_factory=dict)
    keywords: tuple[str, ...] = ()

    @classmethod
    def read(cls, connection: DuckDBPyConnection) -> Vocabulary:
        """The vocabulary of the database that the connection has open."""
        columns = connection.execute(
            "SELECT table_name, list(column_name ORDER BY column_index) FROM duckdb_columns()"
            " WHERE NOT internal AND table_name NOT LIKE 'drainlake%'"
            " GROUP BY table_name ORDER BY table_name"
        ).fetchall()
        macros = connection.execute(
            "SELECT function_name, any_value(parameters) FROM duckdb_functions()"
            " WHERE function_type = 'table_macro' AND NOT internal"
            " GROUP BY function_name ORDER BY function_name"
        ).fetchall()
        keywords = connection.execute("SELECT keyword_name FROM duckdb_keywords()").fetchall()
        return cls(dict(columns), dict(macros), tuple(sorted(row[0].upper() for row in keywords)))


def statements(lines: Iterable[str]) -> Iterator[str]:
    """Whole statements and dot commands from lines, as soon as each is whole; the last needs no semicolon."""
    pending = ""
    for line in lines:
        if not pending and line.lstrip().startswith("."):
            yield line.strip()
            continue
        pending = pending + line if pending or line.strip() else ""
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    if pending.strip():
        yield pending


def is_whole(text: str) -> bool:
    """Whether Enter runs this text: a dot command, a statement with its semicolon, or nothing."""
    return not text.strip() or text.lstrip().startswith(".") or sqlite3.complete_statement(text)


class Session:
    """Runs statements on a lake's connection and hands each one's rows to ``show``, which returns a count.

    With ``timing`` it says on stderr how many rows came and how long they took. With ``limits`` it runs statements that
    read, within them, and shows the rows of whole answers only.
    """

    def __init__(
        self,
        connection: DuckDBPyConnection,
        show: Callable[[pa.RecordBatchReader], int],
        *,
        timing: bool = False,
        limits: Limits | None = None,
    ) -> None:
        self._connection = connection
        self._limits = limits
        self._show = show
        self._timing = timing

    def run(self, text: str) -> None:
        """Run a dot command or the statements of a text; raises :class:`Failure` at the first that fails."""
        if text.lstrip().startswith("."):
            sys.stdout.write(self._command(text.strip()))
            return
        for statement in interruptible(self._connection, lambda: self._connection.extract_statements(text)):
            self._timed(statement.query)

    def _timed(self, query: str) -> None:
        started = time.monotonic()
        limit = self._limits.seconds if self._limits else None
        rows = interruptible(self._connection, lambda: self._rows_of(query), limit)
        if rows is not None and self._timing:
            seconds = time.monotonic() - started
            sys.stderr.write(f"({rows} row{'' if rows == 1 else 's'}, {seconds:.3f} s)\n")

    def _rows_of(self, query: str) -> int | None:
        if self._limits is not None:
            return self._show(self._within(self._limits, query))
        relation = self._connection.sql(query)
        return None if relation is None else self._show(relation.to_arrow_reader(BATCH_ROWS))

    def _within(self, limits: Limits, query: str) -> pa.RecordBatchReader:
        """The whole answer, taken before a row is shown: one that is too large shows none."""
        try:
            refuse_unless_reading(self._connection, query)
        except NotReadingError as error:
            raise Failure(str(error), "SELECT, or `drainlake sql` without --read-only-safe") from None
        reader = self._connection.sql(query).to_arrow_reader(BATCH_ROWS)
        batches, rows = [], 0
        for batch in reader:
            rows += batch.num_rows
            if rows > limits.rows:
                raise Failure(f"The answer has more than {limits.rows:,} rows.", f"LIMIT {limits.rows}")
            batches.append(batch)
        return pa.RecordBatchReader.from_batches(reader.schema, batches)

    def _command(self, text: str) -> str:
        name, _, argument = text.partition(" ")
        words = Vocabulary.read(self._connection)
        if name == ".tables":
            return "".join(f"{table}\n" for table in words.tables) + "".join(
                f"{question}({', '.join(parameters)})\n"
                for question, parameters in words.questions.items()
                if not question.endswith("_between")
            )
        if name == ".schema":
            return self._schema(argument.strip().strip(";"), words)
        if name == ".help":
            return _HELP
        raise Failure(f"There is no command {name}.", ".help")

    def _schema(self, name: str, words: Vocabulary) -> str:
        question = name.removesuffix("()")  # a question may have a table's name: releases() and releases
        if name not in words.tables and question not in words.questions:
            raise Failure(f"There is no table or question named {name!r}.", ".tables")
        source = name if name in words.tables else f"{question}()"
        described = self._connection.execute(f"DESCRIBE FROM {source}").fetchall()  # a name we know
        return "".join(f"{column[0]:<24} {column[1]}\n" for column in described)
