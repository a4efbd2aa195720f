"""A guarded connection reads the lake and nothing else; every way out that is known is a line of the data file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pytest

from queries import database
from queries.guarding import Limits, NotReadingError, guard, refuse_unless_reading
from tests.queries.lakes import write_lake
from tests.queries.test_remote import upload
from tests.s3.fixtures import options_for
from transforms.objects import ObjectStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.s3.fixtures import S3Server

STATEMENTS = json.loads((Path(__file__).parent / "data/guarded.json").read_text("utf-8"))
LIMITS = Limits(seconds=10, rows=100, memory_bytes=256 << 20, spill_bytes=64 << 20)
ROWS = {"router": [{"timestamp": "2026-11-20T00:00:00Z", "app": "shop", "path": "/"}]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake and its database, with files beside the lake that are none of a reader's business."""
    made = tmp_path_factory.mktemp("guarded")
    for name in ("secret.txt", "secret.csv"):
        (made / name).write_text("secret,value\n1,2\n")
    database.ensure(str(write_lake(made / "lake", ROWS)), made / "lake.duckdb")
    return made


@pytest.fixture
def guarded(folder: Path, tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A guarded connection to the lake; whatever is tried with it, no file comes or changes."""
    before = contents(folder)
    with database.connect(str(folder / "lake"), folder / "lake.duckdb") as connection:
        guard(connection, str(folder / "lake"), tmp_path / "spill", LIMITS)
        yield connection
    assert contents(folder) == before
    assert contents(tmp_path) == {}


def contents(folder: Path) -> dict[Path, bytes]:
    """All files below a folder."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run(connection: duckdb.DuckDBPyConnection, text: str, folder: Path) -> list[tuple[object, ...]]:
    """What a session does: look at the statement, then run it."""
    statement = text.replace("{lake}", str(folder / "lake")).replace("{outside}", str(folder))
    refuse_unless_reading(connection, statement)
    return connection.execute(statement).fetchall()


@pytest.mark.parametrize("text", STATEMENTS["allowed"])
def test_what_reads_the_lake_runs(text: str, guarded: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Tables, questions, descriptions and plans are there."""
    run(guarded, text, folder)


@pytest.mark.parametrize("text", STATEMENTS["refused as not reading"])
def test_what_does_more_than_read_is_not_run(text: str, guarded: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """DuckDB's settings alone would let a file be written into the lake."""
    with pytest.raises(NotReadingError):
        run(guarded, text, folder)


@pytest.mark.parametrize("text", STATEMENTS["refused by the lock"])
def test_other_places_cannot_be_read(text: str, guarded: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """A SELECT reaches no file outside the lake, no network, no secret and no variable of the process."""
    variable_of_the_process = pa.table({"secret": [1]})
    assert variable_of_the_process.num_rows == 1
    with pytest.raises(duckdb.Error):
        run(guarded, text, folder)


def test_the_lock_stays(guarded: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Not even we can widen it again, nor can another cursor."""
    for connection in (guarded, guarded.cursor()):
        with pytest.raises(duckdb.Error, match="locked"):
            guard(connection, "/", folder, LIMITS)


def test_a_sort_that_outgrows_its_limits_is_refused(guarded: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Memory and disk of a statement have an end."""
    with pytest.raises(duckdb.OutOfMemoryException):
        run(guarded, "SELECT list(a || 'x') FROM range(100_000_000) t(a)", folder)


def test_a_lake_on_s3_is_read_and_nothing_beside_it(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    """A guarded connection reads its prefix of a bucket, not another."""
    options = options_for(s3, bucket, "lake")
    upload(write_lake(tmp_path / "lake", ROWS), options)
    ObjectStore(options_for(s3, bucket, "other")).put_new("secret.csv", b"a\n1\n")
    with database.connect(options.place, tmp_path / "remote" / "lake.duckdb", ObjectStore(options)) as connection:
        guard(connection, options.place, tmp_path / "spill", LIMITS)
        assert run(connection, "SELECT path FROM router", tmp_path) == [("/",)]
        with pytest.raises(duckdb.Error, match="disabled by configuration"):
            run(connection, f"FROM read_csv('s3://{bucket}/other/secret.csv')", tmp_path)
    assert {path.name for path in contents(tmp_path)} == {"lake.duckdb", "e0-000001.parquet", "empty-0.parquet"}
