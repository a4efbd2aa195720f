"""Fixtures of the questions' tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

from queries import database
from tests.queries.lakes import write_lake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


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


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """The questions over a router table in memory, ``rows``, so that each of many examples costs no files."""
    lake = write_lake(tmp_path_factory.mktemp("memory") / "lake", {})
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for statement in database.statements(str(lake)):
            connection.execute(statement)
        connection.execute("CREATE TABLE rows AS SELECT * FROM router")
        connection.execute("CREATE OR REPLACE VIEW router AS FROM rows")
        yield connection
