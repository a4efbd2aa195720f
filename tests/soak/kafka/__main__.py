"""The fault soak over Kafka: three brokers, two receivers, two landers, drains that repeat, and faults of all kinds.

    python -m tests.soak.kafka [--seconds 300] [--seed 20261124]

The schedule of faults depends on the seed and the length alone and is printed first. At the end everything heals, and
the lake has to hold every acknowledged line exactly once, every other one at most once, and nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.eventlog.contract import LogUnavailable
from ingest.eventlog.kafka.connection import KafkaConnection
from ingest.eventlog.kafka.log import KafkaLog
from tests.kafka.fixtures import cluster
from tests.kafka.properties import free_places
from tests.soak.kafka import checks
from tests.soak.kafka.drains import Drain
from tests.soak.kafka.faults import Stage, sending
from tests.soak.kafka.processes import Process, Receiver, killed_at_end
from tests.soak.kafka.schedule import KINDS, plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tests.kafka.broker import Cluster
    from tests.soak.kafka.drains import Delivery
    from tests.soak.kafka.schedule import Fault

APPS = ("ant", "bee", "cat", "dog", "emu", "fox")
DRAINS = 8  # two apps have two: each has its own Frame-Ids, and they share partitions
SECRET = "s3cret-of-the-soak"
PREFIX = "soak."
LANDED_MAX_SECONDS = 120.0  # after the last fault: sessions of dead members end, spools empty, landers land
MEMORY_MAX_MB = 400.0
# kafka-python tells of a connection that a killed broker reset together with its traceback, on one line of ours.
TRACEBACK = re.compile(r"^(?!\w+: kafka\.net\.).*Traceback", re.MULTILINE)


@dataclass(frozen=True)
class Outcome:
    """What a run gave: figures by name, and a sentence for each thing that does not hold."""

    figures: Mapping[str, str]
    differences: Sequence[str]


class Soak:
    """One run in a folder of its own."""

    def __init__(
        self, folder: Path, brokers: Cluster, seed: int, session_ms: int | None, say: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._say = say
        self._lake = folder / "lake"
        self._connection = KafkaConnection(tuple(brokers.bootstrap.split(",")), PREFIX)
        self._environment = {
            "DRAINLAKE_LOG": f"kafka://{brokers.bootstrap}",
            "KAFKA_PREFIX": PREFIX,
            "DRAINLAKE_LAKE": str(self._lake),
            "DRAINLAKE_DRAINS": ",".join(f"{app}:{SECRET}" for app in APPS),
            "DRAINLAKE_LAND_SECONDS": "1",
            "DRAINLAKE_FILE_ROWS": "2000",
        }
        self._session = {} if session_ms is None else {"SOAK_SESSION_MS": str(session_ms)}
        self._processes: list[Process] = []
        self._lander_numbers = itertools.count(1)
        self._receivers = [self._receiver(number) for number in (1, 2)]
        ports = [receiver.port for receiver in self._receivers]
        self._drains = [
            Drain(f"drain-{number}", APPS[number % len(APPS)], SECRET, ports, seed) for number in range(DRAINS)
        ]
        self._topic = self._connection.topic("lines")
        self._brokers = brokers

    def run(self, schedule: Sequence[Fault], seconds: float) -> Outcome:
        """Send and let faults happen for so many seconds; then heal, land and compare."""
        with killed_at_end(self._processes):
            stage = self._stage()
            with sending([drain.run for drain in self._drains]):
                stage.act(schedule)
                time.sleep(max(0.0, stage.started_at + seconds - time.monotonic()))
            self._say("all faults are over and all drains stopped; now everything has to be landed")
            landed_seconds = self._wait_until_landed()
            late = [] if landed_seconds is not None else ["not everything was landed in time"]
            late += [lander.what_it_does() for lander in stage.landers if late]
            late += self._unwell()
            forwarded = sum(receiver.forwarded() for receiver in self._receivers)
            for process in (*stage.landers, *self._receivers):
                process.stop()
        deliveries = [delivery for drain in self._drains for delivery in drain.deliveries]
        wrong = [
            *stage.errors,
            *(error for drain in self._drains for error in drain.errors),
            *late,
            *self._faults_of_processes(),
        ]
        wrong += checks.differences(deliveries, checks.look(self._lake))
        figures = _figures(deliveries) | {f"fault: {kind}": str(stage.happened[kind]) for kind in KINDS}
        figures["entries forwarded through spools, at least"] = f"{forwarded:,}"
        figures["seconds until all was landed"] = "never" if landed_seconds is None else f"{landed_seconds:.1f}"
        figures["peak memory MB"] = ", ".join(f"{each.name} {each.peak_mb:.0f}" for each in self._processes)
        return Outcome(figures | {"verdict": "all holds" if not wrong else f"{len(wrong)} differences"}, wrong)

    def _stage(self) -> Stage:
        """Topics, receivers and landers, all there before the first fault."""
        with contextlib.closing(KafkaLog(self._connection)) as log:
            log.connect()
        for receiver in self._receivers:
            receiver.start()
        landers = [self._lander() for _ in range(2)]
        for receiver in self._receivers:
            receiver.wait_until_it_listens()
        return Stage(self._brokers, self._topic, self._receivers, landers, self._lander, self._say)

    def _receiver(self, number: int) -> Receiver:
        home, port = self._folder / f"home-{number}", free_places(1)[0].client_port
        own = {"DRAINLAKE_HOME": str(home), "PORT": str(port)}
        made = Receiver(f"receiver {number}", "serve", self._environment | own, self._folder, port=port)
        self._processes.append(made)
        return made

    def _lander(self) -> Process:
        number = next(self._lander_numbers)
        own = {"DRAINLAKE_HOME": str(self._folder / f"lander-home-{number}")}
        made = Process(f"lander {number}", "land", self._environment | self._session | own, self._folder)
        self._processes.append(made)
        made.start()
        return made

    def _wait_until_landed(self) -> float | None:
        """Seconds until spools and log are empty; None if they never are."""
        begun = time.monotonic()
        while (taken := time.monotonic() - begun) < LANDED_MAX_SECONDS:
            if not any(receiver.is_waiting() for receiver in self._receivers) and not self._backlog():
                return taken
            time.sleep(0.2)
        return None

    def _backlog(self) -> bool:
        try:
            with contextlib.closing(KafkaLog(self._connection)) as log:
                return bool(log.backlog())
        except LogUnavailable:
            return True

    def _unwell(self) -> Iterator[str]:
        """What ``drainlake status`` of each receiver says, if not all is well."""
        for receiver in self._receivers:
            done = subprocess.run(
                [sys.executable, "-m", "drainlake", "status"], env=receiver.full_environment,
                cwd=self._folder, capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            if done.returncode:
                yield f"status of {receiver.name}: {done.stdout}{done.stderr}"

    def _faults_of_processes(self) -> Iterator[str]:
        for process in self._processes:
            yield from process.faults
            if process.peak_mb > MEMORY_MAX_MB:
                yield f"{process.name} took {process.peak_mb:.0f} MB"
            said = process.errors_path.read_text("utf-8", "replace")
            if found := TRACEBACK.search(said):
                yield f"{process.name} said: {said[max(0, found.start() - 500) : found.start() + 4000]}"


def _figures(deliveries: Sequence[Delivery]) -> dict[str, str]:
    tries = [done for delivery in deliveries for done in delivery.tries]
    replies = sorted(done.seconds * 1000 for done in tries if done.status is not None)
    answers = Counter("refused" if done.is_refused else str(done.status or "no answer") for done in tries)
    acknowledged = [delivery for delivery in deliveries if delivery.is_acknowledged]
    return {
        "deliveries": f"{len(deliveries):,}",
        "lines": f"{sum(len(delivery.lines) for delivery in deliveries):,}",
        "tries": f"{len(tries):,} ({', '.join(f'{answer}: {count:,}' for answer, count in answers.most_common())})",
        "deliveries acknowledged": f"{len(acknowledged):,}",
        "deliveries never answered": f"{len(deliveries) - len(acknowledged):,}",
        "deliveries tried more than once": f"{sum(len(delivery.tries) > 1 for delivery in deliveries):,}",
        "L10 notices": f"{sum(len(delivery.notices) for delivery in deliveries):,}",
        "replies p50 ms": f"{replies[len(replies) // 2]:.1f}",
        "replies p99 ms": f"{replies[int(len(replies) * 0.99)]:.1f}",
        "replies max ms": f"{replies[-1]:.1f}",
    }


def soak(
    folder: Path, seconds: float, seed: int, session_ms: int | None = None, say: Callable[[str], None] = print
) -> Outcome:
    """Run once in a folder and print schedule, course, figures and differences.

    ``session_ms`` is how soon the landers' group misses a dead member, if not as late as it does by default.
    """
    schedule = plan(seed, seconds)
    say(f"seed {seed}, {seconds:g} s:")
    for fault in schedule:
        say(str(fault))
    with cluster(folder, 3) as brokers:
        outcome = Soak(folder, brokers, seed, session_ms, say).run(schedule, seconds)
    for name, figure in outcome.figures.items():
        say(f"{name:42} {figure}")
    for difference in checks.shortened(outcome.differences):
        say(f"! {difference}")
    return outcome


def main() -> int:
    """The exit code: 1 when anything does not hold."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=300.0)
    options.add_argument("--seed", type=int, default=20261124)
    options.add_argument("--keep", type=Path, help="a folder to keep everything in")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        return 1 if soak(folder, given.seconds, given.seed).differences else 0


if __name__ == "__main__":
    sys.exit(main())
