"""How long the headline questions take over a big lake, against a bare scan of the columns that each must read.

Run: ``python -m tests.benchmarks.bench_questions [--rows N --days D --apps A] [--dir FOLDER] [QUESTION ...]``. The
lake is made once, with its minutes, and kept in the folder; 100 million rows take 5 GB. Each question is asked over
all days and over 24 hours in the middle, in one process with its scan: a plain aggregate (count, sum, max) of the
same columns by DuckDB over the same files and with the same bounds of time. Answers are checked by adding up the
files' rows. Where the machine has other work only CPU seconds and their ratio tell anything. The peak of memory is of
this process, taken anew each time.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ingest.schema import TABLES
from queries import database
from tests.benchmarks.big_lake import BigLake, make
from tests.benchmarks.measure import record
from transforms.asset_sizes.keeping import keep as keep_asset_sizes
from transforms.locallake import LocalLake
from transforms.minutes.keeping import keep as keep_minutes

if TYPE_CHECKING:
    import duckdb


class Check(NamedTuple):
    """A figure of the answer, and the same of the table's rows by the plainest SQL."""

    of_answer: str
    of_rows: str
    joined: str = ""
    is_flight: bool = False  # then lines count that were written up to ten minutes after the window


class Case(NamedTuple):
    """A question, the columns it must read, and what its answer must add up to."""

    name: str
    columns: str
    check: Check
    per: str = ""
    table: str = "router"


class Window(NamedTuple):
    """A span of time in UTC, and its name."""

    name: str
    since: datetime
    until: datetime
    is_all: bool


class Cost(NamedTuple):
    """What a statement took."""

    wall_seconds: float
    cpu_seconds: float
    peak_mb: float


# A request is in flight from its start up to its end, in microseconds.
STARTS = "greatest(epoch_us(timestamp) - 1000 * (service_ms + connect_ms), epoch_us({since}))"
ENDS = "greatest(epoch_us(timestamp), epoch_us(timestamp) - 1000 * (service_ms + connect_ms) + 1)"
FLOWN = f"sum(greatest(least({ENDS}, epoch_us({{until}})) - {STARTS}, 0)) // 1000000"

ALL = Check("sum(requests)", "count(*)")
CODES = Check("sum(requests)", "count(code)")
TIMEOUTS = Check("sum(timeouts)", "count(*) FILTER (WHERE code = 'H12')")
ERRORS = Check("sum(errors)", "count(*) FILTER (WHERE code = 'R14')")
SLOWEST = Check("max(service_ms)", "max(service_ms)")
MEASURED = Check("sum(measured)", "count(*) FILTER (WHERE metric = 'memory_total')")
SENT = Check("sum(bytes_sent)", "sum(bytes) FILTER (WHERE ends_with(path, '.css') AND status = 200)")
HELD = Check("sum(at_least_seconds) FILTER (WHERE level > 0) // 1", FLOWN, is_flight=True)
AT_PEAKS = {
    per: Check(
        "sum(peak)",
        f"count(*) FILTER (WHERE {STARTS} <= epoch_us(peak_at) AND {ENDS} > epoch_us(peak_at))",
        f"JOIN answer ON answer.app = files.app AND answer.key = files.{per}",
        is_flight=True,
    )
    for per in ("app", "dyno", "route")
}
FLIGHT = "app, source, dyno, code, status, service_ms, connect_ms, extra"

CASES = [
    Case("status_codes", "app, source, status", ALL),
    Case("error_codes", "app, source, code, description", CODES),
    Case("h12_timeouts", "app, source, route, code, dyno", TIMEOUTS),
    Case("throughput", "app, source, status, code, bytes", ALL),
    Case("latency", "app, source, route, dyno, code, status, service_ms", ALL),
    Case("routes", "app, source, method, route, path, status, code, dyno, service_ms, bytes", ALL),
    Case("slowest", "app, source, dyno, code, status, service_ms", SLOWEST),
    Case("uncompressed_assets", "app, source, method, path, status, code, bytes, protocol", SENT),
    Case("r14_memory", "app, dyno, code, memory_mb, memory_percent", ERRORS, table="platform"),
    Case("dyno_memory", "app, source, kind, metric, value", MEASURED, table="samples"),
    Case("h12_autopsy", f"{FLIGHT}, route, request_id", TIMEOUTS),
    *(Case("peak_concurrency", FLIGHT + ", route" * (per == "route"), check, per) for per, check in AT_PEAKS.items()),
    *(Case("concurrency_levels", FLIGHT + ", route" * (per == "route"), HELD, per) for per in AT_PEAKS),
]


def windows(wanted: BigLake) -> list[Window]:
    """All of the lake, and 24 hours in its middle that begin at six."""
    begin = datetime(wanted.first.year, wanted.first.month, wanted.first.day, tzinfo=UTC)
    middle = begin + timedelta(days=max(wanted.days // 2 - 1, 0), hours=6 if wanted.days > 1 else 0)
    return [
        Window(f"{wanted.days} days", begin, begin + timedelta(days=wanted.days), is_all=True),
        Window("24 hours", middle, middle + timedelta(days=1), is_all=False),
    ]


def rows_between(lake: Path, case: Case, window: Window, later: str = "") -> str:
    """The table's rows in a window, read by DuckDB alone."""
    since, until = _bounds(window)
    return f"""read_parquet('{lake}/{case.table}/*/*.parquet', hive_partitioning = true)
      WHERE timestamp >= {since} AND date >= {since}::DATE
        AND timestamp < {until}{later} AND date <= ({until}{later} - INTERVAL 1 MICROSECOND)::DATE"""


def _bounds(window: Window) -> tuple[str, str]:
    return f"TIMESTAMPTZ '{window.since}'", f"TIMESTAMPTZ '{window.until}'"


def scan(lake: Path, case: Case, window: Window) -> str:
    """The baseline: each column that the question must read, once."""
    types = {column.name: column.type for column in TABLES[case.table].columns}
    columns = ["timestamp", *case.columns.split(", ")]
    read = [f"{'sum' if re.search('INT|DOUBLE', types[column]) else 'max'}({column})" for column in columns]
    return f"SELECT count(*), {', '.join(read)} FROM {rows_between(lake, case, window)}"


def measure(connection: duckdb.DuckDBPyConnection, statement: str) -> Cost:
    """Run a statement; of two rounds the one with less CPU."""
    costs = []
    for _ in range(2):
        Path("/proc/self/clear_refs").write_text("5", "ascii")  # the peak of memory begins anew
        wall, cpu = time.perf_counter(), time.process_time()
        connection.execute(statement).fetchall()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text("ascii"))
        costs.append(Cost(wall, cpu, int(peak[1]) / 1024 if peak else 0))
    return min(costs, key=lambda cost: cost.cpu_seconds)


def check(connection: duckdb.DuckDBPyConnection, lake: Path, case: Case, window: Window) -> None:
    """Stop when the answer is not what the files' rows add up to."""
    since, until = _bounds(window)
    wanted = case.check
    rows = rows_between(lake, case, window, " + INTERVAL 10 MINUTE" if wanted.is_flight else "")
    source = f"(FROM {rows}) AS files {wanted.joined}"
    [(told,)] = connection.execute(f"SELECT {wanted.of_answer} FROM answer").fetchall()
    sql = f"SELECT {wanted.of_rows.format(since=since, until=until)} FROM {source}"
    [(there,)] = connection.execute(sql).fetchall()
    if abs(told - there) > (wanted is HELD):  # a sum of fractions may fall just short of a whole second
        raise SystemExit(f"{case.name}: {told} told, {there} there; the figures are worth nothing")


def ask(connection: duckdb.DuckDBPyConnection, lake: Path, case: Case, window: Window) -> None:
    """Measure a question and its scan, check the answer, print a line."""
    least = measure(connection, scan(lake, case, window))
    call = ", ".join([*_bounds(window), *(["NULL", f"'{case.per}'"] if case.per else [])])
    taken = measure(connection, f"CREATE OR REPLACE TEMP TABLE answer AS FROM {case.name}({call})")
    check(connection, lake, case, window)
    name = f"{case.name} {case.per}".strip()
    keep(f"questions, {name} {window.name}", case, window, taken, least)
    print(
        f"{name:28}{window.name:>9}{taken.wall_seconds:9.2f}{taken.cpu_seconds:8.2f}{taken.peak_mb:9,.0f}"
        f"{least.wall_seconds:9.2f}{least.cpu_seconds:8.2f}{taken.cpu_seconds / least.cpu_seconds:7.1f}",
        flush=True,
    )


def keep(measure_name: str, case: Case, window: Window, taken: Cost, least: Cost) -> None:
    """Leave the figures for the runner: all days as CPU beside the scan's, 24 hours as the time that somebody waits."""
    if not window.is_all:
        record(measure_name, taken.wall_seconds, "s", reach=0.5 if case.name == "peak_concurrency" else 0.3)
        return
    # Requests in flight cannot be counted from a scan: a peak has a time to reach, the levels have none.
    if case.name == "peak_concurrency":
        record(f"{measure_name}, wall", taken.wall_seconds, "s", reach=8)
    reach_ratio = None if case.per else 1.5
    record(measure_name, taken.cpu_seconds, "CPU s", baseline=least.cpu_seconds, reach_ratio=reach_ratio)


def keep_scan(connection: duckdb.DuckDBPyConnection, lake: Path, window: Window) -> None:
    """Leave how many rows a bare scan reads in a CPU-second: of the columns of `latency`, an ordinary question."""
    case = next(case for case in CASES if case.name == "latency")
    [(rows, *_)] = connection.execute(scan(lake, case, window)).fetchall()
    record("questions, scan", rows / measure(connection, scan(lake, case, window)).cpu_seconds, "rows/CPU-s")


def main() -> None:
    """Make the lake, ask, check, print a table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--days", type=int, default=30)
    options.add_argument("--apps", type=int, default=2)
    options.add_argument("--dir", type=Path)
    options.add_argument("questions", nargs="*")
    given = options.parse_args()
    wanted = BigLake(given.rows, given.days, apps=given.apps)
    with tempfile.TemporaryDirectory() as scratch:
        lake = make(given.dir or Path(scratch), wanted).absolute()
        for keep_derived in (keep_minutes, keep_asset_sizes):
            keep_derived(LocalLake(lake), windows(wanted)[0].until + timedelta(minutes=2))
        print(f"{'':37}{'wall s':>9}{'CPU s':>8}{'peak MB':>9}{'scan s':>9}{'CPU s':>8}{'ratio':>7}", flush=True)
        with database.connect(str(lake), Path(scratch) / "lake.duckdb") as connection:
            keep_scan(connection, lake, windows(wanted)[0])
            for window in windows(wanted):
                for case in CASES:
                    if case.name in (given.questions or [case.name]):
                        ask(connection, lake, case, window)


if __name__ == "__main__":
    main()
