"""Kafka as the log against the embedded log, and against one JSON message per line.

    python -m tests.benchmarks.bench_kafka [megabytes]

The same deliveries go to a receiver with each log, then the very entries of the embedded log are landed from both. CPU
time and memory are those of our process alone, not the broker's, which runs on loopback. The plain formulation has
nothing to receive or to parse: it only sends each line as JSON, so it is compared with more than it does. Each answer
is checked: all rows must have arrived. Compare figures of one run only.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from ingest.eventlog.contract import NewEntry
from ingest.eventlog.embedded import PARTITION, EmbeddedLog
from ingest.eventlog.kafka.connection import KafkaConnection
from ingest.eventlog.kafka.log import KafkaLog
from ingest.schema import TABLES
from ingest.simulator.framing import split
from tests.benchmarks.bench_receiving import bodies_of, check_kept, load_of
from tests.benchmarks.measure import record
from tests.ingest.running import receiver
from tests.kafka.fixtures import broker
from transforms.landing import land_once
from transforms.locallake import LocalLake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ingest.eventlog.contract import Entry, EventLog
    from tests.ingest.running import Running
    from tests.kafka.broker import Broker

FILE_ROWS = 250_000
PLAIN_LINES_MAX = 100_000
PLAIN_TOPIC = "plain"
RECEIVED, COPIED = "received.", "copied."  # prefixes of topics
READY_MAX_SECONDS = 60
REACH_RATIO = 0.8


class Result(NamedTuple):
    """One row of the table; ``baseline`` names the row that its ratio is taken to."""

    name: str
    baseline: str
    lines: int
    cpu_seconds: float
    memory_mb: float

    @property
    def speed(self) -> float:
        """Lines per CPU-second."""
        return self.lines / self.cpu_seconds


def main(megabytes: int) -> None:
    """Measure all, check all, print the table."""
    bodies = bodies_of(megabytes)
    with tempfile.TemporaryDirectory() as folder, broker(Path(folder)) as running:
        home = Path(folder)
        results = [*_received(home, running, bodies), *_landed(home, running), _plain(home, running, bodies)]
    speeds = {result.name: result.speed for result in results}
    print(f"{'':38}{'lines':>11}{'CPU s':>8}{'lines/CPU-s':>13}{'MB':>6}  ratio")
    for each in results:
        figures = f"{each.lines:11,}{each.cpu_seconds:8.2f}{each.speed:13,.0f}{each.memory_mb:6.0f}"
        print(f"{each.name:38}{figures}  {each.speed / speeds[each.baseline]:.2f}")
    for each in results[1::2]:
        base = speeds[each.baseline]
        record(f"kafka, {each.name}", each.speed, "lines/CPU-s", baseline=base, reach_ratio=REACH_RATIO)


def _received(home: Path, running: Broker, bodies: list[bytes]) -> Iterator[Result]:
    """(a) and (b): receivers with either log; the log of the first is what is landed later."""
    lines = sum(body.count(b" host ") for body in bodies[: len(bodies) // 2])  # those at full load
    with receiver(home / "log.db") as embedded:
        load = load_of(embedded, bodies)
    yield Result("receiver, embedded", "receiver, embedded", lines, lines / load.lines_per_cpu_second, load.peak_mb)
    options = f"kafka=KafkaConnection(({running.bootstrap!r},), {RECEIVED!r})"
    setup = "from ingest.eventlog.kafka.connection import KafkaConnection"
    with receiver(home / "spool.db", options, setup) as through:
        _wait_until_direct(through)
        load = load_of(through, bodies)
        assert _metric(through, "drainlake_spool_forwarded_total") == 0, "not all went to Kafka directly"
    yield Result("receiver, Kafka", "receiver, embedded", lines, lines / load.lines_per_cpu_second, load.peak_mb)
    with closing(EmbeddedLog(home / "log.db")) as log, closing(_shared(running, RECEIVED)) as shared:
        check_kept(log, bodies)
        check_kept(shared, bodies)


def _landed(home: Path, running: Broker) -> Iterator[Result]:
    """(c): the same entries from either log into a lake of its own, each in a process of its own."""
    with closing(EmbeddedLog(home / "log.db")) as log, closing(_shared(running, COPIED)) as shared:
        rows = sum(_rows(log, table) for table in TABLES)
        for table in TABLES:
            for entry in _entries(log, table):
                shared.write([NewEntry(entry.table, entry.app, entry.rows, entry.payload)], 60)
    for name, task in (("lander, embedded", "land-embedded"), ("lander, Kafka", "land-kafka")):
        landed, cpu_seconds, peak_mb = _in_process(task, home, running)
        assert landed == rows, f"{name}: {landed} of {rows} rows landed"
        yield Result(name, "lander, embedded", rows, cpu_seconds, peak_mb)


def _plain(home: Path, running: Broker, bodies: list[bytes]) -> Result:
    """(d): one JSON message per line."""
    lines = [frame.decode() for body in bodies for frame in split(body)][:PLAIN_LINES_MAX]
    (home / "lines.json").write_text(json.dumps(lines))
    running.create_topic(PLAIN_TOPIC, partitions=4)
    sent, cpu_seconds, peak_mb = _in_process("plain", home, running)
    with closing(KafkaConsumer(bootstrap_servers=running.bootstrap)) as consumer:
        places = [TopicPartition(PLAIN_TOPIC, number) for number in range(4)]
        kept = sum(consumer.end_offsets(places).values())
    assert sent == kept == len(lines), f"{kept} of {len(lines)} messages arrived"
    return Result("one JSON message per line, only sent", "receiver, embedded", sent, cpu_seconds, peak_mb)


def land_embedded(home: Path, server: str) -> int:
    """Land from the embedded log."""
    del server
    with closing(EmbeddedLog(home / "log.db")) as log:
        return sum(land_once(log, LocalLake(home / "lake-embedded"), file_rows=FILE_ROWS).rows.values())


def land_kafka(home: Path, server: str) -> int:
    """Land from Kafka."""
    with closing(KafkaLog(KafkaConnection((server,), COPIED))) as log:
        return sum(land_once(log, LocalLake(home / "lake-kafka"), file_rows=FILE_ROWS).rows.values())


def plain(home: Path, server: str) -> int:
    """Send each line as a message, in large batches; the connection is made as ours is."""
    lines = json.loads((home / "lines.json").read_text())
    begin()
    producer = KafkaConnection((server,)).client(
        KafkaProducer, acks="all", enable_idempotence=True, linger_ms=20, batch_size=1 << 20, max_request_size=8 << 20
    )
    futures = [producer.send(PLAIN_TOPIC, json.dumps({"app": "shop", "line": line}).encode()) for line in lines]
    producer.flush(120)
    producer.close()
    return sum(future.succeeded() for future in futures)


TASKS: dict[str, Callable[[Path, str], int]] = {
    "land-embedded": land_embedded,
    "land-kafka": land_kafka,
    "plain": plain,
}
begun_cpu_seconds = 0.0


def begin() -> None:
    """Count CPU time from here on."""
    global begun_cpu_seconds  # noqa: PLW0603 - one task per process
    begun_cpu_seconds = time.process_time()


def run_task(task: str, home: Path, server: str) -> None:
    """In the process of its own: do the task, print its figures."""
    begin()
    done = TASKS[task](home, server)
    cpu_seconds = time.process_time() - begun_cpu_seconds
    status = Path("/proc/self/status").read_text().splitlines()
    peak_kb = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    print(done, cpu_seconds, peak_kb // 1024)


def _in_process(task: str, home: Path, running: Broker) -> tuple[int, float, float]:
    command = [sys.executable, "-m", "tests.benchmarks.bench_kafka", task, str(home), running.bootstrap]
    done, cpu_seconds, peak_mb = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    return int(done), float(cpu_seconds), float(peak_mb)


def _shared(running: Broker, prefix: str) -> KafkaLog:
    return KafkaLog(KafkaConnection((running.bootstrap,), prefix))


def _rows(log: EventLog, table: str) -> int:
    return sum(entry.rows for entry in _entries(log, table))


def _entries(log: EventLog, table: str) -> Iterator[Entry]:
    partitions: Sequence[str] = [PARTITION] if isinstance(log, EmbeddedLog) else log.all_partitions(table)
    for partition in partitions:
        after = -1
        while entries := log.read(table, partition, after, rows_max=100_000, bytes_max=16 << 20):
            yield from entries
            after = entries[-1].offset


def _wait_until_direct(running: Running) -> None:
    deadline = time.monotonic() + READY_MAX_SECONDS
    while _metric(running, "drainlake_spool_direct") != 1:
        assert time.monotonic() < deadline, "the receiver never went to Kafka directly"
        time.sleep(0.1)


def _metric(running: Running, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{running.port}/metrics", timeout=10) as answer:
        shown = answer.read().decode().splitlines()
    return next((float(line.split()[1]) for line in shown if line.startswith(f"{name} ")), 0.0)


if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)
    if len(sys.argv) > 2:
        run_task(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 120)
