"""lake.duckdb: built, rebuilt, shared, and done without."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from ingest.schema import TABLES
from queries import database
from queries.catalog import questions
from tests.queries.cases import INSTANTS
from tests.queries.lakes import write_file, write_lake, write_rows
from transforms.asset_sizes.keeping import keep
from transforms.locallake import LocalLake

if TYPE_CHECKING:
    from collections.abc import Callable

    Opened = Callable[[Path], duckdb.DuckDBPyConnection]

MOMENT = datetime(2026, 11, 23, 10, tzinfo=UTC)
DAY = datetime(2026, 11, 15, 12, tzinfo=UTC)
ROW = {"timestamp": "2026-11-23T10:00:00Z", "app": "shop", "status": 200}
COUNT = "SELECT requests FROM status_codes()"


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A lake with one request."""
    return write_lake(tmp_path / "lake", {"router": [ROW]})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the database goes; its folder does not exist yet."""
    return tmp_path / "home" / "lake.duckdb"


def test_views_have_the_documented_columns(lake: Path, opened: Opened) -> None:
    """Every table is a view with the schema's columns in order, and `date` as a DATE at the end."""
    connection = opened(lake)
    for table in TABLES.values():
        rows = connection.execute(f"DESCRIBE {table.name}").fetchall()
        found = [(row[0], row[1].replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")) for row in rows]
        assert found == [*((column.name, column.type) for column in table.columns), ("date", "DATE")]


@pytest.mark.parametrize("missing", ["lake", "table", "sentinels"])
def test_a_missing_lake_answers_with_no_rows(missing: str, tmp_path: Path, opened: Opened) -> None:
    """No lake folder, no table folder, an empty table folder: every question answers with no rows."""
    lake = tmp_path / "lake"
    if missing != "lake":
        lake.mkdir()
    if missing == "sentinels":
        for table in TABLES:
            (lake / table).mkdir()
    connection = opened(lake)
    for question in questions():
        assert connection.execute(f"FROM {question.name}()").fetchall() == []


def test_the_first_files_are_seen(tmp_path: Path, file: Path) -> None:
    """A database made before the lake existed is made anew once there are files."""
    lake = tmp_path / "lake"
    database.connect(str(lake), file).close()
    write_lake(lake, {"router": [ROW]})
    with database.connect(str(lake), file) as connection:
        assert connection.execute(COUNT).fetchall() == [(1,)]


def test_files_without_a_sentinel_and_a_column(tmp_path: Path, opened: Opened) -> None:
    """Files of an older version, all without a column, read as NULL there."""
    lake = tmp_path / "lake"
    row = {"app": "shop", "status": 200}
    write_file(lake / "router" / "date=2026-11-23" / "e0-000001.parquet", "router", [row], without="code")
    assert opened(lake).execute("SELECT app, status, code, date::VARCHAR FROM router").fetchall() == [
        ("shop", 200, None, "2026-11-23")
    ]


@pytest.mark.parametrize("name", ["it's", "a b", "[x]*?", "{a,b}", "env=prod", "date=x", "é%20", '"q"', "**"])
def test_any_folder_name_will_do(name: str, tmp_path: Path, opened: Opened) -> None:
    """Quotes, blanks, glob characters and equals signs in the lake's path are taken as they are."""
    write_lake(tmp_path / "xx", {"router": [ROW, ROW]})
    connection = opened(write_lake(tmp_path / name / "lake", {"router": [ROW]}))
    assert connection.execute(COUNT).fetchall() == [(1,)]


def days_with_sizes(lake: Path, opened: Opened) -> dict[int, bool]:
    """Whether the sizes of assets tell all of a day, by the day of the month."""
    days = opened(lake).execute("SELECT day(date), has_sizes FROM drainlake_router_days WHERE date > '1970-01-01'")
    return dict(days.fetchall())


@pytest.mark.parametrize("name", ["lake", "it's a la[k]e*", "date=2026-01-01"])
def test_sizes_are_of_a_day_whose_files_they_were_made_from(name: str, tmp_path: Path, opened: Opened) -> None:
    """Not of one with more files, with one less, or with another in the place of one; a copy of a lake is like it."""
    days = [DAY + timedelta(days=number) for number in range(5)]
    rows = [ROW | {"timestamp": day} for day in days]
    lake = write_lake(tmp_path / name / "lake", {"router": rows * 3})
    write_rows(lake, {"router": rows}, 2)
    assert days_with_sizes(lake, opened) == dict.fromkeys(range(15, 20), False)
    keep(LocalLake(lake), days[-1] + timedelta(days=1))
    assert days_with_sizes(lake, opened) == dict.fromkeys(range(15, 20), True)
    write_rows(lake, {"router": rows[:1]}, 3)
    write_rows(lake, {"router": rows[1:2] * 2}, 2)
    write_rows(lake, {"router": rows[2:3]}, 1)
    (lake / "router" / f"date={days[3].date()}" / "e0-000001.parquet").unlink()
    copy = shutil.copytree(lake, tmp_path / "copy")
    told = {15: False, 16: False, 17: False, 18: False, 19: True}
    assert (days_with_sizes(lake, opened), days_with_sizes(copy, opened)) == (told, told)


def test_too_many_sizes_are_none(lake: Path, opened: Opened) -> None:
    """Of such a day the router's rows are read."""
    keep(LocalLake(lake), MOMENT + timedelta(days=1), rows_max=0)
    assert days_with_sizes(lake, opened) == {MOMENT.day: False}


def test_a_backslash_is_refused(file: Path) -> None:
    """DuckDB cannot name a folder with a backslash, which is said rather than answered with no rows."""
    with pytest.raises(ValueError, match="has a backslash; choose a folder without one"):
        database.connect("/tmp/a\\b", file)


def test_a_relative_lake_is_found_from_elsewhere(
    lake: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database names the lake absolutely, since a client opens it from any folder."""
    monkeypatch.chdir(lake.parent)
    database.ensure("lake", file)
    monkeypatch.chdir("/")
    with duckdb.connect(str(file), read_only=True) as connection:
        assert connection.execute(COUNT).fetchall() == [(1,)]


def test_macros_are_made_before_any_view_has_files(lake: Path, file: Path) -> None:
    """DuckDB plans each macro as it is made: with 400 files in the views that takes a second."""
    made = database.statements(str(lake))
    last_macro = max(place for place, statement in enumerate(made) if "MACRO" in statement)
    assert all("read_parquet(" not in statement for statement in made[:last_macro])
    database.ensure(str(lake), file)
    with duckdb.connect(str(file), read_only=True) as connection:
        texts = connection.execute("SELECT sql FROM duckdb_views() WHERE view_name = 'router'").fetchall()
    assert ["read_parquet(" in text for (text,) in texts] == [True]


def test_an_unchanged_database_is_left_alone(lake: Path, file: Path) -> None:
    """Ensuring twice writes once."""
    database.ensure(str(lake), file)
    before = file.stat().st_ino
    database.ensure(str(lake), file)
    assert file.stat().st_ino == before


@pytest.mark.parametrize("change", ["version", "lake", "torn"])
def test_a_database_that_does_not_fit_is_replaced(
    change: str, lake: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another DuckDB version, another lake or a torn file make a new database; nothing is left beside it."""
    database.ensure(str(lake), file)
    before = file.stat().st_ino
    target = str(lake)
    if change == "version":
        monkeypatch.setattr(duckdb, "__version__", "99.0.0")
    elif change == "lake":
        target = str(write_lake(lake.with_name("other"), {}))
    else:
        file.write_bytes(b"torn")
    database.ensure(target, file)
    assert change == "torn" or file.stat().st_ino != before
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]
    with duckdb.connect(str(file), read_only=True) as connection:
        assert connection.execute(COUNT).fetchall() == ([] if change == "lake" else [(1,)])


def test_a_failed_build_keeps_the_old_file(lake: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the new file cannot be made, the old one stays whole and nothing is left beside it."""
    database.ensure(str(lake), file)
    before = file.read_bytes()
    monkeypatch.setattr(database, "statements", lambda *_: ["SELECT * FROM nowhere"])
    with pytest.raises(duckdb.Error):
        database.ensure(str(lake), file)
    assert file.read_bytes() == before
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]


def test_without_a_place_to_write_it_works_in_memory(lake: Path, tmp_path: Path) -> None:
    """Where the database's folder cannot be made, the same questions answer from memory."""
    (tmp_path / "blocked").write_text("a file where a folder is needed")
    with database.connect(str(lake), tmp_path / "blocked" / "lake.duckdb") as connection:
        assert connection.execute(COUNT).fetchall() == [(1,)]
        assert connection.cursor().execute("SELECT current_setting('TimeZone')").fetchall() == [("UTC",)]


def test_the_connection_is_read_only_and_in_utc(lake: Path, opened: Opened) -> None:
    """Nobody changes lake.duckdb through a connection, and its cursors are in UTC as it is."""
    connection = opened(lake)
    with pytest.raises(duckdb.InvalidInputException, match="read-only"):
        connection.execute("CREATE TABLE t (i INTEGER)")
    assert connection.cursor().execute("SELECT current_setting('TimeZone')").fetchall() == [("UTC",)]


def test_a_file_that_is_replaced_is_read_anew(lake: Path, file: Path) -> None:
    """A connection keeps footers; each version of a tail is seen all the same, however soon the next one comes."""
    tail = lake / "router/date=2026-11-23/e0-000001.parquet"
    with database.connect(str(lake), file) as connection:
        for rows in (1, 3, 2, 7, 5, 20):
            write_file(tail.with_suffix(".new"), "router", [{**ROW, "timestamp": MOMENT}] * rows)
            tail.with_suffix(".new").replace(tail)
            assert connection.execute(COUNT).fetchall() == [(rows,)]
            assert connection.execute("SELECT count(*), count(app) FROM router").fetchall() == [(rows, rows)]


def test_a_rebuild_under_a_reader_of_this_process(
    lake: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader keeps its answers while the file is replaced; the next connection gets the new ones."""
    old = database.connect(str(lake), file)
    other = write_lake(tmp_path / "other", {"router": [ROW, ROW]})
    new = database.connect(str(other), file)
    assert old.execute(COUNT).fetchall() == [(1,)]
    assert new.execute(COUNT).fetchall() == [(2,)]
    old.close()
    new.close()


READER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=True)
connection.execute("SET TimeZone = 'America/New_York'")
print(connection.execute("SELECT requests FROM status_codes(since := '2026-11-23')").fetchall(), flush=True)
sys.stdin.readline()
print(connection.execute("SELECT requests FROM status_codes(since := '2026-11-23')").fetchall(), flush=True)
"""


def test_other_processes_read_while_it_is_replaced(lake: Path, file: Path, tmp_path: Path) -> None:
    """Two plain DuckDB clients in another time zone have the file open at once and outlive its removal."""
    database.ensure(str(lake), file)
    command = [sys.executable, "-c", READER, str(file)]
    readers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    first = [reader.stdout.readline() if reader.stdout else "" for reader in readers]
    database.ensure(str(write_lake(tmp_path / "other", {})), file)
    rest = [reader.communicate("go on\n")[0] for reader in readers]
    assert first == rest == ["[(1,)]\n", "[(1,)]\n"]


WRITER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.readline()
"""


def test_a_client_that_locks_the_file_stops_nobody(lake: Path, file: Path) -> None:
    """A client that opened lake.duckdb for writing holds a lock; answers come from memory meanwhile."""
    database.ensure(str(lake), file)
    command = [sys.executable, "-c", WRITER, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "open\n"
        with database.connect(str(lake), file) as connection:
            assert connection.execute(COUNT).fetchall() == [(1,)]
        writer.communicate("done\n")


def test_the_file_says_what_its_questions_are(lake: Path, file: Path) -> None:
    """A client that lists the macros of the file finds each question's sentence beside its name."""
    database.ensure(str(lake), file)
    with duckdb.connect(str(file), read_only=True) as connection:
        rows = connection.execute("SELECT function_name, comment FROM duckdb_functions() WHERE comment IS NOT NULL")
        found = dict(rows.fetchall())
    assert {question.name: question.question for question in questions()}.items() <= found.items()


def test_every_question_answers_in_the_command_line_of_duckdb(tmp_path: Path) -> None:
    """The file opens in another, older client, and all questions there answer, each with what it needs."""
    home = tmp_path / "lake.duckdb"
    database.ensure(str(write_lake(tmp_path / "lake", {})), home)
    asked = "".join(f"SELECT '{item.name}' FROM (SELECT count(*) FROM {item.name}());\n" for item in questions())
    assert in_command_line(home, asked) == [item.name for item in questions()]


def in_command_line(file: Path, asked: str) -> list[str]:
    """What DuckDB's command line prints, line by line."""
    duckdb_cli = Path(sys.executable).parent / "duckdb"
    done = subprocess.run(
        [duckdb_cli, "-readonly", "-bail", "-noheader", "-list", file],
        input=asked, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
def test_an_older_client_reads_times_alike(zone: str, lake: Path, file: Path) -> None:
    """What it takes for a time need not be what the newest DuckDB does."""
    database.ensure(str(lake), file)
    asked = "".join(f"SELECT (instant({moment}) AT TIME ZONE 'UTC')::VARCHAR;\n" for moment, _ in INSTANTS)
    assert in_command_line(file, f"SET TimeZone = '{zone}';\n{asked}") == [utc for _, utc in INSTANTS]


def test_an_older_client_sees_which_days_have_sizes(lake: Path, file: Path) -> None:
    """It tells the times of files by the second."""
    write_rows(lake, {"router": [ROW | {"timestamp": DAY}]}, 1)
    keep(LocalLake(lake), MOMENT + timedelta(days=1))
    write_rows(lake, {"router": [ROW | {"timestamp": DAY}]}, 2)
    database.ensure(str(lake), file)
    days = "SELECT day(date), has_sizes FROM drainlake_router_days WHERE date > '1970-01-01' ORDER BY date"
    assert in_command_line(file, f"{days};") == [f"{DAY.day}|false", f"{MOMENT.day}|true"]
