"""Fixtures of the questions' tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from queries import database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import duckdb


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
