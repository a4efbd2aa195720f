"""Small lakes for the tests of derived tables: rows given as dicts, put in place file by file."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from transforms import parquet
from transforms.lake import LakeFile
from transforms.minutes.keeping import keep

if TYPE_CHECKING:
    from collections.abc import Iterable

    from transforms.lake import Lake
    from transforms.locallake import LocalLake

__all__ = ["NOON", "add", "asset", "keep", "keep_killed", "kept", "request"]

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
_REQUEST = {"app": "shop", "source": "heroku", "route": "/a", "dyno": "web.1", "status": 200, "bytes": 100}


def request(seconds: float, took_ms: int = 10, **more: Any) -> dict[str, Any]:
    """A request that ended so many seconds after noon."""
    at = NOON + timedelta(seconds=seconds)
    return {"timestamp": at, "service_ms": took_ms, "connect_ms": 0, **_REQUEST, **more}


def asset(seconds: float, **more: Any) -> dict[str, Any]:
    """A response of a stylesheet so many seconds after noon."""
    return request(seconds, **{"method": "GET", "path": "/a.css", "protocol": "http1.1", **more})


def add(
    lake: Lake, table: str, rows: Iterable[dict[str, Any]], *, sequence: int = 1, routes: str = "", part: str = "e0"
) -> None:
    """Put rows into the lake, by date, behind those that the file has already."""
    frame = pl.DataFrame(list(rows), schema=parquet.SCHEMAS[table])
    for (date,), of_date in frame.group_by(pl.col("timestamp").dt.date()):
        with lake.own(table, part):
            files = {file.sequence: file for file in lake.files(table, str(date), part)}
            file = files.get(sequence, LakeFile(table, str(date), part, sequence))
            whole = pl.concat([lake.read(file), of_date]) if sequence in files else of_date
            offset = whole.height
            lake.publish(file, whole.sort("app", "timestamp"), parquet.Origin("log", offset, 0, routes=routes))


KEEPER = """
import os, sys
from datetime import datetime
from importlib import import_module
from transforms.locallake import LocalLake
def fault(point):
    if point == sys.argv[4]:
        os.kill(os.getpid(), 9)
keep = import_module(f"transforms.{sys.argv[1]}.keeping").keep
keep(LocalLake(sys.argv[2]), datetime.fromisoformat(sys.argv[3]), fault=fault)
"""


def keep_killed(table: str, lake: LocalLake, now: datetime, point: str) -> None:
    """A run that makes a derived table and is killed at a point."""
    command = [sys.executable, "-c", KEEPER, table, str(lake.path), now.isoformat(), point]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], check=False, timeout=60)
    assert done.returncode == -9


def kept(lake: Path) -> pl.DataFrame:
    """All minutes that lie in the lake, in order, as any reader finds them."""
    rows = pl.read_parquet(f"{lake}/minutes/*/*.parquet", hive_partitioning=False)
    return rows.sort("per", "app", "key", "timestamp")
