"""Moments that are read by a cast: they are those that the lake's own macro reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from queries import database
from queries.report import moments

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import duckdb

TEXTS = (
    "2026-11-15", "2026-11-15 12:30", "2026-11-15T12:30:00Z", "2026-11-15 12:30:00.123456", "2026-11-15 12:30:00+02:00",
    "2026-10-25 02:30:00", "1800-01-01 00:00:00", "0044-03-15 (BC) 10:00:00", "epoch", "infinity", "-infinity",
)  # fmt: skip
TYPES = ("VARCHAR", "DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMPTZ")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty lake in a folder with its database, which is made once."""
    folder = tmp_path_factory.mktemp("moments")
    database.ensure(str(folder / "lake"), folder / "lake.duckdb")
    return folder / "lake"


@pytest.fixture
def connection(lake: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to it."""
    with database.connect(str(lake), lake.parent / "lake.duckdb") as opened:
        yield opened


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize("text", TEXTS)
def test_a_cast_reads_what_the_lake_reads(text: str, type_: str, connection: duckdb.DuckDBPyConnection) -> None:
    """Whatever says the moment."""
    read = f"SELECT instant('{text}'::{type_})::VARCHAR, typeof(instant(NULL::{type_}))"
    expected = connection.execute(read).fetchall()
    moments.cast(connection)
    assert connection.execute(read).fetchall() == expected


def test_questions_read_by_the_cast(connection: duckdb.DuckDBPyConnection) -> None:
    """A macro of the lake that names the moment finds the connection's own."""
    first = "SELECT first_minute('no moment')"
    moments.cast(connection)
    connection.execute("CREATE OR REPLACE TEMP MACRO instant(moment) AS TIMESTAMPTZ '2026-11-15 12:30:40+00'")
    assert str(connection.execute(first).fetchone()) == str(
        connection.execute("SELECT TIMESTAMPTZ '2026-11-15 12:30:00+00'").fetchone()
    )


def test_it_is_forgotten(connection: duckdb.DuckDBPyConnection) -> None:
    """In a connection that was closed, too."""
    moments.cast(connection)
    moments.forget(connection)
    assert not connection.execute("SELECT 1 FROM duckdb_functions() WHERE database_name = 'temp'").fetchall()
    connection.close()
    moments.forget(connection)
