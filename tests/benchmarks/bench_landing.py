"""How fast and in how much memory a backlog of requests lands, and how many bytes a row takes then.

Run: ``python -m tests.benchmarks.bench_landing [--rows 20000000] [--entry-rows 5000] [--apps 1] [--tasks land,bare]``.
Each figure is of a process of its own:

* "land": the backlog lies in the embedded log, and all of it lands.
* "private": the same with addresses hashed and query strings dropped.
* "partitions": the same rows in eight partitions; their logs are in memory, so the memory says nothing.
* "tail": small landings, each of which rewrites a large tail; its rows are those rewritten.
* "bare": what the figures are compared to: entries decoded, put together, sorted and written with zstd by polars as it
  comes, with no route, no log that is committed, nothing checked, nothing fsynced.

The answer is checked: rows, sums and ids of the lake are those of the backlog. Compare figures of one run only.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pyarrow.parquet as pq

from ingest.eventlog.contract import NewEntry
from ingest.eventlog.embedded import EmbeddedLog
from ingest.eventlog.entry import decode
from tests.benchmarks.measure import record
from tests.benchmarks.traffic import as_arrived, entries, router_rows
from tests.transforms.memory_log import MemoryLog
from transforms.landing import land_once
from transforms.locallake import LocalLake
from transforms.privacy import Privacy
from transforms.route_book import RouteBook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ingest.eventlog.contract import Entry

FILE_ROWS = 250_000
DISTINCT_ROWS = 400_000
LOG_MAX_BYTES = 100 << 30
TAIL_LANDINGS = 20
TAIL_ENTRY_ROWS = 600  # what 20 requests a second bring in half a minute
TAIL_ROWS = 80_000
PARTITIONS = 8
BARE_ROWS = 110_000
REACH = {"land": 500_000}  # rows per CPU-second
REACH_MB = {"land": 400.0, "private": 400.0, "tail": 400.0}  # resident, whatever the backlog
REACH_BYTES = 30.0
CHECK = "SELECT count(*), sum(service_ms), sum(bytes), count(DISTINCT request_id), count(DISTINCT path) FROM "


def land(home: Path, rows: int) -> int:
    """Land the backlog that lies in the log."""
    del rows
    return land_once(_log(home / "log.db"), LocalLake(home / "lake"), file_rows=FILE_ROWS).rows["router"]


def private(home: Path, rows: int) -> int:
    """Land the same backlog with addresses hashed and query strings dropped."""
    del rows
    privacy = Privacy(b"a key of the benchmark", drop_queries=True)
    lake = LocalLake(home / "private-lake")
    return land_once(_log(home / "private.db"), lake, file_rows=FILE_ROWS, privacy=privacy).rows["router"]


def partitions(home: Path, rows: int) -> int:
    """Land as many rows from eight partitions, one after the other, as one lander does."""
    logs = [MemoryLog(identity="one", partition=f"p{number}") for number in range(PARTITIONS)]
    for entry in _read(home / "log.db", rows):
        logs[entry.offset % PARTITIONS].entries["router"].append(entry)
    begun, lake = time.process_time(), LocalLake(home / "partitions-lake")
    landed = sum(land_once(log, lake, file_rows=FILE_ROWS, book=RouteBook()).rows["router"] for log in logs)
    _leave_out(begun)
    return landed


def tail(home: Path, rows: int) -> int:
    """Land small batches into a large tail, with one book of routes as the lander; counts the rows rewritten."""
    del rows
    log, lake, book = _log(home / "tail.db"), LocalLake(home / "tail-lake"), RouteBook()
    entries = list(map(_anew, _read(home / "tail-entries.db", TAIL_ROWS + TAIL_LANDINGS * TAIL_ENTRY_ROWS)))
    large, small = entries[:-TAIL_LANDINGS], entries[-TAIL_LANDINGS:]
    log.append(large)
    land_once(log, lake, file_rows=FILE_ROWS, book=book)
    begun = time.process_time()
    for entry in small:
        log.append([entry])
        land_once(log, lake, file_rows=FILE_ROWS, book=book)
    _leave_out(begun)
    return TAIL_ROWS * TAIL_LANDINGS


def bare(home: Path, rows: int) -> int:
    """Decode, sort and write the same entries, with nothing that landing does besides."""
    held: list[pl.DataFrame] = []
    done = 0
    for entry in _read(home / "log.db", rows):
        held.append(decode(entry.payload))
        done += entry.rows
        if sum(frame.height for frame in held) >= BARE_ROWS or done >= rows:
            frame = pl.concat(held).sort("app", "timestamp")
            frame.write_parquet(home / f"bare-{done}.parquet", compression="zstd", compression_level=1)
            held = []
    return done


TASKS: dict[str, Callable[[Path, int], int]] = {
    "bare": bare, "land": land, "private": private, "partitions": partitions, "tail": tail,
}  # fmt: skip
_outside = 0.0


def _leave_out(begun: float) -> None:
    """Count CPU seconds only from a time on."""
    globals()["_outside"] = begun


def _log(path: Path) -> EmbeddedLog:
    return EmbeddedLog(path, size_max_bytes=LOG_MAX_BYTES)


def _read(path: Path, rows: int) -> Iterator:
    log, after = _log(path), -1
    while rows > 0 and (found := log.read("router", "e0", after, rows_max=250_000, bytes_max=4 << 20)):
        yield from found
        after, rows = found[-1].offset, rows - sum(entry.rows for entry in found)


def _anew(entry: Entry) -> NewEntry:
    return NewEntry(entry.table, entry.app, entry.rows, entry.payload)


def _entries(rows: int, entry_rows: int, apps: int = 1) -> list[NewEntry]:
    return entries(as_arrived(router_rows(rows)), entry_rows, apps)


def append_backlog(log: EmbeddedLog, rows: int, entry_rows: int, apps: int) -> int:
    """Fill a log; beyond the first rows the same entries come again. Gives how often they are there."""
    made, times = _entries(min(rows, DISTINCT_ROWS), entry_rows, apps), max(rows // DISTINCT_ROWS, 1)
    for _ in range(times):
        log.append(made)
    return times


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
    cpu, wall = time.process_time() - (_outside or cpu), time.perf_counter() - wall
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    print(done, cpu, wall, peak // 1024)


def check(lake: Path, rows: int, times: int) -> None:
    """Stop unless the lake holds the rows of the backlog, each so many times."""
    expected = router_rows(rows)
    with duckdb.connect() as connection:
        connection.register("expected", expected.to_arrow())
        wanted = connection.execute(f"{CHECK} expected").fetchall()[0]
        found = connection.execute(f"{CHECK} read_parquet(?)", [f"{lake}/router/**/*.parquet"]).fetchall()[0]
    if found != (*(times * value for value in wanted[:3]), *wanted[3:]):
        raise SystemExit(f"the lake holds {found} for {times} times {wanted}: the figures are worth nothing")


def bytes_per_row(files: Sequence[Path]) -> tuple[float, dict[str, float]]:
    """Bytes a row takes in these files, and what of it each column takes, the largest first."""
    columns: Counter[str] = Counter()
    footers = [pq.read_metadata(file) for file in files]
    for footer in footers:
        for group in range(footer.num_row_groups):
            for index in range(footer.num_columns):
                chunk = footer.row_group(group).column(index)
                columns[chunk.path_in_schema] += chunk.total_compressed_size
    rows = sum(footer.num_rows for footer in footers)
    return sum(file.stat().st_size for file in files) / rows, {
        name: size / rows for name, size in columns.most_common()
    }


def main() -> None:
    """Fill a log, measure, check, print a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=2_000_000)
    options.add_argument("--entry-rows", type=int, default=5_000)
    options.add_argument("--apps", type=int, default=1)
    options.add_argument("--tasks", default=",".join(TASKS), help="which, with commas between; 'bare' is always there")
    options.add_argument("--task", choices=TASKS, help=argparse.SUPPRESS)
    options.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.task:
        run_task(given.task, given.home, given.rows)
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), given.rows, given.entry_rows, given.apps, {"bare", *given.tasks.split(",")})


def compare(home: Path, rows: int, entry_rows: int, apps: int, tasks: set[str]) -> None:
    """Run the tasks on one backlog, and print what they gave."""
    log = _log(home / "log.db")
    times = append_backlog(log, rows, entry_rows, apps)
    log.close()
    if "tail" in tasks:  # made here: making them would be most of the memory of the task
        with closing(_log(home / "tail-entries.db")) as made:
            made.append(_entries(TAIL_ROWS, 1_000))
            made.append(_entries(TAIL_LANDINGS * TAIL_ENTRY_ROWS, TAIL_ENTRY_ROWS))
    if "private" in tasks:
        shutil.copy(home / "log.db", home / "private.db")
    print(f"{'':10}{'rows':>12}{'CPU s':>8}{'wall s':>8}{'rows/CPU s':>12}{'of bare':>9}{'peak MB':>9}", flush=True)
    speed = 0.0
    for task in (task for task in TASKS if task in tasks):
        done, cpu, wall, peak = measure(task, home, rows)
        speed = speed or done / cpu
        if task != "bare":
            record(f"landing, {task}", done / cpu, "rows/CPU-s", baseline=speed, reach=REACH.get(task))
        if task in REACH_MB:
            record(f"landing, {task}, peak memory", peak, "MB", reach=REACH_MB[task])
        print(
            f"{task:10}{done:12,}{cpu:8.2f}{wall:8.2f}{done / cpu:12,.0f}{done / cpu / speed:9.2f}{peak:9}", flush=True
        )
    if "land" in tasks:
        check(home / "lake", min(rows, DISTINCT_ROWS), times)
        whole, columns = bytes_per_row(list(home.glob("lake/router/date=2026*/*.parquet")))
        record("landing, a router row in the lake", whole, "bytes/row", reach=REACH_BYTES)
        sizes = ", ".join(f"{name} {size:.2f}" for name, size in columns.items() if size >= 0.005)
        print(f"bytes a row: {whole:.2f} ({sizes})")


if __name__ == "__main__":
    main()
