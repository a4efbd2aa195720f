"""Access lines as they are read, and statements about them; the same statements run over the lake."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, Self

import duckdb

from ingest.schema import TABLES
from queries.access.sums import GROUPS, STEP_MINUTES, SUMS
from queries.database import spill_folder
from queries.literals import literal
from queries.report.model import Answer
from queries.report.quoting import between, sql_time

if TYPE_CHECKING:
    from types import TracebackType

    import pyarrow as pa

    from queries.report.model import Window

    Record = dict[str, Any]

SHOWN_MAX: Final = 30  # rows of an answer: who wants more runs its statement
MEMORY_MB: Final = 1_000  # beyond it DuckDB writes to its temporary folder
_MACROS: Final = ("agents.sql", "assets.sql", "bounds.sql", "crawlers.sql", "instants.sql")
# Pieces after which sums are added up again: what differs counts, not how many pieces it came in.
_FOLD_PIECES: Final = 16
_END_SECONDS: Final = datetime.max.replace(tzinfo=UTC).timestamp()
_ROWS: Final = "access_rows"
_COLUMNS: Final = ", ".join(f"NULL::{column.type} AS {column.name}" for column in TABLES["access"].columns)
_NOTHING: Final = f"(SELECT {_COLUMNS} WHERE false)"

# What a user agent says of itself; agents are few and are read once each.
KINDS: Final = """SELECT hash(user_agent) AS agent, user_agent, requests, bytes, crawler_of(user_agent).name AS crawler,
  crawler_of(user_agent).kind AS crawler_kind, browser_of(user_agent) AS browser, system_of(user_agent) AS system
FROM {agents}"""


class Reading:
    """Sums of access lines in memory; :meth:`add` takes pieces, then statements are asked.

    Statements name the sums in braces, such as ``FROM {pages}``. Times before ``since`` and from ``until`` on are left
    out. ``threads`` is how many DuckDB uses; None is its own choice.
    """

    def __init__(
        self, since: datetime | None = None, until: datetime | None = None, threads: int | None = None
    ) -> None:
        self.connection = duckdb.connect(config={"threads": threads} if threads else {})
        self.connection.execute(f"SET memory_limit = '{MEMORY_MB}MB'")
        self.connection.execute(f"SET temp_directory = {literal(str(spill_folder()))}")
        self.connection.execute("SET GLOBAL TimeZone = 'UTC'")
        for name in _MACROS:
            self.connection.execute((resources.files("queries") / "shared" / name).read_text("utf-8"))
        within = [f"timestamp {sign} {sql_time(end)}" for sign, end in ((">=", since), ("<", until)) if end]
        self._source = f"(FROM {_ROWS} WHERE {' AND '.join(within)})" if within else _ROWS
        self._pieces = 0
        for name, each in SUMS.items():
            self.connection.execute(f"CREATE TABLE {name} AS {each.over(_NOTHING)}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()

    def add(self, rows: pa.Table) -> None:
        """Add up some rows of ``access``."""
        self.connection.register(_ROWS, rows)
        told = {name: group for name, group in GROUPS.items() if rows[group.needs].null_count < rows.num_rows}
        for name, group in told.items():
            self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {group.of(self._source)}")
        for name, each in SUMS.items():
            if each.group in told:
                self.connection.execute(f"INSERT INTO {name} {each.of(each.group)}")
        self.connection.unregister(_ROWS)
        self._pieces += 1
        if self._pieces % _FOLD_PIECES == 0:
            self._fold()

    def _fold(self) -> None:
        for name, each in SUMS.items():
            self.connection.execute(f"CREATE OR REPLACE TABLE {name} AS {each.again(name)}")

    def span(self) -> tuple[datetime, datetime] | None:
        """When the first and the last request came, to whole steps; None when there is none."""
        found = self.connection.execute("SELECT min(step), max(step) + 1 FROM steps").fetchone()
        if found is None or found[0] is None:
            return None
        return _moment(found[0]), _moment(found[1])

    def finish(self, window: Window) -> Asking:
        """What can be asked when all is read; the window says what stands in the statements that are shown."""
        self._fold()
        self.connection.execute(f"CREATE TABLE kinds AS {KINDS.format(agents='agents')}")
        return Asking(self.connection, window)


def _moment(step: int) -> datetime:
    """The begin of a step. Behind the last year there is no moment: a line may claim to be of its last minutes."""
    seconds = step * STEP_MINUTES * 60
    return datetime.fromtimestamp(seconds, UTC) if seconds < _END_SECONDS else datetime.max.replace(tzinfo=UTC)


class Asking:
    """Statements over the sums. What is shown of them runs in ``drainlake sql`` once the file is imported."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, window: Window) -> None:
        self.connection, self.window = connection, window
        rows = between("access", window)
        self._lake = {name: f"({each.over(rows)})" for name, each in SUMS.items()}
        self._lake["kinds"] = f"({KINDS.format(**self._lake)})"
        self._held = {name: name for name in self._lake}
        self._known: dict[str, list[Record]] = {}

    def records(self, statement: str) -> list[Record]:
        """All rows by column name; for statements that give few."""
        found = self.connection.execute(statement.format(**self._held))
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def once(self, statement: str) -> list[Record]:
        """The same, computed once however often it is asked."""
        if statement not in self._known:
            self._known[statement] = self.records(statement)
        return self._known[statement]

    def record(self, statement: str) -> Record:
        """The one row."""
        [row] = self.records(statement)
        return row

    def sql(self, statement: str) -> str:
        """The statement as it is shown."""
        return statement.format(**self._lake)

    def lines(self, condition: str) -> str:
        """A statement for the first lines for which the condition holds, one by one; it runs in the lake alone."""
        names = "timestamp, client_ip, method, path, status, bytes, referrer, user_agent"
        rows = between("access", self.window)
        return f"SELECT {names} FROM {rows} WHERE {condition} ORDER BY timestamp LIMIT {SHOWN_MAX}"  # noqa: S608

    def answer(self, question: str, statement: str, order: str) -> Answer:
        """The first rows in an order, to be shown, and how many there are."""
        held = f"SELECT *, count(*) OVER () FROM ({statement.format(**self._held)}) ORDER BY {order} LIMIT {SHOWN_MAX}"  # noqa: S608
        found = self.connection.execute(held)
        names = tuple(column[0] for column in found.description or ())[:-1]
        rows = found.fetchall()
        shown = f"{self.sql(statement)} ORDER BY {order}"
        return Answer(question, names, tuple(row[:-1] for row in rows), rows[0][-1] if rows else 0, shown)
