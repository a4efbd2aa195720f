"""``lake.duckdb``: views over the lake's Parquet and the questions as table macros, for any DuckDB client.

The file holds no rows. It is never written in place: a new one is built beside it and replaces it in one
step, so that readers hold either the old file or the new one and no lock is ever in their way. It carries a
fingerprint of the statements that made it, and is built anew when these, the lake's place or DuckDB's version
differ. Where it cannot be written or read, a connection in memory with the same views and macros takes its
place.

A lake on S3 is read through what ``remote`` makes of a connection; the file holds its paths, and no secret.
"""

from __future__ import annotations

import hashlib
import secrets
import tempfile
from contextlib import suppress
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Final

import duckdb

from ingest.schema import ASSET_SIZES, ROUTER
from queries.catalog import questions
from queries.literals import literal
from queries.views import (
    DATE_OF_FILE,
    DAYS_BY_ROWS,
    ROUTER_DAYS,
    UNSIZED,
    VIEWS,
    days_by_files,
    pattern,
    reading,
    view,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ingest.schema import Table
    from queries.remote import Objects

# Files of this version open in DuckDB 1.5 too; what 2.0 writes by default opens in 2.0 only.
STORAGE_VERSION: Final = "v1.5.0"
# Of these files of macros there is one for each name, which stands in the place of a variable.
_ONE_FOR_EACH: Final = {
    "between.sql": ("table", (*VIEWS, UNSIZED)),
    "periods_compared.sql": ("kind", ("move", "periods")),
}


def ensure(lake: str, database: Path, objects: Objects | None = None) -> None:
    """Make ``database`` fit this lake and this version of the catalog; does nothing when it does already.

    ``lake`` is a local folder, or the ``s3://`` prefix that ``objects`` reads; one that is missing or empty is fine.
    Raises OSError or duckdb.Error when the file cannot be written, ValueError when the lake's path cannot be written
    as a pattern, and what ``objects`` raises.
    """
    _ensure(statements(lake, objects), database, objects)


def connect(lake: str, database: Path, objects: Objects | None = None) -> duckdb.DuckDBPyConnection:
    """A connection with all views and questions, its time zone UTC; cursors of it have the same.

    It is read-only on ``database``, or in memory where that file cannot be written or opened: a read-only
    folder, or another process that holds it open for writing. Close it when done. ``objects`` reads a lake on S3.
    Raises ValueError when the lake's path cannot be written as a pattern, duckdb.Error when its files cannot be read,
    and what ``objects`` raises.
    """
    wanted = statements(lake, objects)
    # To look into the file first, as `ensure` does, would open it twice: a tenth of the time of a first answer.
    connection = _opened(wanted, database) or _made(wanted, database, objects) or _in_memory(wanted, objects)
    _make_readable(connection, objects)
    # Global, since a plain SET would not reach the connection's cursors.
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    # A question names a table up to a dozen times, and each time the footers of all its files would be read. Those of a
    # file that was replaced are read anew.
    connection.execute("SET GLOBAL parquet_metadata_cache = true")
    # Up to so many values that a join looks for are held against each row group's range before it is read; of more only
    # the least and the greatest. With DuckDB's own 50 an autopsy of a month reads the ids of all requests.
    connection.execute("SET GLOBAL dynamic_or_filter_threshold = 1000")
    return connection


def _made(wanted: list[str], database: Path, objects: Objects | None) -> duckdb.DuckDBPyConnection | None:
    with suppress(OSError, duckdb.Error):
        _ensure(wanted, database, objects)
    return _opened(wanted, database)


def _ensure(wanted: list[str], database: Path, objects: Objects | None) -> None:
    if _fingerprint_in(database) != fingerprint(wanted):
        _build(wanted, database, objects)


def _make_readable(connection: duckdb.DuckDBPyConnection, objects: Objects | None) -> None:
    if objects is not None:
        from queries.remote import make_readable  # noqa: PLC0415 - fsspec is slow to import

        make_readable(connection, objects)


def _opened(wanted: list[str], database: Path) -> duckdb.DuckDBPyConnection | None:
    """The database file, opened; None when it does not hold ``wanted`` or cannot be opened.

    A process that still has the replaced file open gets that old one again from duckdb.connect, whatever
    lies at the path now; hence the second look at the fingerprint.
    """
    if not database.is_file():
        return None
    try:
        connection = duckdb.connect(str(database), read_only=True)
    except duckdb.Error:
        return None
    if _fingerprint_of(connection) == fingerprint(wanted):
        return connection
    connection.close()
    return None


def _in_memory(wanted: list[str], objects: Objects | None) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    # DuckDB's default would be a folder in the working directory, which may be anything.
    connection.execute(f"SET temp_directory = {literal(str(spill_folder()))}")
    _make_readable(connection, objects)
    _run(connection, wanted)
    return connection


def spill_folder() -> Path:
    """A new name for the folder in which a connection may spill; DuckDB makes it when it needs it."""
    return Path(tempfile.gettempdir()) / f"drainlake-{secrets.token_hex(8)}"


def _build(wanted: list[str], database: Path, objects: Objects | None) -> None:
    """Write a new file beside ``database`` and put it in its place; a failure leaves the old one."""
    database.parent.mkdir(parents=True, exist_ok=True)
    fresh = database.with_name(f".{database.name}.{secrets.token_hex(8)}.new")
    try:
        with duckdb.connect(str(fresh), config={"storage_compatibility_version": STORAGE_VERSION}) as connection:
            _make_readable(connection, objects)
            _run(connection, wanted)
        fresh.replace(database)
    finally:
        for left in (fresh, fresh.with_name(f"{fresh.name}.wal")):
            left.unlink(missing_ok=True)


def _run(connection: duckdb.DuckDBPyConnection, wanted: list[str]) -> None:
    connection.begin()  # a commit after each statement would be more than a third of the time
    for statement in wanted:
        connection.execute(statement)
    mark = f"CREATE VIEW drainlake_fingerprint AS SELECT {literal(fingerprint(wanted))} AS fingerprint"
    connection.execute(mark)
    connection.commit()


def fingerprint(wanted: list[str]) -> str:
    """What tells one database from another: a digest of its statements and of DuckDB's version."""
    return hashlib.sha256("\n".join([duckdb.__version__, *wanted]).encode()).hexdigest()


def _fingerprint_in(database: Path) -> str | None:
    """The fingerprint of the file that lies there now; None when there is none, or it cannot be read."""
    if not database.is_file():
        return None
    with duckdb.connect() as connection, suppress(duckdb.Error):
        # Attached, because duckdb.connect(file) may hand out an older file that this process has open.
        connection.execute(f"ATTACH {literal(str(database))} AS current (READ_ONLY)")
        connection.execute("USE current")
        return _fingerprint_of(connection)
    return None


def _fingerprint_of(connection: duckdb.DuckDBPyConnection) -> str | None:
    with suppress(duckdb.Error):
        rows = connection.execute("SELECT fingerprint FROM drainlake_fingerprint").fetchall()
        return str(rows[0][0])
    return None


def statements(lake: str, objects: Objects | None = None) -> list[str]:
    """The statements that make the database, in order: views, the macros that questions share, questions."""
    there = _tables_with_files(lake, objects)
    return [
        # DuckDB plans each macro as it is made, and would look at all files of the lake for it: a second for 400.
        *(_view(table, []) for table in VIEWS.values()),
        _files(lake, there if objects is None else ()),
        _router_days(lake, is_local=objects is None and {ROUTER.name, ASSET_SIZES.name} <= there),
        f"CREATE VIEW {UNSIZED} AS FROM {ROUTER.name}",
        *_shared_macros(),
        *_documented_questions(),
        *(_view(VIEWS[name], [reading(pattern(lake, name))]) for name in sorted(there & VIEWS.keys())),
    ]


def _shared_macros() -> Iterator[str]:
    """The macros that questions share. A file holds several statements."""
    shared = resources.files("queries") / "shared"
    for file in sorted(shared.iterdir(), key=lambda file: file.name):
        text = file.read_text("utf-8")
        if file.name in _ONE_FOR_EACH:
            variable, names = _ONE_FOR_EACH[file.name]
            yield from (Template(text).substitute({variable: name}) for name in names)
        else:
            yield text


def _documented_questions() -> Iterator[str]:
    for item in questions():
        yield item.sql
        yield f"COMMENT ON MACRO TABLE {item.name} IS {literal(item.question)}"


def _view(table: Table, sources: list[str]) -> str:
    return f'CREATE OR REPLACE VIEW "{table.name}" AS {view(table, sources)}'


def _files(lake: str, tables: Iterable[str]) -> str:
    """A view of the files of a local lake, by table and day; those of one on S3, which requests would list, are not."""
    found = [f"SELECT {literal(name)}, file FROM glob({literal(pattern(lake, name))})" for name in sorted(tables)]  # noqa: S608 - names are the schema's
    listed = " UNION ALL ".join(["SELECT NULL::VARCHAR, NULL::VARCHAR WHERE false", *found])
    files = f"SELECT *, {DATE_OF_FILE} AS date FROM ({listed}) AS files (table_name, file)"  # noqa: S608
    return f"CREATE VIEW drainlake_files AS {files}"


def _router_days(lake: str, *, is_local: bool) -> str:
    """A view of the router's days, and of which of them the sizes of assets are kept."""
    by_files = days_by_files(pattern(lake, ROUTER.name), pattern(lake, ASSET_SIZES.name))
    return f"CREATE VIEW {ROUTER_DAYS} AS {by_files if is_local else DAYS_BY_ROWS}"


def _tables_with_files(lake: str, objects: Objects | None) -> frozenset[str]:
    if objects is not None:
        return frozenset(objects.children("")[0])
    return frozenset(table for table in VIEWS if any(Path(lake).absolute().glob(f"{table}/*/*.parquet")))
