"""``drainlake sql --read-only-safe`` ends what is too long or too large, with one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.drainlake.conftest import Cli

ENDLESS = "SELECT count(*) FROM range(100000000000) a, range(100000) b WHERE hash(a.range + b.range) = 7"


# DuckDB looks up between vectors of 2,048 rows only, and each of these rows takes a while.
DEAF = (
    "WITH long AS MATERIALIZED (SELECT repeat('ab', 5000000) AS x) "
    "SELECT count(*) FROM long, range(2000) WHERE regexp_matches(x, '(a|b)+c' || range)"
)


@pytest.mark.parametrize(
    ("statement", "limits", "told"),
    [
        (ENDLESS, ["--max-seconds", "0.5"], "longer than 0.5 s and was stopped"),
        (DEAF, ["--max-seconds", "0.5"], "longer than 0.5 s and was stopped"),
        ("FROM range(2000)", ["--max-rows", "1999"], "more than 1,999 rows"),
        ("SELECT length(repeat('x', 3000000000))", ["--max-memory", "256MiB"], "Out of Memory"),
        ("COPY (SELECT 1) TO 'here.csv'", [], "Only statements that read are allowed here, not COPY"),
    ],
)
def test_a_limit_is_a_sentence(statement: str, limits: list[str], told: str, cli: Cli) -> None:
    """No row is printed, the exit code is 1, and the message says which limit it was."""
    done = cli.run("sql", "--read-only-safe", *limits, statement)
    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr
    assert not (cli.folder / "here.csv").exists()


def test_answers_within_the_limits_are_whole(cli: Cli) -> None:
    """What fits is printed as ever, from a pipe too."""
    assert cli.good("sql", "--read-only-safe", "--max-rows", "2", "--format", "csv", "FROM range(2)") == "range\n0\n1\n"
    assert cli.good("sql", "--read-only-safe", "--format", "csv", stdin="SELECT 1 AS a;\nSELECT 2 AS a;") == (
        "a\n1\na\n2\n"
    )


def test_limits_without_the_flag_are_wrong_use(cli: Cli) -> None:
    """A limit that would not hold is refused."""
    done = cli.run("sql", "--max-rows", "5", "SELECT 1")
    assert done.returncode == 2
    assert "--read-only-safe" in done.stderr
