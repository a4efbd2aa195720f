"""Receivers and landers in processes of their own, to kill, stop and start again, and what they said."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STOP_MAX_SECONDS = 30.0  # Heroku kills what has not ended by then
READY_MAX_SECONDS = 60.0
SAID_CHARACTERS = 6000
# The command of the package, which says when it joins the group and as what, and tells where all its threads are when
# it is asked by a signal. A short run cannot wait for the group to miss its dead members as late as it does by default.
PROGRAM = """
import faulthandler, logging, os, signal, sys
faulthandler.register(signal.SIGUSR1)
said = logging.StreamHandler()
said.setFormatter(logging.Formatter("%(asctime)s %(message).200s"))
coordinator = logging.getLogger("kafka.coordinator")
coordinator.addHandler(said)
coordinator.setLevel(logging.INFO)
coordinator.propagate = False
if session := os.environ.get("SOAK_SESSION_MS"):
    from ingest.eventlog.kafka import membership
    membership.SESSION_MS = int(session)
from drainlake.cli import main
sys.argv[0] = "drainlake"
sys.exit(main())
"""
_FORWARDED = re.compile(r"^drainlake_spool_forwarded_total (\S+)$", re.MULTILINE)
_WAITING = re.compile(r"^drainlake_spool_entries (\S+)$", re.MULTILINE)
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


@dataclass
class Process:
    """One command of drainlake with its settings; it keeps home and port over all its starts."""

    name: str
    command: str
    environment: Mapping[str, str]
    folder: Path
    faults: list[str] = field(default_factory=list)
    peak_mb: float = 0.0
    running: subprocess.Popen[bytes] | None = None

    @property
    def errors_path(self) -> Path:
        """What it wrote to stderr, over all its starts."""
        return self.folder / f"{self.name}.log"

    @property
    def full_environment(self) -> dict[str, str]:
        """The environment of this process with its settings."""
        return {**os.environ, **self.environment}

    def start(self) -> None:
        """Start without waiting."""
        assert self.running is None, f"{self.name} runs already"
        with self.errors_path.open("ab") as log:
            self.running = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", PROGRAM, self.command],
                env=self.full_environment,
                cwd=self.folder,
                stderr=log,
                stdout=log,
            )

    def kill(self) -> None:
        """Sudden death; one that had ended by itself is a fault of its own."""
        if (ended := self._left()) is not None:
            ended.kill()
            ended.wait(STOP_MAX_SECONDS)

    def stop(self) -> None:
        """SIGTERM, after which it has to end well and in time."""
        if (ended := self._left()) is None:
            return
        ended.send_signal(signal.SIGTERM)
        try:
            if code := ended.wait(STOP_MAX_SECONDS):
                self.faults.append(f"{self.name} ended with {code} after SIGTERM")
        except subprocess.TimeoutExpired:
            said = _said_when_asked(ended, self.errors_path)
            self.faults.append(f"{self.name} had not ended {STOP_MAX_SECONDS:.0f} s after SIGTERM; {said}")
            ended.kill()
            ended.wait(STOP_MAX_SECONDS)

    def note_peak(self) -> None:
        """Remember the most memory that it has held."""
        with contextlib.suppress(OSError):
            if self.running and (match := _PEAK.search(Path(f"/proc/{self.running.pid}/status").read_text())):
                self.peak_mb = max(self.peak_mb, int(match[1]) / 1024)

    def what_it_does(self) -> str:
        """How it joined the group at last, what failed, and where its threads are."""
        if self.running is None or self.running.poll() is not None:
            return f"{self.name} does not run"
        return f"{self.name}: {_said_when_asked(self.running, self.errors_path)}"

    def _left(self) -> subprocess.Popen[bytes] | None:
        self.note_peak()
        running, self.running = self.running, None
        if running is not None and (code := running.poll()) is not None:
            self.faults.append(f"{self.name} had ended by itself with {code}")
        return running


def _said_when_asked(running: subprocess.Popen[bytes], errors_path: Path) -> str:
    running.send_signal(signal.SIGUSR1)
    time.sleep(0.5)
    return f"at last it said: {errors_path.read_text('utf-8', 'replace')[-SAID_CHARACTERS:]}"


@dataclass
class Receiver(Process):
    """A receiver, whose counters are added up over its lives."""

    port: int = 0
    forwarded_before: int = 0

    def kill(self) -> None:
        """Sudden death; what was forwarded so far is remembered."""
        self.forwarded_before = self.forwarded()
        super().kill()

    def forwarded(self) -> int:
        """Entries that came to Kafka through the spool, as far as was asked before deaths."""
        return self.forwarded_before + self._metric(_FORWARDED)

    def is_waiting(self) -> bool:
        """Whether its spool has entries; so long as it does not listen, it may."""
        match = _WAITING.search(self._exposed())
        return match is None or float(match[1]) > 0

    def wait_until_it_listens(self) -> None:
        """Wait for the first answer."""
        deadline = time.monotonic() + READY_MAX_SECONDS
        while not self._exposed():
            assert time.monotonic() < deadline, f"{self.name} does not listen: {self.errors_path.read_text()[-2000:]}"
            time.sleep(0.05)

    def _metric(self, shape: re.Pattern[str]) -> int:
        match = shape.search(self._exposed())
        return int(float(match[1])) if match else 0

    def _exposed(self) -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""


@contextlib.contextmanager
def killed_at_end(processes: list[Process]) -> Iterator[None]:
    """Leave nothing running behind, whatever happened; the list may grow meanwhile."""
    try:
        yield
    finally:
        for process in processes:
            if process.running is not None:
                process.running.kill()
                process.running.wait()
