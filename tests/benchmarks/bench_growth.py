"""How cost grows with rows, apps, days of the lake and partitions of Kafka.

    python -m tests.benchmarks.bench_growth [--quick | --large] [--dir FOLDER] [--only rows|apps|days|partitions]

It takes a quarter of an hour. By rows: 1 and 10 million over 30 days, with --large also 100 million (5 GB in the
folder, and an hour). By apps: 1 and 1,000, by days: 1 and 365, both with two million rows. By partitions: 1 and 8 of
a topic, landed by one process. Each figure is the CPU time of a process of its own, after its imports. The exponent
is that of the power law through two sizes: 1 is linear, below 1 a fixed part is shared by more. For apps, days and
partitions the rows stay the same, and 0 means that nothing is paid for more of them. Lakes are kept in the folder,
else made in one that is removed. Answers are checked against the rows that are there. Compare figures of one run
only.
"""

from __future__ import annotations

import argparse
import math
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from drainlake import reporting, settings
from drainlake.derived import keep_asset_sizes, keep_minutes
from drainlake.lake import open_lake
from ingest.eventlog.contract import NewEntry
from ingest.eventlog.embedded import EmbeddedLog
from ingest.eventlog.kafka.connection import KafkaConnection
from ingest.eventlog.kafka.log import KafkaLog
from queries.few_days import FewDays
from queries.reach import reach
from queries.report.model import Window
from tests.benchmarks import measure
from tests.benchmarks.big_lake import BigLake, make
from tests.kafka.fixtures import broker
from tests.transforms.backlog import DISTINCT_ROWS, router_rows
from tests.transforms.lines import payload
from transforms.landing import land_once
from transforms.locallake import LocalLake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import polars as pl

    from ingest.eventlog.contract import EventLog

FILE_ROWS: Final = 250_000
ENTRY_ROWS: Final = 5_000
APP_ENTRY_ROWS: Final = 250  # a commit's lines of one app among many
PARTITION_APPS: Final = 64  # an app stays in one partition: enough of them fill eight evenly
MINUTES_MB: Final = 400.0  # whatever grows: a day is made and written a piece at a time
MORE_ROWS: Final = 100_000  # landed into a lake that is there
SCAN: Final = """
SELECT count(*), sum(service_ms), sum(bytes), max(status), count(code), count(DISTINCT route), max(dyno) FROM router"""


@dataclass(frozen=True)
class Size:
    """One point on an axis: rows, days and apps of a lake or a backlog, and where Kafka is if that is the log."""

    rows: int
    days: int = 1
    apps: int = 1
    partitions: int = 0
    bootstrap: str = ""

    @property
    def lake(self) -> BigLake:
        """The lake of this size."""
        return BigLake(self.rows, self.days, apps=self.apps)

    @property
    def window(self) -> Window:
        """All of the lake."""
        since = datetime.combine(self.lake.first, datetime.min.time(), UTC)
        return Window(since, since + timedelta(days=self.days))

    @property
    def last_day(self) -> Window:
        """Its last day."""
        return replace(self.window, since=self.window.until - timedelta(days=1))


class Clock:
    """CPU seconds of what is done within ``running``; the rest of a task is preparing and checking."""

    cpu_seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count what is done within."""
        begun = time.process_time()
        yield
        self.cpu_seconds += time.process_time() - begun


class Cost(NamedTuple):
    """What a task cost."""

    cpu_seconds: float
    peak_mb: float


def question(sql: str, counted: str | None) -> Callable[[Path, Size, Clock], None]:
    """A task that asks a question of the whole lake; the column ``counted`` must add up to its rows."""

    def ask(home: Path, size: Size, clock: Clock) -> None:
        with clock.running(), open_lake(_settings(home, size)) as connection:
            rows = connection.sql(sql).to_arrow_table()
        assert rows.num_rows > 0
        if counted is not None:
            told = sum(rows.column(counted).to_pylist())
            assert told == size.lake.rows_a_day * size.days, (told, size)

    return ask


def minutes(home: Path, size: Size, clock: Clock) -> None:
    """Make the minutes of the whole lake, which reports and alarms read; another axis may have made them before."""
    shutil.rmtree(home / size.lake.name / "minutes", ignore_errors=True)
    with clock.running():
        assert keep_minutes(_settings(home, size), size.window.until + timedelta(minutes=5)) is None


def report(home: Path, size: Size, clock: Clock) -> None:
    """A report on all days; the sizes of assets that it reads were made before."""
    assert keep_asset_sizes(_settings(home, size), size.window.until + timedelta(minutes=5)) is None
    _report(home, size, size.window, clock)


def day_report(home: Path, size: Size, clock: Clock) -> None:
    """A report on the last day, as scheduled every morning."""
    _report(home, size, size.last_day, clock)


def _report(home: Path, size: Size, window: Window, clock: Clock) -> None:
    with clock.running():
        made = reporting.make_report(_settings(home, size), window, size.window.until + timedelta(minutes=5))
    assert not [note for note in made.notes if "failed" in note], made.notes


def on_last_day(name: str) -> Callable[[Path, Size, Clock], None]:
    """A task that asks a question of the last day, as ``drainlake query`` does."""

    def ask(home: Path, size: Size, clock: Clock) -> None:
        window = {"since": size.last_day.since, "until": size.last_day.until}
        wanted = reach(name, window, size.last_day.until)
        sql = f"FROM {name}(since := $since, until := $until)"
        with clock.running(), open_lake(_settings(home, size)) as connection, FewDays(connection, wanted) as days:
            rows = days.answer(lambda: connection.execute(sql, window).fetchall())
        assert rows

    return ask


def alarms(home: Path, size: Size, clock: Clock) -> None:
    """What is done every few minutes, six hours before the last day's end."""
    with clock.running():
        reporting.check(_settings(home, size), size.window.until - timedelta(hours=6))


def land(home: Path, size: Size, clock: Clock) -> None:
    """Land a backlog of so many rows and apps into an empty lake."""
    with tempfile.TemporaryDirectory(dir=home) as folder, closing(EmbeddedLog(Path(folder) / "log.db")) as log:
        _fill(log, size)
        with clock.running():
            landed = land_once(log, LocalLake(Path(folder) / "lake"), file_rows=FILE_ROWS)
        assert landed.rows["router"] == size.rows


def land_more(home: Path, size: Size, clock: Clock) -> None:
    """Land some rows into a lake that has all its days; they are taken away again."""
    lake = LocalLake(home / size.lake.name)
    with tempfile.TemporaryDirectory(dir=home) as folder, closing(EmbeddedLog(Path(folder) / "log.db")) as log:
        _fill(log, replace(size, rows=MORE_ROWS, apps=1))
        before = set(Path(home / size.lake.name).glob("router/*/*.parquet"))
        with clock.running():
            landed = land_once(log, lake, file_rows=FILE_ROWS)
        assert landed.rows["router"] == MORE_ROWS
        for file in set(Path(home / size.lake.name).glob("router/*/*.parquet")) - before:
            file.unlink()


def land_kafka(home: Path, size: Size, clock: Clock) -> None:
    """Land from topics of so many partitions."""
    with closing(KafkaLog(_connection(size))) as log, tempfile.TemporaryDirectory(dir=home) as folder, clock.running():
        landed = land_once(log, LocalLake(Path(folder) / "lake"), file_rows=FILE_ROWS)
    assert landed.rows["router"] == size.rows, landed.rows


ASKED: Final = {
    "scan": question(SCAN, None),
    "status_codes": question("FROM status_codes()", "requests"),
    "latency": question("FROM latency()", "requests"),
    "h12_timeouts": question("FROM h12_timeouts()", None),
    "peak_concurrency": question("FROM peak_concurrency()", None),
}
# Minutes first: questions, reports and alarms read them.
OF_LAKE: Final = {"minutes": minutes, **ASKED, "report": report, "alarm check": alarms}
OF_LAST_DAY: Final = {
    "report, last day": day_report,
    **{f"{name}, last day": on_last_day(name) for name in ("latency", "migration_diff", "uncompressed_assets")},
}
TASKS: Final = {"land": land, "land more": land_more, "land, Kafka": land_kafka} | OF_LAKE | OF_LAST_DAY


def _settings(home: Path, size: Size) -> settings.Settings:
    """The settings of a home whose lake is the big one."""
    own = home / f"home-{size.lake.name}"
    own.mkdir(exist_ok=True)
    if not (own / "lake").exists():
        (own / "lake").symlink_to((home / size.lake.name).absolute())
    return settings.parse({"DRAINLAKE_HOME": str(own)})


def _connection(size: Size) -> KafkaConnection:
    return KafkaConnection((size.bootstrap,), f"growth-{size.partitions}.")


def _fill(log: EventLog, size: Size) -> None:
    """Append the rows in entries of one app each, the apps in turn, as commits leave them."""
    each = size.rows // size.apps
    distinct = router_rows(min(each, DISTINCT_ROWS))
    if size.apps == 1 and not size.partitions:
        for entries in [_entries(distinct, "shop", ENTRY_ROWS)] * (each // distinct.height):
            log.append(entries)
        return
    of_apps = [_entries(distinct, f"app-{number}", APP_ENTRY_ROWS) for number in range(size.apps)]
    for commit in zip(*of_apps, strict=True):
        log.append(list(commit))


def _entries(rows: pl.DataFrame, app: str, entry_rows: int) -> list[NewEntry]:
    named = rows.with_columns(rows["app"].clear().extend_constant(app, rows.height).alias("app"))
    return [NewEntry("router", app, piece.height, payload(piece)) for piece in named.iter_slices(entry_rows)]


class Axis(NamedTuple):
    """What grows: its sizes, their number on the axis, and the tasks that are measured."""

    name: str
    sizes: list[Size]
    tasks: list[str]

    def at(self, size: Size) -> int:
        """Where a size lies on the axis."""
        return int(getattr(size, self.name))


def axes(rows: list[int], rows_each: int, apps: int, days: int, month: int) -> list[Axis]:
    """The axes but for Kafka's; ``month`` is the days of the lakes that grow by rows."""
    by_apps = [Size(rows_each, apps=count) for count in (1, apps)]
    questions = [*OF_LAKE]
    return [
        Axis("rows", [Size(count, days=month, apps=2) for count in rows], ["land one app", *questions]),
        Axis("apps", by_apps, ["land", *questions]),
        Axis("days", [Size(rows_each, days=count) for count in (1, days)], ["land more", *questions, *OF_LAST_DAY]),
    ]


def run(task: str, home: Path, size: Size) -> Cost:
    """A task in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_growth", "--task", task, "--dir", str(home)]
    command += ["--size", f"{size.rows},{size.days},{size.apps},{size.partitions},{size.bootstrap}"]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    return Cost(float(answer[-2]), float(answer[-1]))


def run_task(task: str, home: Path, text: str) -> None:
    """In the process of its own: do the task, print its figures."""
    rows, days, apps, partitions, bootstrap = text.split(",", 4)
    clock = Clock()
    TASKS[task](home, Size(int(rows), int(days), int(apps), int(partitions), bootstrap), clock)
    print(clock.cpu_seconds, measure.peak_memory_mb())


def show(axis: Axis, home: Path) -> None:
    """Measure an axis and print its table."""
    for size in axis.sizes if not axis.sizes[0].partitions else []:
        begun = time.perf_counter()
        make(home, size.lake)
        with open_lake(_settings(home, size)):  # lake.duckdb is made
            pass
        print(f"{size.lake.name} made in {time.perf_counter() - begun:.0f} s", flush=True)
    heads = "".join(f"{f'{axis.at(size):,}':>16}" for size in axis.sizes)
    print(f"\n{'CPU s, by ' + axis.name:22}{heads}{'us/row':>10}{'exponent':>10}{'peak MB':>9}", flush=True)
    for task in axis.tasks:
        costs = [_one_app(task, home, size) for size in axis.sizes]
        first, last = axis.sizes[0], axis.sizes[-1]
        exponent = math.log(costs[-1].cpu_seconds / costs[0].cpu_seconds) / math.log(axis.at(last) / axis.at(first))
        figures = "".join(f"{cost.cpu_seconds:16.2f}" for cost in costs)
        a_row = [cost.cpu_seconds / size.rows * 1e6 for cost, size in zip(costs, axis.sizes, strict=True)]
        print(f"{task:22}{figures}{a_row[-1]:10.3f}{exponent:10.2f}{costs[-1].peak_mb:9,.0f}", flush=True)
        name = f"growth, {task}, {axis.at(last):,} {axis.name} to {axis.at(first):,}"
        measure.record(name, a_row[-1], "CPU us/row", baseline=a_row[0])
        if task == "minutes":
            name = f"growth, minutes, {axis.at(last):,} {axis.name}: peak memory"
            measure.record(name, costs[-1].peak_mb, "MB", reach=MINUTES_MB)


def _one_app(task: str, home: Path, size: Size) -> Cost:
    """ "Land one app" is the backlog of one busy app in large entries, whatever the lake's apps."""
    if task == "land one app":
        return run("land", home, replace(size, apps=1))
    return run(task, home, size)


def show_partitions(rows: int, home: Path) -> None:
    """Landing by partitions: the same entries in topics of either kind, on a broker on loopback."""
    with broker(home) as running:
        sizes = [Size(rows, apps=PARTITION_APPS, partitions=count, bootstrap=running.bootstrap) for count in (1, 8)]
        for size in sizes:
            running.create_topic(_connection(size).topic("router"), partitions=size.partitions)
            with closing(KafkaLog(_connection(size))) as log:
                _fill(log, size)
        show(Axis("partitions", sizes, ["land, Kafka"]), home)


def main() -> None:
    """Measure the axes, print their tables."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true")
    options.add_argument("--large", action="store_true")
    options.add_argument("--dir", type=Path)
    options.add_argument("--only", choices=("rows", "apps", "days", "partitions"))
    options.add_argument("--task", choices=TASKS, help=argparse.SUPPRESS)
    options.add_argument("--size", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.task:
        run_task(given.task, given.dir, given.size)
        return
    rows = [1_000_000, 10_000_000, *([100_000_000] if given.large else [])]
    wanted = axes([200_000, 1_000_000], 200_000, 100, 30, 10) if given.quick else axes(rows, 2_000_000, 1_000, 365, 30)
    with nullcontext(given.dir) if given.dir else tempfile.TemporaryDirectory() as place:
        home = Path(place)
        home.mkdir(exist_ok=True)
        for axis in wanted:
            if given.only in (None, axis.name):
                show(axis, home)
        if given.only in (None, "partitions"):
            show_partitions(128_000 if given.quick else 1_024_000, home)


if __name__ == "__main__":
    main()
