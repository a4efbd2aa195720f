"""A page for each question: all that its header says, and its answer for the simulated day."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from drainlake.documents.example_lake import APP, DAY, LINES
from drainlake.output import Rows, markdown_text
from queries.catalog import questions
from queries.documentation import cell, option, typed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from duckdb import DuckDBPyConnection

    from queries.catalog import Question

FOLDER: Final = "docs/questions"
ROWS_SHOWN: Final = 8
_WINDOW: Final = {"since": DAY.isoformat(), "until": (DAY + timedelta(days=1)).isoformat(), "app_name": APP}
# What compares two stretches of time is shown two of this day.
_EVENING: Final = {"since": f"{DAY}T18:00", "until": f"{DAY}T22:00"}
_ASKED: Final = {
    "compare_periods": _EVENING | {"before_since": f"{DAY}T11:20"},
    "load_test_verdict": _EVENING | {"plan_since": f"{DAY}T11:20", "plan_until": f"{DAY}T15:00"},
}


def pages(connection: DuckDBPyConnection) -> Iterator[tuple[str, str]]:
    """File name and text of each page, the list of all pages first."""
    connection.execute("SET threads = 1")  # several add floating-point numbers in an order that varies
    yield "README.md", _index(questions())
    for question in questions():
        yield f"{question.name}.md", "\n".join(_page(question, connection))


def _index(all_of_them: Sequence[Question]) -> str:
    rows = "".join(f"| [{item.name}]({item.name}.md) | {cell(item.question)} |\n" for item in all_of_them)
    return (
        "# Questions\n\nOne page for each, made from the header of its `queries/*.sql` by "
        f"`python -m drainlake.documents`. The answers shown are those of a simulated day of {LINES:,} lines, {DAY}. "
        "The day that `drainlake demo` makes is yesterday and of a million lines: the incidents are the same, the "
        f"figures are others, and so are the dates to ask with.\n\n| question | answers |\n|---|---|\n{rows}"
    )


def _page(question: Question, connection: DuckDBPyConnection) -> Iterator[str]:
    yield f"# {question.name}\n"
    yield f"{question.question}\n"
    yield f"One row per {question.one_row_per}.\n"
    yield from _table("parameter", ((option(item.name), item.default, item.meaning) for item in question.parameters))
    yield from _table("column", ((item.name, item.type, item.meaning) for item in question.columns))
    yield f"Cost: {question.cost}\n"
    yield f"```sql\n{question.example}\n```\n"
    yield from _answer(question, connection)


def _table(head: str, rows: Iterator[tuple[str, str, str]]) -> Iterator[str]:
    second = {"parameter": "default", "column": "type"}[head]
    yield f"| {head} | {second} | |\n|---|---|---|"
    yield from (f"| `{name}` | {f'`{detail}`'} | {cell(meaning)} |" for name, detail, meaning in rows)
    yield ""


def _answer(question: Question, connection: DuckDBPyConnection) -> Iterator[str]:
    asked = _WINDOW | _ASKED.get(question.name, {})
    given = " ".join(typed(name, value) for name, value in asked.items())
    yield f"```sh\ndrainlake query {question.name} {given}\n```\n"
    call = ", ".join(f"{name} := ?" for name in asked)  # names of the catalog
    answer = connection.sql(f"FROM {question.name}({call})", params=list(asked.values())).to_arrow_table()
    if answer.num_rows == 0:
        yield "No rows for the simulated day.\n"
        return
    yield "".join(markdown_text(Rows.of(answer.slice(0, ROWS_SHOWN).to_reader())))
    if answer.num_rows > ROWS_SHOWN:
        yield f"… and {answer.num_rows - ROWS_SHOWN:,} more rows.\n"
