"""Fixtures of the questions' tests."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import duckdb
import pytest

from queries import database
from tests.queries.lakes import COUNTED_DAYS, write_lake, write_rows, write_sentinels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from tests.queries.lakes import Row

    Holding = Callable[[Mapping[str, Iterable[Row]]], duckdb.DuckDBPyConnection]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[Path], duckdb.DuckDBPyConnection]]:
    """Connects to a lake, and closes what it opened when the test is over."""
    connections: list[duckdb.DuckDBPyConnection] = []

    def connect(lake: Path) -> duckdb.DuckDBPyConnection:
        connections.append(database.connect(str(lake), tmp_path / "home" / "lake.duckdb"))
        return connections[-1]

    yield connect
    for connection in connections:
        connection.close()


@pytest.fixture(scope="session")
def holding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Holding]:
    """Gives a connection to a lake that holds these rows, until the next call; its database is made once."""
    folder = tmp_path_factory.mktemp("holding")
    write_sentinels(folder / "lake")
    # Files are never written twice under one name: DuckDB might know the old one.
    sequence = itertools.count(1)
    with database.connect(str(folder / "lake"), folder / "lake.duckdb") as connection:

        def hold(tables: Mapping[str, Iterable[Row]]) -> duckdb.DuckDBPyConnection:
            for file in (folder / "lake").rglob("e0-*.parquet"):
                file.unlink()
            write_rows(folder / "lake", tables, next(sequence))
            connection.execute("SET TimeZone = 'UTC'")
            return connection

        yield hold


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """The questions over tables in memory, so that each of many examples costs no files: ``rows`` are those of the
    router, ``made`` the minutes, ``sized`` the sizes of assets."""
    lake = write_lake(tmp_path_factory.mktemp("memory") / "lake", {})
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for statement in database.statements(str(lake)):
            connection.execute(statement)
        for table, held in (("router", "rows"), ("minutes", "made"), ("asset_sizes", "sized")):
            connection.execute(f"CREATE TABLE {held} AS SELECT * FROM {table}")
            connection.execute(f"CREATE OR REPLACE VIEW {table} AS FROM {held}")
        connection.execute(COUNTED_DAYS)
        yield connection
