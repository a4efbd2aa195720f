"""Temporary tables of one connection, from rows that another one answered: connections share no such table."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    import pyarrow as pa


@contextmanager
def seen(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> Iterator[None]:
    """The connection sees the rows by a name, for a while; raises duckdb.Error."""
    connection.register(name, rows)
    try:
        yield
    finally:
        connection.unregister(name)


def make_table(connection: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    """Make the table of these rows; raises duckdb.Error."""
    with seen(connection, f"{table}_rows", rows):
        connection.execute(f"CREATE TEMP TABLE {table} AS FROM {table}_rows")
