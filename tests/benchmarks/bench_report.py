"""How long a report takes and how much memory it needs, part by part, against a bare scan of the router's columns.

Run: ``python -m tests.benchmarks.bench_report [--home HOME --until 2026-11-26]`` for 24 hours of a lake (by default the
simulated shop's day of 200,000 lines), or ``--rows 10000000 --days 30 [--dir FOLDER]`` for all days of a big one, which
is made once and kept in the folder. 100 million rows take 5 GB, and their minutes some time, which is reported apart.
Each figure is of a process of its own, and the last column is its CPU time by that of the scan. "The command" is
``drainlake report --out page.html`` from the start of its process to its end, of the window and of its last 24 hours.
Answers are checked against the lake. Compare figures of one run only.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from unittest import mock

from drainlake import reporting, settings
from drainlake.commands.report import WRONG
from drainlake.derived import keep_asset_sizes, keep_minutes
from drainlake.documents import example_lake
from drainlake.lake import open_lake
from queries.anomalies.watch import Watch
from queries.report import checks, making, sections
from queries.report.apps import traffic
from queries.report.asked import Asked
from queries.report.model import Window
from tests.benchmarks import measure
from tests.benchmarks.big_lake import BigLake, make

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drainlake.settings import Settings

SHOWN_FROM = 0.05  # CPU seconds of a part of the report
REACH_SECONDS = {24: 3.0, 30 * 24: 10.0}  # by the hours of the window
DAY = timedelta(days=1)
PAGE = "queries.report.as_html"
TASKS = ("scan", "minutes", "minutes again", "report", "alarms", "parts")
SCAN = """
SELECT count(*), sum(service_ms), sum(bytes), max(status), count(code), count(DISTINCT route), max(dyno)
FROM router_between(?, ?, NULL)"""


class Clock:
    """Prints what a part took: CPU and wall seconds."""

    def __init__(self, shown_from: float = 0.0) -> None:
        self.shown_from = shown_from

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time what is done within."""
        cpu, wall = time.process_time(), time.perf_counter()
        try:
            yield
        finally:
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            if cpu >= self.shown_from:
                print(f"{name:34}{cpu:8.2f}{wall:8.2f}{measure.peak_memory_mb():9,.0f}", flush=True)

    def wrap(self, name: str, function: Callable[..., object]) -> Callable[..., object]:
        """The function, timed at each call; what it yields is taken within."""

        def timed(*given: object) -> object:
            with self.part(name):
                found = function(*given)
                return list(found) if hasattr(found, "__next__") else found

        return timed


class OneByOne:
    """Stands for a thread: what is given to it is done at once, so that its time is its own."""

    def __init__(self, threads: int) -> None: ...

    def __enter__(self) -> OneByOne:
        return self

    def __exit__(self, *error: object) -> None: ...

    def submit(self, function: Callable[..., object], *given: object) -> Future[object]:
        """Do it."""
        future: Future[object] = Future()
        future.set_result(function(*given))
        return future

    def shutdown(self, *, wait: bool, cancel_futures: bool) -> None:
        """There is nothing to wait for."""


def scan(kept: Settings, window: Window) -> None:
    """The baseline: the columns that most questions read, once."""
    with Clock().part("scan of the router's columns"), open_lake(kept) as connection:
        connection.execute(SCAN, [window.since, window.until]).fetchall()


def minutes(kept: Settings, window: Window) -> None:
    """Make the derived tables, or look whether there is anything to make."""
    with Clock().part("minutes"):
        assert keep_minutes(kept, window.until + timedelta(minutes=5)) is None
    with Clock().part("asset sizes"):
        assert keep_asset_sizes(kept, window.until + timedelta(minutes=5)) is None


def report(kept: Settings, window: Window) -> None:
    """The whole report as a page, as the command makes it once its modules are there; its count is checked."""
    with Clock().part("report, all of it"):
        now = window.until + timedelta(minutes=5)
        made = reporting.make_report(kept, window, now, partial(importlib.import_module, PAGE))
        page = importlib.import_module(PAGE).render(made)
    assert len(page) > 10_000
    if failed := [note for note in made.notes if "failed" in note]:
        raise SystemExit(f"the figures are worth nothing: {failed}")
    _check(kept, window)


def _check(kept: Settings, window: Window) -> None:
    """The requests that a report counts are those that are there."""
    with open_lake(kept) as connection, Asked(connection, window) as asked:
        told = traffic(asked)["requests"]
        sql = "SELECT count(*) FROM router_between(?, ?, NULL) WHERE source = 'heroku'"
        [(there,)] = connection.execute(sql, [window.since, window.until]).fetchall()
    if told != there:
        raise SystemExit(f"{told:,} requests told of {there:,}: the figures are worth nothing")


def alarms(kept: Settings, window: Window) -> None:
    """What is done every few minutes, some hours before the window's end."""
    with Clock().part("alarm check"):
        reporting.check(kept, window.until - timedelta(hours=6))


def parts(kept: Settings, window: Window) -> None:
    """The report once more, with the time of each of its parts that takes any."""
    clock = Clock(SHOWN_FROM)
    timed = {
        module: {name: clock.wrap(f"  {kind} {name}", ask) for name, ask in table.items()}
        for module, kind, table in (("CHECKS", "check", checks.CHECKS), ("SECTIONS", "section", sections.SECTIONS))
    }
    with (
        mock.patch.multiple(making, **timed),
        mock.patch.object(making, "ThreadPoolExecutor", OneByOne),
        mock.patch.object(Watch, "_look", clock.wrap("  detector", Watch._look)),
    ):
        made = reporting.make_report(kept, window, window.until + timedelta(minutes=5))
        for name in ("html", "text", "json"):
            with clock.part(f"  as {name}"):
                importlib.import_module(f"queries.report.as_{name}").render(made)


class Taken(NamedTuple):
    """What a task took: CPU and wall seconds, and the most memory."""

    cpu_seconds: float
    wall_seconds: float
    peak_mb: float


def run(task: str, home: Path, window: Window, scanned: float | None = None) -> Taken:
    """Do a task in a process of its own and print its figures, with their ratio to a scan; gives those of its end."""
    times = [moment.isoformat() for moment in (window.since, window.until)]
    command = [sys.executable, "-m", "tests.benchmarks.bench_report", "--task", task, "--home", str(home)]
    given = [*command, "--since", times[0], "--until", times[1]]
    answer = subprocess.run(given, check=True, stdout=subprocess.PIPE, text=True)
    taken = Taken(0.0, 0.0, 0.0)
    for line in answer.stdout.splitlines():
        taken = Taken(*(float(value.replace(",", "")) for value in line.split()[-3:]))
        print(f"{line}{taken.cpu_seconds / (scanned or taken.cpu_seconds):8.1f}", flush=True)
    return taken


def command(home: Path, window: Window) -> tuple[float, float]:
    """CPU and wall seconds of what the user waits for: the command from the start of its process to its end."""
    times = ["--since", window.since.isoformat(), "--until", window.until.isoformat()]
    with tempfile.TemporaryDirectory() as place:
        page = Path(place) / "page.html"
        command = [sys.executable, "-m", "drainlake", "--home", str(home), "report", *times, "--out", str(page)]
        begun, before = time.perf_counter(), os.times()
        code = subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode
        wall_seconds, after = time.perf_counter() - begun, os.times()
        if code not in {0, WRONG} or page.stat().st_size < 10_000:
            raise SystemExit("the figures are worth nothing: the command failed")
    used = after.children_user - before.children_user + after.children_system - before.children_system
    return used, wall_seconds


def measure_command(home: Path, window: Window, scanned: float) -> None:
    """Print and leave what the command takes; the names say the window, for which alone there is something to reach."""
    hours = round((window.until - window.since) / timedelta(hours=1))
    name = f"report, {hours} hours" if hours <= 24 else f"report, {hours // 24} days"
    cpu_seconds, wall_seconds = command(home, window)
    print(
        f"{f'the command, {name}':34}{cpu_seconds:8.2f}{wall_seconds:8.2f}{'':9}{cpu_seconds / scanned:8.1f}",
        flush=True,
    )
    measure.record(name, wall_seconds, "s", reach=REACH_SECONDS.get(hours))
    measure.record(f"{name}, CPU", cpu_seconds, "CPU s", baseline=scanned)


def big(folder: Path, rows: int, days: int) -> tuple[Path, Window]:
    """The home of a big lake, made if it is not there, and the window of all of it."""
    wanted = BigLake(rows, days)
    begun = time.perf_counter()
    lake = make(folder, wanted)
    size = sum(file.stat().st_size for file in lake.rglob("*.parquet")) / 1e6
    print(f"{rows:,} requests of {days} days, {size:,.0f} MB, made in {time.perf_counter() - begun:.0f} s")
    home = folder / f"home-{wanted.name}"
    home.mkdir(exist_ok=True)
    if not (home / "lake").exists():
        (home / "lake").symlink_to(lake.absolute())
    since = datetime(wanted.first.year, wanted.first.month, wanted.first.day, tzinfo=UTC)
    return home, Window(since, since + timedelta(days=days))


def demo(folder: Path) -> tuple[Path, Window]:
    """The home of a simulated day, and that day."""
    home = folder / "home"
    if not home.exists():
        home.mkdir()
        with mock.patch.object(example_lake, "LINES", 200_000):
            example_lake.make(home)
    since = datetime.combine(example_lake.DAY, datetime.min.time(), UTC)
    return home, Window(since, since + timedelta(days=1))


def _utc(text: str) -> datetime:
    """A time as it is written, in UTC unless it names a zone."""
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=at.tzinfo or UTC)


def main() -> None:
    """Make the lake if one is wanted, measure, check, print a table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--home", type=Path)
    options.add_argument("--since", type=_utc)
    options.add_argument("--until", type=_utc)
    options.add_argument("--rows", type=int)
    options.add_argument("--days", type=int, default=30)
    options.add_argument("--dir", type=Path)
    options.add_argument("--task", choices=TASKS)
    given = options.parse_args()
    if given.home:
        until = given.until or datetime.now(UTC)
        window = Window(given.since or until - timedelta(days=1), until)
    if given.task:
        kept = settings.parse({"DRAINLAKE_HOME": str(given.home)})
        globals()[given.task.partition(" ")[0]](kept, window)
        return
    with nullcontext(given.dir) if given.dir else tempfile.TemporaryDirectory() as place:
        home = given.home
        if home is None:
            folder = Path(place)
            folder.mkdir(exist_ok=True)
            home, window = big(folder, given.rows, given.days) if given.rows else demo(folder)
        print(f"{'':34}{'CPU s':>8}{'wall s':>8}{'peak MB':>9}{'/ scan':>8}", flush=True)
        scanned = run(TASKS[0], home, window).cpu_seconds
        for task in TASKS[1:]:
            taken = run(task, home, window, scanned)
            if task == "report":
                measure.record("report, memory", taken.peak_mb, "MB")
        measure_command(home, window, scanned)
        if window.until - window.since > DAY:
            measure_command(home, replace(window, since=window.until - DAY), scanned)


if __name__ == "__main__":
    main()
