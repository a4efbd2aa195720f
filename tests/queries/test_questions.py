"""Every question: its cases, its documentation against what DuckDB says, its pruning."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from ingest.schema import TABLES
from queries import database
from queries.catalog import questions
from tests.queries.cases import CASES, FILES, case_id, comparable, earlier, load, statement
from tests.queries.facts import FACTS, HOURS, every_hour
from tests.queries.lakes import write_lake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from queries.catalog import Question
    from tests.queries.lakes import Row

    Holding = Callable[[Mapping[str, Iterable[Row]]], duckdb.DuckDBPyConnection]

NAMES = [question.name for question in questions()]
# Files that a question opens beyond two scans a table, on purpose: those of days it was not asked about, and the same
# days once more. A verdict also plans from the 7 days before.
FILES_BEYOND = {
    "uncompressed_assets": 31,  # load balancers may have logged on any earlier day; and all files' times are looked at
    "compare_periods": 12,
    "migration_diff": 72,
    "load_test_plan": 12,
    "load_test_verdict": 84,
    "concurrency_levels": 11,  # those are counted, too, that it reads only where minutes do not fit
    "peak_concurrency": 7,  # likewise
    "php_capacity": 11,  # likewise
}
# Questions that cut time into steps.
OF_STEPS = {
    "burn_history",
    "burn_rates",
    "cold_dynos",
    "concurrency_over_time",
    "deploy_impact",
    "dyno_memory",
    "peak_concurrency",
    "series",
    "throughput",
}


@pytest.mark.parametrize("file", FILES, ids=case_id)
def test_case(file: Path, holding: Holding) -> None:
    """A question answers a case as its data file says, in whatever time zone the client's session is."""
    case = load(file)
    connection = holding(case["tables"])
    for zone in ("UTC", "America/New_York", "Asia/Kolkata"):
        connection.execute(f"SET TimeZone = '{zone}'")
        if "error" in case:
            with pytest.raises(duckdb.Error, match=re.escape(case["error"])):
                connection.execute(statement(case)).fetchall()
            continue
        rows = connection.execute(statement(case)).fetchall()
        assert [[comparable(value) for value in row] for row in rows] == case["rows"], zone


@pytest.mark.parametrize("file", [file for file in FILES if file.parent.name in OF_STEPS], ids=case_id)
def test_steps_are_those_of_the_clock_before_1970_too(file: Path, holding: Holding) -> None:
    """There a plain division of microseconds would round to the step after: the same case has the same answer."""
    case = earlier(load(file))
    if "error" not in case:
        rows = holding(case["tables"]).execute(statement(case)).fetchall()
        assert [[comparable(value) for value in row] for row in rows] == case["rows"]


def test_steps_of_time_are_numbered_in_one_way() -> None:
    """No statement divides an epoch itself: by the macro steps_since_1970."""
    sources = [path for path in Path(database.__file__).parent.rglob("*") if path.suffix in {".sql", ".py"}]
    own = re.compile(r"epoch_us\([\w.()]*\) //|\w_us // ")
    assert len(sources) > 100
    assert [path.name for path in sources if own.search(path.read_text("utf-8"))] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_question_has_cases(name: str) -> None:
    """A question has an empty case and at least two more."""
    stems = {file.stem for file in (CASES / name).glob("*.json")}
    assert "empty_lake" in stems
    assert len(stems) >= 3


def test_no_case_without_a_question() -> None:
    """A folder of cases belongs to a question, so that a renamed question keeps its cases."""
    assert {file.parent.name for file in FILES} == set(NAMES)


@pytest.mark.parametrize("question", questions(), ids=NAMES)
def test_documented_columns_are_the_real_ones(question: Question, holding: Holding) -> None:
    """The header lists the columns of the answer: names, order and types."""
    connection = holding({})
    described = connection.execute(f"DESCRIBE FROM {question.name}()").fetchall()
    real = [(row[0], row[1].replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")) for row in described]
    assert [(column.name, column.type) for column in question.columns] == real


@pytest.mark.parametrize("question", questions(), ids=NAMES)
def test_documented_example_runs(question: Question, holding: Holding) -> None:
    """The example of the header can be pasted."""
    connection = holding({})
    assert question.name in question.example
    assert connection.execute(question.example).fetchall() == []


def test_no_parameter_is_named_as_a_column() -> None:
    """DuckDB silently prefers the column where a parameter has its name: the filter would be ignored."""
    columns = {column.name for table in TABLES.values() for column in table.columns} | {"date"}
    columns |= {column.name for question in questions() for column in question.columns}
    parameters = {parameter.name for question in questions() for parameter in question.parameters}
    assert parameters & columns == set()


@pytest.mark.parametrize("question", questions(), ids=NAMES)
def test_every_question_takes_the_window(question: Question) -> None:
    """`since`, `until` and `app_name` come first and default to NULL in every question."""
    first = [(parameter.name, parameter.default) for parameter in question.parameters[:3]]
    assert first == [("since", "NULL"), ("until", "NULL"), ("app_name", "NULL")]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
@pytest.mark.parametrize("table", TABLES)
def test_a_day_reads_the_files_of_a_day(table: str, zone: str, holding: Holding) -> None:
    """Of thirteen days' files a question about one day opens one, whatever kind of value bounds it."""
    rows = [{"timestamp": hour, "app": "shop"} for hour in HOURS]
    connection = holding({table: rows})
    connection.execute(f"SET TimeZone = '{zone}'")
    bounds = (
        "'2026-11-20', '2026-11-21T00:00:00Z'",
        "DATE '2026-11-20', DATE '2026-11-21'",
        "TIMESTAMPTZ '2026-11-20 00:00:00+00', TIMESTAMPTZ '2026-11-20 00:00:00+00' + INTERVAL 1 DAY",
    )
    for bound in bounds:
        query = f"SELECT timestamp, app FROM {table}_between({bound}, NULL)"
        assert files_read(connection, query) == 1
        assert len(connection.execute(query).fetchall()) == 3


@pytest.fixture(scope="module")
def thirteen_days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """A lake with a file a day of each table.

    DuckDB leaves a scan out when a file's statistics show that no row can match, so each filter finds some rows.
    """
    folder = tmp_path_factory.mktemp("days")
    lake = write_lake(folder / "lake", every_hour(FACTS))
    with database.connect(str(lake), folder / "lake.duckdb") as connection:
        yield connection


@pytest.mark.parametrize("question", questions(), ids=NAMES)
def test_questions_pass_the_window_on(question: Question, thirteen_days: duckdb.DuckDBPyConnection) -> None:
    """A question about one day opens no file of the other days, but the earlier load-balancer rows."""
    query = f"FROM {question.name}(since := '2026-11-20', until := '2026-11-21')"
    # Two scans a table; concurrency looks 10 minutes past midnight. All 13 days would be 13 a scan.
    assert 1 <= files_read(thirteen_days, query) - FILES_BEYOND.get(question.name, 0) <= 10


def files_read(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    """Number of files that a query opened, over all its scans."""
    plan = connection.execute(f"EXPLAIN ANALYZE {query}").fetchall()[0][1]
    return sum(map(int, re.findall(r"Total Files Read: (\d+)", plan)))
