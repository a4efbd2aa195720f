"""Keeps several child processes alive and stops them together: what ``up`` and ``serve --workers`` run on.

A child that dies is started again after a pause that doubles from one second to a minute; the count begins
anew once it has lived a minute. A child that ends with exit code 2 (wrong use), or another that is ``final``, would do
so for ever: all stop, and the code is passed on. With ``failures_max`` there is an end to other deaths, too: when every
child has died so many times in a row, none of them after a minute of life, all stop with exit code 1.

A child that is stuck, if somebody can tell (``is_stuck``), is killed, and so started again.

SIGTERM or SIGINT stops all: SIGTERM to each, 30 s to finish, then SIGKILL; a second one kills at once. So does SIGHUP
of a terminal that closes, but it is no impatience: the terminal and its shell each send one. Children have a process
group of their own, so that Ctrl-C and the terminal's end reach the supervisor alone, and a pipe as stdin, whose end
tells them that it is gone, even when it was killed.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Final, cast

from drainlake.stopping import stop_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from types import FrameType

STOP_SECONDS: Final = 30.0
BACKOFF_MAX_SECONDS: Final = 60.0
HEALTHY_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.2


def backoff_seconds(failures: int) -> float:
    """The pause before start number ``failures`` + 1: 1, 2, 4 … 60 s."""
    return min(2.0 ** max(failures - 1, 0), BACKOFF_MAX_SECONDS)


def start_child(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    stderr: IO[bytes] | None = None,
    descriptors: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start ``drainlake ARGUMENTS`` as a child that ends with this process, however this one ends.

    It inherits these descriptors under their numbers.
    """
    # -P: else a folder named `queries` where the user stands would be imported in place of ours.
    return subprocess.Popen(  # noqa: S603 - our own command line
        [sys.executable, "-P", "-m", "drainlake", "--supervised", *arguments],
        stdin=subprocess.PIPE,
        stderr=stderr,
        env=environment,
        process_group=0,
        pass_fds=tuple(descriptors),
    )


def stop_children(children: Sequence[subprocess.Popen[bytes]], seconds: float = STOP_SECONDS) -> None:
    """Ask all children to stop, wait together at most ``seconds``, kill what is left."""
    for child in children:
        child.terminate()  # nothing happens to one that has ended
    deadline = time.monotonic() + seconds
    for child in children:
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdin is not None:
            child.stdin.close()


def stop_with_parent() -> None:
    """In a child: turn the end of stdin, the parent's pipe, into a SIGTERM to this process."""

    def watch() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


@dataclass
class _Child:
    name: str
    arguments: list[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    failures: int = 0
    start_at: float = 0.0


@dataclass
class Supervisor:
    """Runs commands of drainlake as children, by name.

    ``tell`` gets the name and the sentence of each event, and what ``ingest.oplog.tell`` takes by name. Children
    inherit ``descriptors``; ``on_stop`` is called before they are asked to stop. With
    ``passes_hangup`` SIGHUP is no stop, but goes to the children. ``is_stuck`` is asked every ``POLL_SECONDS`` about
    each child that runs, by its name and process id.
    """

    tell: Callable[..., None]
    descriptors: Sequence[int] = ()
    on_stop: Callable[[], None] = lambda: None
    passes_hangup: bool = False
    failures_max: int | None = None
    final: Collection[int] = (2,)
    is_stuck: Callable[[str, int], bool] = lambda _name, _pid: False
    _children: list[_Child] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _signals: int = 0

    def add(self, name: str, arguments: Sequence[str]) -> None:
        """A child to run once :meth:`run` is called."""
        self._children.append(_Child(name, list(arguments)))

    def run(self) -> int:
        """Run until a signal or a child's final exit code; returns the exit code."""
        before = {number: signal.signal(number, self._on_signal) for number in stop_signals()}
        if self.passes_hangup:
            before.setdefault(signal.SIGHUP, signal.signal(signal.SIGHUP, self._on_hangup))
        try:
            return self._watch()
        finally:
            self._end()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - signal's signature
        self._signals += number != signal.SIGHUP
        self._stop.set()
        if self._signals > 1:
            for child in self._running():
                child.kill()

    def _on_hangup(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - as above
        for child in self._running():
            child.send_signal(number)

    def _watch(self) -> int:
        while not self._stop.is_set():
            for child in self._children:
                if (code := self._look_after(child)) in self.final:
                    return cast("int", code)
            if self._is_hopeless(time.monotonic()):
                said = f"Every child died {self.failures_max} times in a row: it is given up. What they said tells why."
                self.tell("given_up", said, level=logging.ERROR)
                return 1
            self._stop.wait(POLL_SECONDS)
        self.tell("stopping", "Stopping.")
        return 0

    def _look_after(self, child: _Child) -> int | None:
        """Start the child when it is due; note its end. Returns its exit code when it has just ended."""
        now = time.monotonic()
        if child.process is None:
            if now >= child.start_at:
                child.process, child.started_at = start_child(child.arguments, descriptors=self.descriptors), now
                if child.failures:
                    said = f"{child.name} started again."
                    self.tell("child_restarted", said, about=child.name, child=child.name, failures=child.failures)
            return None
        code = child.process.poll()
        if code is not None:
            self._note_end(child, code, now)
        elif self.is_stuck(child.name, child.process.pid):
            self._kill_stuck(child.name, child.process)
        return code

    def _kill_stuck(self, name: str, process: subprocess.Popen[bytes]) -> None:
        """Its end is noted at the next look. SIGTERM would wait for what is stuck."""
        process.kill()
        said = f"{name} gave no sign of life for too long; it is killed."
        self.tell("child_stuck", said, level=logging.ERROR, about=name, child=name)

    def _note_end(self, child: _Child, code: int, now: float) -> None:
        cast("IO[bytes]", cast("subprocess.Popen[bytes]", child.process).stdin).close()
        child.process = None
        child.failures = 1 if now - child.started_at > HEALTHY_SECONDS else child.failures + 1
        pause = backoff_seconds(child.failures)
        child.start_at = now + pause
        if code not in self.final:
            said = f"{child.name} ended with {_ending(code)}; it starts again in {pause:.0f} s."
            self.tell(
                "child_died", said, level=logging.ERROR, about=child.name,
                child=child.name, ending=_ending(code), failures=child.failures, pause_seconds=pause,
            )  # fmt: skip

    def _is_hopeless(self, now: float) -> bool:
        """Whether all die again and again; one that is up for a minute has hope."""
        return self.failures_max is not None and all(
            child.failures >= self.failures_max and (child.process is None or now - child.started_at < HEALTHY_SECONDS)
            for child in self._children
        )

    def _running(self) -> list[subprocess.Popen[bytes]]:
        return [child.process for child in self._children if child.process is not None]

    def _end(self) -> None:
        self.on_stop()
        stop_children(self._running())


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal has no name
        return f"signal {-code}"
