"""``drainlake sql``: a statement, statements from a pipe, or the prompt."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import click

from drainlake.errors import Failure, WrongUse
from drainlake.options import rows_out, with_settings
from drainlake.safe_sql import limits_given, make_safe

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from drainlake.output import Output
    from drainlake.settings import Settings
    from queries.guarding import Limits

PROMPT_ROWS: Final = 200


@click.command("sql", epilog='Example: drainlake sql "SELECT status, count(*) FROM router GROUP BY ALL"')
@click.argument("statement", required=False)
@rows_out
@limits_given
@with_settings
def command(settings: Settings, statement: str | None, output: Output, limits: Limits | None) -> None:
    """Run SQL on the lake; without STATEMENT read it from a pipe, or open a prompt.

    All tables and questions are there: SELECT * FROM router, SELECT * FROM h12_timeouts(app_name := 'shop').

    With --read-only-safe, for people you would not give a shell: statements can read no other file, write nothing
    and not exceed the limits.
    """
    from drainlake.lake import open_lake  # noqa: PLC0415 - duckdb is slow to import

    with open_lake(settings) as connection:
        if limits is not None:
            make_safe(connection, settings, limits)
        if statement is None and sys.stdin.isatty() and sys.stdout.isatty():
            _prompt(settings, connection, output, limits)
        else:
            _run([statement] if statement is not None else None, connection, output, limits)


def _prompt(settings: Settings, connection: DuckDBPyConnection, output: Output, limits: Limits | None) -> None:
    from drainlake.prompt import interact  # noqa: PLC0415 - prompt_toolkit is slow to import
    from drainlake.session import Session, Vocabulary  # noqa: PLC0415

    if output.path is not None:
        raise WrongUse("--out needs a statement.", 'drainlake sql "SELECT …" --out FILE')
    shown = replace(output, table_rows=PROMPT_ROWS)
    click.echo(f"The lake in {settings.lake}. Statements end with ;  .help tells more, Ctrl-D leaves.", err=True)
    interact(
        Session(connection, shown.write, timing=True, limits=limits),
        Vocabulary.read(connection),
        settings.home / "sql-history",
    )


def _run(texts: list[str] | None, connection: DuckDBPyConnection, output: Output, limits: Limits | None) -> None:
    from drainlake.session import Session, statements  # noqa: PLC0415

    session = Session(connection, _once(output) if output.path is not None else output.write, limits=limits)
    for text in texts if texts is not None else statements(sys.stdin):
        session.run(text)


class _once:  # noqa: N801 - used like a function
    """Writes one answer to a file and refuses a second, which would replace the first."""

    def __init__(self, output: Output) -> None:
        self._output: Output | None = output

    def __call__(self, reader: pa.RecordBatchReader) -> int:
        if self._output is None:
            raise Failure("--out holds the rows of one statement, there are several.", "one statement at a time")
        output, self._output = self._output, None
        return output.write(reader)
