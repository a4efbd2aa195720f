"""The pages say what the program does: generated ones are current, every query of the cookbook gives rows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from drainlake.documents import example_lake, question_pages
from drainlake.lake import open_lake

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duckdb import DuckDBPyConnection

ROOT = Path(__file__).parents[2]
COOKBOOK = (ROOT / "docs/cookbook.md").read_text("utf-8")
RECIPES = re.findall(r"^## (.*?)$.*?^```sql\n(.*?)^```$", COOKBOOK, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBPyConnection]:
    """The simulated day that the pages show."""
    with open_lake(example_lake.make(tmp_path_factory.mktemp("example"))) as connection:
        yield connection


def test_question_pages_are_current(day: DuckDBPyConnection) -> None:
    """Each question has its page as it would be made now; else run ``python -m drainlake.documents``."""
    folder = ROOT / question_pages.FOLDER
    assert {path.name: path.read_text("utf-8") for path in folder.iterdir()} == dict(question_pages.pages(day))


@pytest.mark.parametrize(("title", "statement"), RECIPES, ids=[title for title, _ in RECIPES])
def test_recipes_of_the_cookbook_give_rows(title: str, statement: str, day: DuckDBPyConnection) -> None:
    """A recipe can be pasted as it stands."""
    assert day.execute(statement).fetchall()


def test_the_cookbook_has_ten_recipes() -> None:
    """The title promises ten."""
    assert [title.partition(".")[0] for title, _ in RECIPES] == [str(number) for number in range(1, 11)]
