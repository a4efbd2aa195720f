"""Makes the faults of a schedule happen to real processes and brokers, each track in a thread of its own."""

from __future__ import annotations

import contextlib
import threading
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.soak.kafka.schedule import TRACKS, Fault, track_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.kafka.broker import Broker, Cluster
    from tests.soak.kafka.processes import Process, Receiver


@dataclass
class Stage:
    """Everything that faults can happen to."""

    cluster: Cluster
    topic: str
    receivers: Sequence[Receiver]
    landers: list[Process]  # those that are meant to run
    make_lander: Callable[[], Process]
    say: Callable[[str], None] = print
    happened: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    started_at: float = field(default_factory=time.monotonic)

    def act(self, schedule: Sequence[Fault]) -> None:
        """Make all faults happen; return when all of them have healed."""
        threads = [
            threading.Thread(target=self._act_track, args=([f for f in schedule if track_of(f.kind) == track.name],))
            for track in TRACKS
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _act_track(self, faults: Sequence[Fault]) -> None:
        """One after the other, each at its time or, if the one before took longer to heal, after that."""
        for fault in faults:
            time.sleep(max(0.0, self.started_at + fault.at_seconds - time.monotonic()))
            self.say(f"{time.monotonic() - self.started_at:7.1f} s  begins: {fault.kind} {fault.target}")
            self.happened[fault.kind] += 1
            try:
                self._act(fault)
            except Exception:  # noqa: BLE001 - a soak whose faults fail has to say so, and to end
                self.errors.append(f"{fault}: {traceback.format_exc()}")

    def _act(self, fault: Fault) -> None:
        match fault.kind:
            case "kill receiver":
                _kill(self.receivers[fault.target % len(self.receivers)], fault.lasts_seconds)
            case "kill lander":
                _kill(self.landers[fault.target % len(self.landers)], fault.lasts_seconds)
            case "exchange lander":
                self._exchange_lander(fault)
            case "kill leader":
                leader = self.cluster.leader_of(self.topic, fault.target)
                leader.kill()
                time.sleep(fault.lasts_seconds)
                leader.start()
            case "pause leader":
                _pause([self.cluster.leader_of(self.topic, fault.target)], fault.lasts_seconds)
            case "pause broker":
                _pause([self.cluster.nodes[fault.target % len(self.cluster.nodes)]], fault.lasts_seconds)
            case "pause all brokers":
                _pause(self.cluster.nodes, fault.lasts_seconds)

    def _exchange_lander(self, fault: Fault) -> None:
        """One more comes, and after a while one goes in order; which one that is the target says."""
        self.landers.append(self.make_lander())
        time.sleep(fault.lasts_seconds)
        self.landers.pop(fault.target % len(self.landers)).stop()


def _kill(process: Process, seconds: float) -> None:
    process.kill()
    time.sleep(seconds)
    process.start()


def _pause(nodes: Sequence[Broker], seconds: float) -> None:
    with contextlib.ExitStack() as paused:
        for node in nodes:
            paused.enter_context(node.paused())
        time.sleep(seconds)


@contextlib.contextmanager
def sending(senders: Sequence[Callable[[threading.Event], None]]) -> Iterator[None]:
    """Let drains send in threads of their own while the block runs."""
    stop = threading.Event()
    threads = [threading.Thread(target=sender, args=(stop,)) for sender in senders]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
