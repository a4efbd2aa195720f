"""A connection for a wider audience: it reads the lake and nothing else, within limits.

Two walls, since either alone has holes. DuckDB's own settings keep a statement from other files, extensions and
spilling without end, and are locked; but they allow to write wherever they allow to read, so that ``COPY … TO`` a
file of the lake would pass. Hence only statements that read are run at all, told by DuckDB's own parser. Time and
memory are limited by whoever runs the statement: DuckDB counts no memory of long values, and some functions
cannot be interrupted.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import duckdb

from queries.literals import literal

if TYPE_CHECKING:
    from pathlib import Path

_EXPLAIN: Final = re.compile(r"\s*EXPLAIN\s+(?:ANALYZE\s+)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one statement may take: seconds until its last row, rows of its answer, bytes in memory and on disk."""

    seconds: float
    rows: int
    memory_bytes: int
    spill_bytes: int


class NotReadingError(ValueError):
    """A statement that does more than read; the message is one sentence."""


def guard(connection: duckdb.DuckDBPyConnection, lake: str, spill: Path, limits: Limits) -> None:
    """Lock the connection, and all others of its database, on reading the lake; it cannot be undone.

    ``lake`` is a local folder or an ``s3://`` prefix that the connection can read already, ``spill`` a folder
    that need not exist. Raises duckdb.Error when the connection is locked already.
    """
    for name, value in _settings(lake, spill, limits).items():
        connection.execute(f"SET GLOBAL {name} = {value}")


def _settings(lake: str, spill: Path, limits: Limits) -> dict[str, str]:
    """The settings in the order they must be made: the last one locks them."""
    return {
        "allowed_directories": f"[{literal(lake.rstrip('/') + '/')}]",
        "memory_limit": literal(f"{limits.memory_bytes}B"),
        "temp_directory": literal(str(spill)),
        "max_temp_directory_size": literal(f"{limits.spill_bytes}B"),
        "python_enable_replacements": "false",  # else a name that is no table reads a variable of the process
        "autoload_known_extensions": "false",
        "autoinstall_known_extensions": "false",
        "allow_community_extensions": "false",
        "enable_external_access": "false",
        "lock_configuration": "true",
    }


def refuse_unless_reading(connection: duckdb.DuckDBPyConnection, statement: str) -> None:
    """Raise :class:`NotReadingError` for anything but one SELECT (also DESCRIBE, SUMMARIZE, SHOW), or EXPLAIN of one.

    Raises duckdb.Error for what is no SQL.
    """
    kinds = _kinds(connection, statement)
    if kinds == [duckdb.StatementType.EXPLAIN]:
        # EXPLAIN ANALYZE runs what it explains. Its parenthesised options are not taken off, and so refused.
        with suppress(duckdb.ParserException):
            kinds = _kinds(connection, _EXPLAIN.sub("", statement, count=1))
    if kinds != [duckdb.StatementType.SELECT]:
        kind = kinds[0].name if kinds else "an empty statement"
        raise NotReadingError(f"Only statements that read are allowed here, not {kind}.")


def _kinds(connection: duckdb.DuckDBPyConnection, statement: str) -> list[duckdb.StatementType]:
    return [found.type for found in connection.extract_statements(statement)]
