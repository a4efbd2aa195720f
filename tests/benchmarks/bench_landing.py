"""How fast and in how much memory a backlog lands, against a bare Parquet write of the same rows.

Run: ``python -m tests.benchmarks.bench_landing [--rows 2000000] [--entry-rows 5000]``. Each figure is of a
process of its own. "tail" is the other extreme: small landings, each of which rewrites a large tail (its rows
are those rewritten); "private" hashes addresses and drops query strings. The answer is checked: every row must
be in the lake. Compare figures of one run only.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from ingest.eventlog.contract import NewEntry
from ingest.eventlog.embedded import EmbeddedLog
from tests.transforms.backlog import DISTINCT_ROWS, append_backlog, router_rows
from transforms import parquet
from transforms.landing import land_once
from transforms.locallake import LocalLake
from transforms.privacy import Privacy
from transforms.route_book import RouteBook

if TYPE_CHECKING:
    from collections.abc import Callable

FILE_ROWS = 250_000
TAIL_ROWS = 80_000
TAIL_LANDINGS = 20


def land(home: Path, rows: int) -> int:
    """Land the backlog that lies in the log."""
    del rows
    return land_once(EmbeddedLog(home / "log.db"), LocalLake(home / "lake"), file_rows=FILE_ROWS).rows["router"]


def private(home: Path, rows: int) -> int:
    """Land the same backlog with addresses hashed and query strings dropped."""
    del rows
    privacy = Privacy(b"a key of the benchmark", drop_queries=True)
    lake = LocalLake(home / "private-lake")
    return land_once(EmbeddedLog(home / "private.db"), lake, file_rows=FILE_ROWS, privacy=privacy).rows["router"]


def bare(home: Path, rows: int) -> int:
    """Write as many rows as Parquet, with nothing read, joined, sorted or fsynced."""
    frame = router_rows(min(rows, DISTINCT_ROWS))
    for number in range(rows // frame.height):
        parquet.write(frame, home / f"bare-{number}.parquet", {})
    return rows


def tail(home: Path, rows: int) -> int:
    """Land small batches into a large tail, with one book of routes as the lander; counts the rows rewritten."""
    del rows
    log, lake, book = EmbeddedLog(home / "tail.db"), LocalLake(home / "tail-lake"), RouteBook()
    batch = log.read("router", "e0", 0, rows_max=1, bytes_max=1)[0]
    land_once(log, lake, file_rows=FILE_ROWS, book=book)
    for _ in range(TAIL_LANDINGS):
        log.append([NewEntry(batch.table, batch.app, batch.rows, batch.payload)])
        land_once(log, lake, file_rows=FILE_ROWS, book=book)
    return TAIL_ROWS * TAIL_LANDINGS


TASKS: dict[str, Callable[[Path, int], int]] = {"land": land, "private": private, "bare": bare, "tail": tail}


def measure(task: str, home: Path, rows: int) -> tuple[int, float, float, int]:
    """Rows, CPU seconds, wall seconds and peak MB of a task in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_landing", "--task", task, "--home", str(home)]
    answer = subprocess.run([*command, "--rows", str(rows)], check=True, capture_output=True, text=True)
    done, cpu, wall, peak = answer.stdout.split()
    return int(done), float(cpu), float(wall), int(peak)


def run_task(task: str, home: Path, rows: int) -> None:
    """In the process of its own: do the task, print its figures."""
    cpu, wall = time.process_time(), time.perf_counter()
    done = TASKS[task](home, rows)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    print(done, cpu, wall, peak // 1024)


def main() -> None:
    """Fill a log, measure, check, print a table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=2_000_000)
    options.add_argument("--entry-rows", type=int, default=5_000)
    options.add_argument("--task", choices=TASKS)
    options.add_argument("--home", type=Path)
    given = options.parse_args()
    if given.task:
        run_task(given.task, given.home, given.rows)
        return
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        log = EmbeddedLog(home / "log.db")
        append_backlog(log, given.rows, entry_rows=given.entry_rows)
        tail_log = EmbeddedLog(home / "tail.db")
        append_backlog(tail_log, TAIL_ROWS, entry_rows=1_000)
        tail_log.close()
        appended = sum(lag.rows for lag in log.backlog())
        log.close()
        shutil.copy(home / "log.db", home / "private.db")
        print(f"{'':8}{'rows':>12}{'CPU s':>8}{'wall s':>8}{'rows/CPU s':>12}{'peak MB':>9}")
        for task in TASKS:
            rows, cpu, wall, peak = measure(task, home, given.rows)
            print(f"{task:8}{rows:12,}{cpu:8.2f}{wall:8.2f}{rows / cpu:12,.0f}{peak:9}")
        glob = f"{home}/lake/router/**/*.parquet"
        (in_lake,) = duckdb.execute("SELECT count(*) FROM read_parquet(?)", [glob]).fetchall()[0]
        if in_lake != appended:
            raise SystemExit(f"the lake holds {in_lake} rows of {appended}: the figures are worth nothing")


if __name__ == "__main__":
    main()
