"""``drainlake query``: a question of the catalog, its documentation, or the list of them."""

from __future__ import annotations

import re
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from drainlake import compression, load_tests, values
from drainlake.errors import WrongUse
from drainlake.options import APP, MOMENT, Parsed, load_settings, rows_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from duckdb import DuckDBPyConnection, DuckDBPyRelation
    from pyarrow import RecordBatchReader

    from drainlake.output import Output
    from drainlake.settings import Settings
    from queries.catalog import Question
    from queries.trust import Trust

WINDOW = ("since", "until", "app_name")
# As SQL names a parameter and its value; those of a list follow each other with a comma.
_PARAMETER: Final = re.compile(r"(\w+) := (?:'([^']*)'|([\d.]*\d))(?:, (?=\w+ := ))?")
_OPTIONS: Final = {"since": "--since", "until": "--until", "app_name": "--app"}


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError("must be NAME=VALUE")
    return name, value


@click.command("query", add_help_option=False, epilog="Example: drainlake query h12_timeouts --since 24h --app shop")
@click.argument("name", required=False)
@click.option("--since", type=MOMENT, help="First instant counted: 30m, 24h, 7d, or ISO 8601 (UTC).")
@click.option("--until", type=MOMENT, help="First instant no longer counted, in the same forms.")
@click.option("--app", "app_name", type=APP, help="Only this app.")
@click.option(
    "--param",
    "pairs",
    metavar="NAME=VALUE",
    type=Parsed("name=value", _pair),
    multiple=True,
    help="Another parameter of the question.",
)
@compression.options
@load_tests.options
@rows_out
@click.option("-h", "--help", "wants_help", is_flag=True, help="Show this message, or NAME's documentation.")
@click.pass_context
def command(ctx: click.Context, /, name: str | None, output: Output, *, wants_help: bool, **given: Any) -> None:
    """Ask the question NAME; without it, list the questions.

    Below the rows stands, on stderr, what share of the log lines they were computed from.
    """
    # The help flag is our own: click's would not see a NAME that stands behind it.
    if wants_help:
        click.echo(_documentation(name) if name is not None else ctx.get_help())
        return
    compression.refuse_elsewhere(name, given)
    if name is None:
        _list(output)
    else:
        _answer(ctx, _question(name), given, output)


def _question(name: str) -> Question:
    from queries.catalog import question, questions  # noqa: PLC0415 - not for --help

    try:
        return question(name)
    except KeyError:
        import difflib  # noqa: PLC0415

        near = difflib.get_close_matches(name.lower(), [item.name for item in questions()], n=1, cutoff=0.0)
        raise WrongUse(
            f"There is no question {name!r}.", f"drainlake query {near[0]}, or `drainlake query` for the list"
        ) from None


def _documentation(name: str) -> str:
    from queries.documentation import help_text  # noqa: PLC0415

    return help_text(_question(name)).rstrip("\n")


def _list(output: Output) -> None:
    import pyarrow as pa  # noqa: PLC0415

    from queries.catalog import questions  # noqa: PLC0415
    from queries.documentation import list_text  # noqa: PLC0415

    if output.kind == "table" and output.path is None:
        click.echo(list_text(questions()), nl=False)
        return
    names = ("name", "question", "one_row_per", "cost", "example")
    rows = pa.table({name: [getattr(item, name) for item in questions()] for name in names})
    output.write(rows.to_reader())


def _answer(ctx: click.Context, question: Question, given: dict[str, Any], output: Output) -> None:
    from drainlake.lake import BATCH_ROWS, interruptible, open_lake  # noqa: PLC0415 - duckdb is slow
    from queries.few_days import FewDays  # noqa: PLC0415
    from queries.reach import reach  # noqa: PLC0415
    from queries.trust import trust, trust_line  # noqa: PLC0415

    bound = arguments(question, given) | load_tests.as_parameters(question, given)
    settings = load_settings(ctx)
    if question.reads_minutes:
        _keep_minutes(settings)
    with open_lake(settings) as connection, _refusing_as_wrong_use():

        def sought(more: dict[str, str]) -> list[tuple[str, str, str | None]]:
            asked = bound | more
            return interruptible(
                connection, lambda: _rows(connection, question, asked).project("app, path, file").fetchall()
            )

        bound |= compression.parameters(sought, given["assets"], given["probe"])

        def begin() -> tuple[Trust, RecordBatchReader]:
            seen = trust(connection, *(bound.get(name) for name in WINDOW))
            # What fails fails here and not amid the output: each question sorts its answer, so that all has been read.
            return seen, _rows(connection, question, bound).to_arrow_reader(BATCH_ROWS)

        def ask() -> tuple[int, Trust]:
            with FewDays(connection, reach(question.name, bound, datetime.now(UTC))) as few_days:
                seen, rows = few_days.answer(begin, stays=True)
                rows = load_tests.written(connection, rows, bound, given["write"])
                return output.write(rows, seen), seen

        count, seen = interruptible(connection, ask)
    if output.kind != "json":
        click.echo(("" if count else "No rows. ") + trust_line(seen), err=True)
    if count and question.fix:
        click.echo(f"\n{question.fix}", err=True, nl=False)


@contextmanager
def _refusing_as_wrong_use() -> Iterator[None]:
    """Tell what a question refuses in the words of the command line."""
    from drainlake.lake import RefusedParameterError  # noqa: PLC0415 - duckdb is slow

    try:
        yield
    except RefusedParameterError as refused:
        raise WrongUse(refused.sentence, as_options(refused.remedy)) from None


def as_options(remedy: str) -> str:
    """Parameters as SQL names them, ``since := '24h', top := 20``, as options: ``--since 24h --param top=20``."""

    def option(found: re.Match[str]) -> str:
        name, text, number = found.groups()
        value = number if text is None else text
        words = f"{_OPTIONS[name]} {value}" if name in _OPTIONS else f"--param {name}={value}"
        return f"{words} " if found[0].endswith(" ") else words

    return _PARAMETER.sub(option, remedy)


def _keep_minutes(settings: Settings) -> None:
    from drainlake.derived import keep_minutes  # noqa: PLC0415 - polars is slow to import

    if (left_old := keep_minutes(settings, datetime.now(UTC))) is not None:
        click.echo(f"Note: {left_old}", err=True)


def arguments(question: Question, given: dict[str, Any]) -> dict[str, Any]:
    """The question's parameters that were given, by name; raises :class:`WrongUse` for one it lacks."""
    pairs: dict[str, Any] = dict(given["pairs"])
    bound = pairs | {name: given[name] for name in WINDOW if given[name] is not None}
    defaults = {parameter.name: parameter.default for parameter in question.parameters}
    for name in bound:
        if name not in defaults:
            known = ", ".join(defaults)
            raise WrongUse(f"{question.name} has no parameter {name!r}.", f"one of {known}")
    if given["since"] and given["until"] and given["since"] > given["until"]:
        raise WrongUse("--since lies after --until.", "--since 24h alone")
    return {name: _typed(name, value, defaults[name]) for name, value in bound.items()}


def _typed(name: str, value: Any, default: str) -> Any:
    """An instant where the name says so, a number where the default is one: as text it would be compared as text."""
    if not isinstance(value, str):
        return value
    if name.endswith(("since", "until")):
        return _read(name, value, lambda text: values.moment(text, datetime.now(UTC)), "7d")
    return _read(name, value, values.number, default) if default.isdigit() else value


def _read(name: str, text: str, parse: Callable[[str], Any], instead: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise WrongUse(f"--param {name}={text} {error}.", f"--param {name}={instead}") from None


def _rows(connection: DuckDBPyConnection, question: Question, bound: dict[str, Any]) -> DuckDBPyRelation:
    # The names come from the catalog; values are bound, never written into the statement.
    call = ", ".join(f"{name} := ?" for name in bound)
    return connection.sql(f"FROM {question.name}({call})", params=list(bound.values()))
