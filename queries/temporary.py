"""Temporary tables of one connection, from rows that another one answered: connections share no such table."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


def make_table(connection: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    """Make the table of these rows; raises duckdb.Error."""
    connection.register(f"{table}_rows", rows)
    try:
        connection.execute(f"CREATE TEMP TABLE {table} AS FROM {table}_rows")
    finally:
        connection.unregister(f"{table}_rows")
