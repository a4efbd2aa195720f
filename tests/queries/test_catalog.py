"""The header format: what is read, what is refused, what is printed from it."""

from __future__ import annotations

import pytest

from queries import catalog, documentation

GOOD = """\
-- question: How many rows are there?
-- one row per: app
-- parameters:
--   since: First instant; NULL is the beginning.
--   per: What by.
-- columns:
--   app VARCHAR: The app.
--   peak_mb DOUBLE: The peak: in MB; NULL if none.
-- cost: Nothing.
-- example: SELECT * FROM rows_of(since := now())
CREATE OR REPLACE MACRO rows_of(since := NULL, per := 'app') AS TABLE
-- a comment below the header is no header
SELECT 1;
"""


def test_a_header_is_read_whole() -> None:
    """All parts of a header arrive, with the parameters' defaults from the statement."""
    question = catalog.parse("rows_of.sql", GOOD)
    assert question.name == "rows_of"
    assert question.question == "How many rows are there?"
    assert question.one_row_per == "app"
    assert question.parameters == (
        catalog.Parameter("since", "NULL", "First instant; NULL is the beginning."),
        catalog.Parameter("per", "'app'", "What by."),
    )
    assert question.columns == (
        catalog.Column("app", "VARCHAR", "The app."),
        catalog.Column("peak_mb", "DOUBLE", "The peak: in MB; NULL if none."),
    )
    assert question.cost == "Nothing."
    assert question.example == "SELECT * FROM rows_of(since := now())"
    assert question.sql.startswith("CREATE OR REPLACE MACRO rows_of(")


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("-- question: How many rows are there?\n", "", "rows_of.sql:1:"),
        ("-- one row per: app\n", "", "rows_of.sql:2:"),
        ("-- one row per: app", "-- one row per:", "rows_of.sql:2: 'one row per:' is empty"),
        ("-- cost: Nothing.\n", "", "rows_of.sql:9:"),
        ("-- example: SELECT * FROM rows_of(since := now())\n", "", "rows_of.sql:10: the header lacks"),
        ("-- parameters:", "-- parameters: none", "rows_of.sql:3:"),
        (
            "--   app VARCHAR: The app.",
            "--   app: The app.",
            "rows_of.sql:7: the column 'app' lacks its type",
        ),
        ("--   app VARCHAR: The app.", "--   app VARCHAR", "rows_of.sql:7:"),
        ("--   per: What by.\n", "", "rows_of.sql:4: documented ['since'], but"),
        ("--   since: First", "--   until: First", "rows_of.sql:4: documented"),
        ("-- cost: Nothing.", "-- cost: Nothing.\n--   stray: entry", "rows_of.sql:10: an indented line"),
        ("-- cost:", "-- price:", "rows_of.sql:9: expected '-- cost:'"),
        ("now())\n", "now())\n-- note: more\n", "rows_of.sql:11: expected the statement"),
        ("MACRO rows_of(", "MACRO other(", "rows_of.sql:11: the macro is named other"),
        ("CREATE OR REPLACE MACRO", "CREATE MACRO", "rows_of.sql:11: expected CREATE OR REPLACE"),
        ("since := NULL", "since", "rows_of.sql:11: the parameter 'since' must read"),
        ("SELECT 1;", "SELECT 1", "rows_of.sql:11: expected"),
    ],
)
def test_a_malformed_header_is_refused(old: str, new: str, place: str) -> None:
    """Whatever departs from the format is refused with file and line."""
    assert old in GOOD
    with pytest.raises(catalog.CatalogError) as refusal:
        catalog.parse("rows_of.sql", GOOD.replace(old, new))
    assert str(refusal.value).startswith(place)


def test_a_list_without_entries_is_refused() -> None:
    """An answer without documented columns is refused."""
    entries = "--   app VARCHAR: The app.\n--   peak_mb DOUBLE: The peak: in MB; NULL if none.\n"
    with pytest.raises(catalog.CatalogError, match="'columns:' has no entries"):
        catalog.parse("rows_of.sql", GOOD.replace(entries, ""))


def test_documentation_is_written_as_sentences() -> None:
    """Questions end with a question mark, what is said of parameters, columns and cost with a full stop."""
    for item in catalog.questions():
        assert item.question.endswith("?"), item.name
        entries = [entry.meaning for entry in item.parameters] + [entry.meaning for entry in item.columns]
        sentences = [item.cost, *entries]
        assert [text for text in sentences if not text.endswith(".")] == [], item.name


def test_an_unknown_question_names_the_known_ones() -> None:
    """Asking for a name there is not says which there are."""
    assert catalog.question("latency").name == "latency"
    with pytest.raises(KeyError, match=r"try one of .*coverage, .*latency"):
        catalog.question("latencies")


def test_readme_table_has_a_line_for_each_question() -> None:
    """The README's table lists name, question and row, with bars escaped."""
    item = catalog.parse("rows_of.sql", GOOD.replace("per: app", "per: app | dyno"))
    assert documentation.readme_table([item]) == (
        "| question | answers | one row per |\n|---|---|---|\n| `rows_of` | How many rows are there? | app \\| dyno |\n"
    )


def test_help_says_everything_in_the_words_of_the_command_line() -> None:
    """The help text has every part of the header, with options as they are typed."""
    text = documentation.help_text(catalog.parse("rows_of.sql", GOOD), width=60)
    for part in (
        "rows_of: How many",
        "One row per app.",
        "--since: First instant",
        "--param per=... (default 'app')",
    ):
        assert part in text
    for part in ("peak_mb DOUBLE: The peak", "Cost: Nothing.", "SELECT * FROM rows_of(since := now())"):
        assert part in text
    assert max(map(len, text.splitlines())) <= 60


def test_the_list_shows_names_and_questions() -> None:
    """The list has one line per question."""
    assert documentation.list_text([catalog.parse("rows_of.sql", GOOD)]) == "rows_of  How many rows are there?\n"
