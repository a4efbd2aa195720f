"""Every question answers, whatever the rows hold: log lines are written by anybody."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.types as kinds
import pytest

from ingest.schema import TABLES
from queries import database
from queries.catalog import questions
from tests.queries.lakes import COUNTED_DAYS, write_lake

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
# The words that questions look for, and none.
WORDS = {
    "code": ["H12", "H10", "H27", "R14", "R15", "L10", "H99"],
    "component": ["php", "php-fpm", "nginx"],
    "dyno": ["web.1", "web.2", "worker.1", "run.12", ""],
    "event": ["error", "state", "start", "stop", "exit", "memory", "cycle", "deploy", "rollback", "scale", "build"],
    "extra": ['{"duration_us": "1500"}', '{"duration_us": "99999999999999999999"}', "{}"],
    "from_state": ["up", "starting"],
    "kind": ["dyno", "postgres", "redis", "pgbouncer"],
    "level": ["info", "error", "Fatal error", "WARNING"],
    "message": [
        "Scaled to web@4:Standard-1X worker@99999999999:Odd by user x",
        "Error L10 (output buffer overflow): 12 messages dropped since 2026-11-20T01:00:00+00:00.",
        "Error L10 (output buffer overflow): 12 messages dropped since the flood.",
        "[pool www] child 7, script 'x' (request: \"GET /a\") executing too slow (3.05 sec), logging",
        "[pool www] pid 7",
        "FATAL: remaining connection slots are reserved",
        "Build failed",
        "\\xFF{}%",
    ],
    "method": ["GET", "POST", "HEAD"],
    "metric": ["memory_total", "memory_quota", "active_connections", "max_connections", "load_avg_5m", "hit_rate"],
    "path": ["/a", "/b?x=1", "/a.css", "/a.js?v=2", "/%ff%00", "", "/wp-login.php"],
    "protocol": ["http", "http1.1", "h2"],
    "route": ["/a", "/b", "/a.css", ":probe"],
    "source": ["heroku", "elb", "alb", "web.1", "DATABASE"],
    "to_state": ["up", "down", "crashed", "complete", "starting"],
    "trace": ["[0x00007fe9b4c130e0] sleep() /app/slow.php:3"],
    "user_agent": ["Googlebot", "curl/8", "Cubot"],
}
COUNTED = {"lines": 100, "parsed": 90, "repeated": 5, "defects": 1}
NUMBERS = {pa.int16(): [200, 304, 404, 500, 101, 0, 32767], pa.int32(): [0, 5, 30_000, 2**31 - 1]}
NUMBERS |= {pa.int64(): [0, 1, 5_000, 2**63 - 1], pa.float64(): [0.0, 1.5, -1.0, 5e8, 1e308, -1e308]}


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """The questions over the log's tables in memory."""
    lake: Path = write_lake(tmp_path_factory.mktemp("any") / "lake", {})
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for statement in database.statements(str(lake)):
            connection.execute(statement)
        for table in TABLES:
            connection.execute(f"CREATE TABLE {table}_rows AS FROM {table}")
            connection.execute(f"CREATE OR REPLACE VIEW {table} AS FROM {table}_rows")
        connection.execute(COUNTED_DAYS)
        yield connection


def value(chance: random.Random, field: pa.Field) -> Any:
    """Something that a column may hold; what drainlake counts itself is no absurd number."""
    if chance.random() < 0.2:
        return None
    if kinds.is_string(field.type):
        return chance.choice(WORDS.get(field.name, ["x", "", "\x1b[31m", "a" * 300]))
    return chance.choice(NUMBERS.get(field.type, [None]))


def rows(chance: random.Random, table: str, count: int) -> pa.Table:
    """Rows of a table, some at one instant, some at the ends of time."""
    moments = [NOON, NOON + timedelta(hours=1), datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)]
    made = []
    for _ in range(count):
        near = NOON + timedelta(seconds=chance.uniform(-90_000, 90_000))
        moment = chance.choice(moments) if chance.random() < 0.1 else near
        row = {field.name: value(chance, field) for field in TABLES[table].arrow} if table != "deliveries" else COUNTED
        made.append({**row, "timestamp": moment, "app": chance.choice(["shop", "blog"]), "date": moment.date()})
    return pa.Table.from_pylist(made, schema=pa.schema([*TABLES[table].arrow, pa.field("date", pa.date32())]))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_rows_are_answered(memory: duckdb.DuckDBPyConnection, seed: int) -> None:
    """No value, missing or absurd, breaks a question off, whether minutes were made or not."""
    chance = random.Random(seed)
    for table in TABLES:
        memory.execute(f"TRUNCATE {table}_rows")
        found = rows(chance, table, chance.choice([3, 40, 150]))
        memory.register("found", found)
        memory.execute(f"INSERT INTO {table}_rows BY NAME FROM found")
    windows = [(NOON, None), (NOON - timedelta(minutes=17), NOON + timedelta(hours=5, seconds=3)), (NOON, NOON)]
    for question in questions():
        since, until = chance.choice(windows)
        memory.execute(f"FROM {question.name}(since := ?, until := ?)", [since, until]).fetchall()
