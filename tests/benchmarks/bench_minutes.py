"""How fast minutes are made and read, against the same figures from the requests themselves.

Run: ``python -m tests.benchmarks.bench_minutes [--rows 10000000] [--days 3] [--dir FOLDER]``. The lake is made once and
kept in the folder; without one it is made in a folder that is removed. 100 million requests of 30 days take 5 GB. Each
figure is of a process of its own, and the last column is its CPU time by that of one scan of the router's columns.
Answers are checked: the minutes must count each request once, and both ways to the steps must agree. Compare figures of
one run only.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from queries import database
from queries.anomalies.reading import read
from tests.benchmarks.big_lake import BigLake, make
from tests.benchmarks.measure import record
from transforms.asset_sizes.keeping import keep as keep_asset_sizes
from transforms.lake import LakeFile
from transforms.locallake import LocalLake
from transforms.minutes.keeping import keep
from transforms.parquet import SCHEMAS, Origin

if TYPE_CHECKING:
    from collections.abc import Callable

NOT_COMPARED = ("scan", "nothing new")  # the baseline, and what takes too little to be measured
REACH_MB = 400.0  # what a process that lands has, too
STEP = "60000000::BIGINT * 5"
RAW = f"""
SELECT app, key, epoch_us(timestamp) // ({STEP}) AS step, count(*) AS requests,
  count(*) FILTER (status >= 500 OR code IS NOT NULL) AS failed, sum(bytes) AS bytes,
  quantile_disc(service_ms, 0.5) AS p50_ms, quantile_disc(service_ms, 0.95) AS p95_ms,
  quantile_disc(service_ms, 0.99) AS p99_ms
FROM (SELECT *, {{key}} AS key FROM router) GROUP BY ALL"""
SCAN = """
SELECT count(*), sum(service_ms), sum(connect_ms), sum(bytes), max(status), count(code), count(DISTINCT route),
  max(dyno), max(timestamp)
FROM router"""


def whole(lake: Path, wanted: BigLake) -> int:
    """Make all minutes."""
    shutil.rmtree(lake / "minutes", ignore_errors=True)
    keep(LocalLake(lake), _end(wanted))
    return wanted.rows_a_day * wanted.days


def assets(lake: Path, wanted: BigLake) -> int:
    """Make the sizes of assets of all days."""
    shutil.rmtree(lake / "asset_sizes", ignore_errors=True)
    assert len(keep_asset_sizes(LocalLake(lake), _end(wanted))) == wanted.days
    files = (lake / "asset_sizes").rglob("all-*.parquet")
    of_all = (pl.read_parquet(file).filter(pl.col("path").is_null())["responses"].sum() for file in files)
    assert sum(of_all) == wanted.rows_a_day * wanted.days, "requests are missing, or there twice"
    return wanted.rows_a_day * wanted.days


def nothing(lake: Path, wanted: BigLake) -> int:
    """Look whether anything changed."""
    assert keep(LocalLake(lake), _end(wanted)).written == ()
    return wanted.rows_a_day * wanted.days


def hour(lake: Path, wanted: BigLake) -> int:
    """Make the hours anew that one late request touches; it is taken away again."""
    at = _end(wanted) - timedelta(hours=12, minutes=30)
    row = {"timestamp": at, "app": "shop", "source": "heroku", "dyno": "web.1", "service_ms": 5, "status": 200}
    rows = pl.DataFrame([row], schema=SCHEMAS["router"])
    opened, file = LocalLake(lake), LakeFile("router", at.date().isoformat(), "late", 1)
    with opened.own("router", "late"):
        opened.publish(file, rows, Origin("late", 1, 0))
    assert keep(opened, _end(wanted)).hours == 1
    (lake / f"router/date={file.date}" / file.name).unlink()
    return wanted.rows_a_day


def back(lake: Path, wanted: BigLake) -> int:
    """Make the hour as it was before."""
    assert keep(LocalLake(lake), _end(wanted)).hours == 1
    return wanted.rows_a_day


def _asked(sql: str) -> Callable[[Path, BigLake], int]:
    def ask(lake: Path, wanted: BigLake) -> int:
        with database.connect(str(lake), lake / "lake.duckdb") as connection:
            connection.execute("SET threads = 2")
            # All columns are asked for: what nobody looks at would not be computed.
            summed = ", ".join(f"sum({name})" for name in ("requests", "failed", "bytes", "p50_ms", "p95_ms", "p99_ms"))
            found = connection.execute(f"SELECT {summed} FROM ({sql})").fetchall()
        assert found[0][0] == wanted.rows_a_day * wanted.days, "requests are missing, or there twice"
        return wanted.rows_a_day * wanted.days

    return ask


def scan(lake: Path, wanted: BigLake) -> int:
    """The baseline: the columns that minutes are made from, read once."""
    with database.connect(str(lake), lake / "lake.duckdb") as connection:
        connection.execute("SET threads = 2")
        found = connection.execute(SCAN).fetchall()
    assert found[0][0] == wanted.rows_a_day * wanted.days, "requests are missing, or there twice"
    return wanted.rows_a_day * wanted.days


def detector(lake: Path, wanted: BigLake) -> int:
    """Read what the detector looks at."""
    with database.connect(str(lake), lake / "lake.duckdb") as connection:
        found = read(connection, _end(wanted) - timedelta(days=wanted.days), _end(wanted))
    assert len(found.series) > 100
    return wanted.rows_a_day * wanted.days


TASKS: dict[str, Callable[[Path, BigLake], int]] = {
    "scan": scan,
    "make all": whole,
    "nothing new": nothing,
    "an hour new": hour,
    "and back": back,
    "asset sizes": assets,
    "app, raw": _asked(RAW.format(key="NULL")),
    "app, series": _asked("FROM series()"),
    "routes, raw": _asked(RAW.format(key="route")),
    "routes, series": _asked("FROM series(per := 'route')"),
    "detector": detector,
}


def _end(wanted: BigLake) -> datetime:
    # Some minutes later all lines have had time to come, and the last day is over.
    day = wanted.first + timedelta(days=wanted.days)
    return datetime(day.year, day.month, day.day, 0, 2, tzinfo=UTC)


def measure(task: str, given: argparse.Namespace, folder: Path) -> tuple[int, float, float, int]:
    """Rows, CPU seconds, wall seconds and peak MB of a task in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_minutes", "--task", task, "--dir", str(folder)]
    command += ["--rows", str(given.rows), "--days", str(given.days)]
    done, cpu, wall, peak = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    return int(done), float(cpu), float(wall), int(peak)


def run_task(task: str, folder: Path, wanted: BigLake) -> None:
    """In the process of its own: do the task, print its figures."""
    lake = folder / wanted.name
    cpu, wall = time.process_time(), time.perf_counter()
    done = TASKS[task](lake, wanted)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    print(done, cpu, wall, peak // 1024)


def check(lake: Path) -> None:
    """The same steps from minutes and from rows: counts equal, percentiles within 1 %."""
    with database.connect(str(lake), lake / "lake.duckdb") as connection:
        wrong = f"""
            SELECT count(*) FROM ({RAW.format(key="route")}) AS raw
            LEFT JOIN series(per := 'route') AS kept
              ON kept.app = raw.app AND kept.key = raw.key AND epoch_us(begins_at) // ({STEP}) = step
            WHERE kept.requests IS DISTINCT FROM raw.requests OR kept.failed IS DISTINCT FROM raw.failed
              OR kept.bytes IS DISTINCT FROM raw.bytes OR NOT abs(kept.p95_ms - raw.p95_ms) <= 0.01 * raw.p95_ms"""
        found = connection.execute(wrong).fetchall()[0][0]
    if found:
        raise SystemExit(f"{found} steps differ: the figures are worth nothing")


def main() -> None:
    """Make the lake, measure, check, print a table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=10_000_000)
    options.add_argument("--days", type=int, default=3)
    options.add_argument("--dir", type=Path)
    options.add_argument("--task", choices=TASKS)
    given = options.parse_args()
    wanted = BigLake(given.rows, given.days)
    if given.task:
        run_task(given.task, given.dir, wanted)
        return
    with nullcontext(given.dir) if given.dir else tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        begun = time.perf_counter()
        lake = make(folder, wanted)
        with database.connect(str(lake), lake / "lake.duckdb"):  # it is made: else the first task would pay for it
            pass
        size = sum(file.stat().st_size for file in lake.rglob("*.parquet")) / 1e6
        print(f"{wanted.rows:,} requests, {size:,.0f} MB, made in {time.perf_counter() - begun:.0f} s")
        print(f"{'':16}{'rows':>14}{'CPU s':>8}{'wall s':>8}{'rows/CPU s':>14}{'peak MB':>9}{'/ scan':>8}")
        scanned = 0.0
        for task in TASKS:
            rows, cpu, wall, peak = measure(task, given, folder)
            scanned = scanned or cpu
            if task not in NOT_COMPARED:
                record(f"minutes, {task}", cpu, "CPU s", baseline=scanned)
            if task == "make all":
                record("minutes, peak memory", peak, "MB", reach=REACH_MB)
            print(
                f"{task:16}{rows:14,}{cpu:8.2f}{wall:8.2f}{rows / cpu:14,.0f}{peak:9}{cpu / scanned:8.1f}", flush=True
            )
        check(lake)


if __name__ == "__main__":
    main()
