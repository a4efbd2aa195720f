"""The command line: exit codes, stdout and stderr, help, lazy imports; what no process shows better is run inside."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from drainlake import __version__
from drainlake.cli import COMMANDS
from drainlake.commands.query import as_options
from drainlake.options import DAY_LINES
from ingest.simulator.shop.day import MIN_LINES
from queries import database
from queries.catalog import questions
from tests.drainlake.conftest import COMMAND

if TYPE_CHECKING:
    from tests.drainlake.conftest import Cli
    from tests.drainlake.inside import Inside

CASES = json.loads((Path(__file__).parent / "data" / "usage.json").read_text("utf-8"))
HEAVY = {
    "polars",
    "duckdb",
    "pyarrow",
    "numpy",
    "starlette",
    "uvicorn",
    "rich",
    "prompt_toolkit",
    "pygments",
    "dotenv",
}
LIGHT = {"click", "drainlake"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["behaviour"])
def test_wrong_use_exits_2_with_a_sentence_and_one_thing_to_try(cli: Cli, case: dict[str, Any]) -> None:
    """Wrong use prints nothing on stdout, two lines on stderr, and does nothing."""
    done = cli.run(*case["args"], **case.get("env", {}))
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    sentence, remedy = done.stderr.splitlines()
    assert sentence.startswith("drainlake: ")
    assert case["says"] in sentence
    assert remedy.startswith("Try: ")
    assert case["tries"] in remedy
    assert "\x1b" not in done.stderr
    assert not list(cli.folder.iterdir())


def test_help_imports_nothing_heavy(cli: Cli) -> None:
    """``drainlake --help`` loads click and the root module; it must answer at once."""
    code = (
        "import sys; before = set(sys.modules); from drainlake.cli import run; code = run(['--help']);"
        "print(*{name.split('.')[0] for name in set(sys.modules) - before}, file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=cli.env())
    loaded = set(done.stderr.split())
    assert not loaded & HEAVY
    assert loaded - set(sys.stdlib_module_names) == LIGHT


def test_a_first_answer_imports_what_it_needs(cli: Cli) -> None:
    """A table of a question needs DuckDB and Arrow; each of the others would make the answer wait."""
    code = (
        "import sys; from drainlake.cli import run; code = run(['query', 'h12_timeouts']);"
        "print(*sys.modules, file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=cli.env())
    loaded = set(done.stderr.split())
    assert loaded >= {"duckdb", "pyarrow"}
    assert not loaded & {
        "polars",
        "scipy",
        "jinja2",
        "boto3",
        "kafka",
        "uvicorn",
        "fsspec",
        "pyarrow.parquet",
        "pandas",
    }


_THREADS_OF_NUMPY = """
import os, sys

class Watching:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            sys.meta_path.remove(self)
            before = len(os.listdir("/proc/self/task"))
            import numpy
            print("numpy started", len(os.listdir("/proc/self/task")) - before, file=sys.stderr)

sys.meta_path.insert(0, Watching())
from drainlake.cli import main
main()
"""


@pytest.mark.parametrize(
    "command", ["query", "query latency", "report --out report.html", "drains", "mute", "land --once"]
)
def test_numpy_starts_no_threads(cli: Cli, command: str) -> None:
    """They would spin beside the first query of a process, one for each core, whatever loads it."""
    environment = {name: text for name, text in cli.env().items() if name != "OPENBLAS_NUM_THREADS"}
    run = [sys.executable, "-c", _THREADS_OF_NUMPY, *command.split()]
    done = subprocess.run(run, capture_output=True, text=True, cwd=cli.folder, env=environment, check=False)
    assert "numpy started 0\n" in done.stderr


def test_a_closed_stdout_ends_in_no_traceback(cli: Cli) -> None:
    """A cron job closes it (`>&-`); the exit code is what it reads."""
    line = [sys.executable, "-c", "from drainlake.cli import main; main()", "query", "routes"]
    done = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *line], check=False, capture_output=True, text=True, env=cli.env()
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr


def test_help_lists_every_command(cli: Cli) -> None:
    """The root's help and the modules agree on names and short helps."""
    text = cli.good("--help")
    assert cli.good() == text
    for name, sentence in COMMANDS.items():
        assert f"  {name} " in text
        assert sentence in text


@pytest.mark.parametrize("name", [*COMMANDS, "import elb", "import access", "import heroku"])
def test_every_command_explains_itself(inside: Inside, name: str) -> None:
    """Each help has the usage, a sentence, the options and an example that calls the command."""
    text = inside.good(*name.split(), "--help")
    assert text.startswith(f"Usage: drainlake {name}")
    assert "\nOptions:\n" in text
    example = text.partition("Example: ")[2]
    assert f"drainlake {name}" in example
    assert text.splitlines()[2].strip().endswith((".", ",", ";")) or len(text.splitlines()[2]) > 60
    assert not list(inside.folder.iterdir())


@pytest.mark.parametrize("question", questions(), ids=lambda question: question.name)
def test_every_question_explains_itself(inside: Inside, question: Any) -> None:
    """NAME before or behind --help shows the question's documentation."""
    text = inside.good("query", "--help", question.name)
    assert question.question in " ".join(text.split())
    assert all(column.name in text for column in question.columns)
    assert inside.good("query", question.name, "-h") == text


def test_the_version_is_the_packages(cli: Cli) -> None:
    """``--version`` prints one line."""
    assert cli.good("--version") == f"drainlake {__version__}\n"


def test_without_a_name_query_lists_the_questions(cli: Cli) -> None:
    """As a table for people and as rows for programs."""
    names = [question.name for question in questions()]
    assert [line.split()[0] for line in cli.good("query").splitlines()] == names
    assert [row["name"] for row in json.loads(cli.good("query", "--format", "json"))] == names


@pytest.fixture(scope="module")
def unused(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home into which nothing has landed, with the database of the questions, which asking makes once."""
    home = tmp_path_factory.mktemp("unused")
    database.ensure(str(home / "lake"), home / "lake.duckdb")
    return home


@pytest.mark.parametrize("question", questions(), ids=lambda question: question.name)
def test_an_empty_lake_answers_with_no_rows(inside: Inside, unused: Path, question: Any) -> None:
    """Before anything has landed, every question gives an empty answer and exit code 0."""
    asked = inside.good("--home", str(unused), "query", question.name, "--since", "24h", "--format", "json")
    answer = json.loads(asked)
    assert answer["rows"] == []
    assert answer["trust"]["received"] == 0


def test_query_takes_the_window_and_parameters(cli: Cli) -> None:
    """All the ways to narrow a question are accepted together."""
    args = ("--since", "2026-11-01", "--until", "2026-11-23T10:00Z", "--app", "shop", "--param", "per=dyno")
    done = cli.run("query", "peak_concurrency", *args, "--format", "csv")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("app,key,peak,peak_at")
    assert "No rows." in done.stderr


@pytest.mark.parametrize(
    ("question", "given", "told", "remedy"),
    [
        ("peak_concurrency", "per=host", "counts per 'app', 'dyno' or 'route'.", "--param per=dyno"),
        ("h12_autopsy", "free_below=0", "whole numbers both.", "--param apart_seconds=60 --param free_below=4"),
        ("compare_periods", "before_until=2d", "period beside it.", "--param before_since=2026-11-23T10:00 too"),
        (
            "costs",
            "dyno_type=big",
            "no such dyno type.",
            "one of FROM dyno_prices(), such as --param dyno_type=Standard-2X",
        ),
    ],
)
def test_query_refuses_a_wrong_parameter_in_the_words_of_the_question(
    inside: Inside, unused: Path, question: str, given: str, told: str, remedy: str
) -> None:
    """It is wrong use: the question's sentence, without what DuckDB puts before it, and an option to try."""
    done = inside.run("--home", str(unused), "query", question, "--param", given)
    assert done.returncode == 2
    sentence, tried = done.stderr.splitlines()[-2:]
    assert sentence.startswith("drainlake: ")
    assert "Invalid Input" not in sentence
    assert sentence.endswith(told)
    assert tried == f"Try: {remedy}"


@pytest.mark.parametrize(
    ("remedy", "options"),
    [
        ("since := '2026-11-23T10:00'", "--since 2026-11-23T10:00"),
        ("app_name := 'shop', until := '1h', per := 'dyno' too", "--app shop --until 1h --param per=dyno too"),
        (
            "before_since := '7d', target := 99.9, top := 20",
            "--param before_since=7d --param target=99.9 --param top=20",
        ),
        ("--assets DIR, which makes them", "--assets DIR, which makes them"),
    ],
)
def test_what_a_question_says_to_try_is_said_in_options(remedy: str, options: str) -> None:
    """The window and the app have options of their own; what is no parameter stays as it is."""
    assert as_options(remedy) == options


def test_query_knows_a_question_in_capitals(cli: Cli) -> None:
    """What it names to try is the same name in small letters."""
    done = cli.run("query", "R14_MEMORY")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("Try: drainlake query r14_memory,")


@pytest.mark.parametrize("given", ["20", "2e1", "20.0"])
def test_query_reads_a_number_however_it_is_written(inside: Inside, unused: Path, given: str) -> None:
    """A whole number is one in any notation."""
    asked = ("query", "slowest", "--param", f"top={given}", "--format", "jsonl")
    assert inside.good("--home", str(unused), *asked) == ""


def test_query_takes_spans_for_other_moments_too(inside: Inside, unused: Path) -> None:
    """What --since takes, the beginnings and ends of other periods take."""
    before = ("--param", "before_since=7d", "--param", "before_until=6d")
    inside.good("--home", str(unused), "query", "compare_periods", "--since", "1d", *before)


def test_sql_prints_rows_in_every_format(inside: Inside) -> None:
    """The same row as table, JSON, JSON lines, CSV, Markdown and Parquet."""
    query = "SELECT 1 AS n, 'a' AS t"
    assert inside.good("sql", query) == "n  t\n─  ─\n1  a\n"
    assert json.loads(inside.good("sql", query, "--format", "json")) == [{"n": 1, "t": "a"}]
    assert json.loads(inside.good("sql", query, "--format", "jsonl")) == {"n": 1, "t": "a"}
    assert inside.good("sql", query, "--format", "csv") == "n,t\n1,a\n"
    assert inside.good("sql", query, "--format", "markdown").splitlines()[2] == "| 1 | a |"
    inside.good("sql", query, "--out", "x.parquet")
    assert json.loads(inside.good("sql", "FROM 'x.parquet'", "--format", "json")) == [{"n": 1, "t": "a"}]


def test_parquet_goes_through_a_pipe(cli: Cli) -> None:
    """Without a terminal Parquet is written to stdout, byte for byte."""
    done = subprocess.run(
        [*COMMAND, "sql", "SELECT 1 AS n", "--format", "parquet"],
        cwd=cli.folder,
        env=cli.env(),
        capture_output=True,
        check=True,
    )
    assert done.stdout[:4] == done.stdout[-4:] == b"PAR1"


@pytest.mark.parametrize(
    "statement", ["SELEC 1", "SELECT * FROM nowhere", "SELECT error('\x1b[31mboom')", "SELECT 'x'::INT"]
)
def test_a_failing_statement_exits_1_with_a_sentence(inside: Inside, unused: Path, statement: str) -> None:
    """DuckDB's message in one line, nothing on stdout, no traceback."""
    done = inside.run("--home", str(unused), "sql", statement)
    assert (done.returncode, done.stdout) == (1, "")
    lines = [line for line in done.stderr.splitlines() if not line.startswith("Note: ")]
    assert len(lines) == 2
    assert lines[0].startswith("drainlake: ")
    assert lines[1].startswith("Try: ")
    assert "\x1b" not in done.stderr


def test_statements_come_through_a_pipe(cli: Cli) -> None:
    """Statements end with a semicolon, may span lines, and stop at the first that fails."""
    script = "SELECT 1 AS a,\n 'x;y' AS b; SELECT 2 AS c;\n.schema router\nSELECT 3 AS d"
    out = cli.good("sql", "--format", "csv", stdin=script)
    assert out.startswith("a,b\n1,x;y\nc\n2\n")
    assert "timestamp" in out
    assert out.endswith("d\n3\n")
    done = cli.run("sql", "--format", "csv", stdin="SELECT 1 AS a;\nSELECT nope;\nSELECT 2 AS b;\n")
    assert (done.returncode, done.stdout) == (1, "a\n1\n")


def test_a_question_may_have_the_name_of_a_table(cli: Cli) -> None:
    """``.schema releases`` shows the table, ``.schema releases()`` the question, and both can be asked."""
    asked = "SELECT count(*) AS n FROM releases;\nSELECT count(*) AS m FROM releases();"
    lines = cli.good("sql", "--format", "csv", stdin=f".schema releases\n.schema releases()\n{asked}").splitlines()
    assert lines[0].split() == ["timestamp", "TIMESTAMP", "WITH", "TIME", "ZONE"]
    assert ["changed_at", "TIMESTAMP", "WITH", "TIME", "ZONE"] in [line.split() for line in lines]
    assert lines[-4:] == ["n", "0", "m", "0"]


def test_a_query_plan_is_drawn(cli: Cli) -> None:
    """EXPLAIN shows DuckDB's drawing as it is, line by line."""
    assert len(cli.good("sql", "EXPLAIN SELECT 1").splitlines()) > 3


def test_one_file_holds_one_answer(cli: Cli) -> None:
    """A second answer for the same --out is refused; it would replace the first."""
    done = cli.run("sql", "SELECT 1; SELECT 2", "--out", "x.csv")
    assert done.returncode == 1
    assert "one statement" in done.stderr


def test_a_reader_that_leaves_is_no_error(cli: Cli) -> None:
    """``| head`` ends the command quietly."""
    read, write = os.pipe()
    process = subprocess.Popen(
        [*COMMAND, "sql", "FROM range(300000)", "--format", "csv"],
        cwd=cli.folder,
        env=cli.env(),
        stdin=subprocess.DEVNULL,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(write)
    assert os.read(read, 10)
    os.close(read)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert [line for line in errors.splitlines() if not line.startswith("Note: ")] == []


def test_hints_about_settings_go_to_stderr(cli: Cli) -> None:
    """An unknown name is mentioned with the nearest one; the command does its work."""
    done = cli.run("sql", "SELECT 1 AS n", "--format", "csv", DRAINLAKE_HOST_NAME="x")
    assert (done.returncode, done.stdout) == (0, "n\n1\n")
    assert "DRAINLAKE_HOST_NAME is no setting" in done.stderr
    assert "DRAINLAKE_HOST." in done.stderr


def test_the_home_option_wins_over_environment_and_file(cli: Cli) -> None:
    """--home, then DRAINLAKE_HOME, then ``.env``, then the default."""
    (cli.folder / ".env").write_text("DRAINLAKE_HOME=from-file\n")
    cli.good("sql", "SELECT 1")
    cli.good("sql", "SELECT 1", DRAINLAKE_HOME="from-environment")
    cli.good("--home", "from-option", "sql", "SELECT 1", DRAINLAKE_HOME="from-environment")
    made = {path.parent.name for path in cli.folder.glob("*/lake.duckdb")}
    assert made == {"from-file", "from-environment", "from-option"}


@pytest.mark.parametrize(
    "command", [("demo", "--no-open"), ("simulate", "--to", "day.log")], ids=lambda words: words[0]
)
@pytest.mark.parametrize("option", [("--lines", "100000000"), ("--lines", "10"), ("--seed", "-1")], ids=" ".join)
def test_a_day_that_cannot_be_simulated_is_wrong_use(
    inside: Inside, command: tuple[str, ...], option: tuple[str, str]
) -> None:
    """Before anything is made: one too large would end for want of memory, with a traceback."""
    done = inside.run(*command, *option)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"Invalid value for '{option[0]}'" in done.stderr
    assert list(inside.folder.iterdir()) == []


def test_the_least_lines_of_a_day_are_those_that_its_incidents_need() -> None:
    """The option knows the number by itself: to import the day's module costs every command 0.2 s."""
    assert DAY_LINES.min == MIN_LINES


def test_older_credentials_of_an_app_without_any_cannot_be_retired(inside: Inside) -> None:
    """A name mistyped would read as if the old secret were invalid now."""
    inside.good("attach", "shop")
    for home in ("drainlake-data", "elsewhere"):
        done = inside.run("--home", home, "attach", "shopp", "--retire-older")
        assert (done.returncode, done.stdout) == (1, "")
        assert "shopp has no credentials" in done.stderr
    assert not (inside.folder / "elsewhere").exists()


def test_a_day_written_to_a_file_is_sent_from_it(inside: Inside) -> None:
    """The deliveries that ``simulate --to FILE`` wrote are those that ``simulate --from FILE`` sends."""
    written = json.loads(inside.good("simulate", "--to", "day", "--lines", "20000", "--format", "json"))
    sent = json.loads(inside.good("simulate", "--from", "day", "--to", "again", "--format", "json"))
    counts = ("deliveries", "lines", "acknowledged", "octets")
    assert [sent[0][name] for name in counts] == [written[0][name] for name in counts]
    day, again = ((inside.folder / name).read_text("utf-8") for name in ("day", "again"))
    assert re.sub(r'"d\.[0-9a-f-]+"', '""', again) == re.sub(r'"d\.[0-9a-f-]+"', '""', day)


def test_a_file_is_not_sent_to_itself(inside: Inside) -> None:
    """It would be empty before its first line is read."""
    (inside.folder / "saved.log").write_text("2020-11-16T08:49:12+00:00 app[web.1]: hi\n")
    done = inside.run("simulate", "--from", "saved.log", "--to", "./saved.log")
    assert (done.returncode, done.stdout) == (2, "")
    assert "would write over what --from reads" in done.stderr
    assert (inside.folder / "saved.log").stat().st_size > 0
