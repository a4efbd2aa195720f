"""`drainlake query` plans with the files of its window's days; its answers are those of the whole lake."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from queries import database
from queries.catalog import questions
from queries.few_days import FewDays
from queries.reach import Reach, reach
from tests.queries.facts import FACTS, every_hour
from tests.queries.lakes import write_lake

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from queries.catalog import Question
    from tests.drainlake.inside import Inside

WINDOWS = (
    ("--since", "2026-11-20", "--until", "2026-11-21"),
    ("--since", "2026-11-20T12:00"),
    ("--until", "2026-11-12T12:00"),
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a lake of twelve days, and the database of the questions."""
    lake = write_lake(tmp_path / "home/lake", every_hour(FACTS))
    database.ensure(str(lake), tmp_path / "home/lake.duckdb")
    return tmp_path / "home"


@pytest.mark.parametrize("name", ["h12_timeouts", "uncompressed_assets"])
def test_answers_are_those_of_the_whole_lake(inside: Inside, home: Path, name: str) -> None:
    """Of any window, also where a question needs other days and nobody knew."""
    answers = []

    def of_window(question: str, given: dict[str, Any], now: datetime) -> Reach:
        return reach("", given, now)

    for least, known in ((1000, reach), (1, reach), (1, of_window)):
        inside.patch.setattr("queries.few_days.FewDays", partial(FewDays, left_out_least=least))
        inside.patch.setattr("queries.reach.reach", known)
        asked = ("--home", str(home), "query", name, "--format", "json")
        answers.append([json.loads(inside.good(*asked, *window)) for window in WINDOWS])
    assert answers[1:] == answers[:1] * 2
    assert any(answer["rows"] for answer in answers[0])


def test_no_file_of_another_day_is_looked_at(inside: Inside, home: Path) -> None:
    """One that is torn, on a day that nobody asks about, is no trouble."""
    (home / "lake/router/date=2026-11-10/torn.parquet").write_bytes(b"PAR1 no Parquet")
    asked = ("--home", str(home), "query", "h12_timeouts", "--format", "json", *WINDOWS[0])
    inside.patch.setattr("queries.few_days.FewDays", partial(FewDays, left_out_least=1))
    assert json.loads(inside.good(*asked))["rows"]
    done = inside.run(*asked[:4], "--since", "2026-11-09")
    assert (done.returncode, done.stdout) == (1, "")
    assert "torn.parquet" in done.stderr


@pytest.mark.parametrize("question", questions(), ids=lambda question: question.name)
def test_every_answer_is_sorted(question: Question) -> None:
    """So no row is written before all have been read, and an answer that fails has written none."""
    assert [line for line in question.sql.splitlines() if line[:1].isupper()][-1].startswith("ORDER BY")
