"""SIGHUP, which a terminal sends when it closes: a stop in good order, and nothing at all under nohup."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from drainlake.stopping import StopRequest
from drainlake.supervisor import Supervisor
from tests.drainlake.receivers import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.drainlake.conftest import Cli

OF_A_TERMINAL = 'exec "$@" <"$0" >"$0"'  # the first one that a new session opens is its own
BEGUN = ("land: drainlake", "schedule: drainlake", "receiving on")
STOPPED = ("land: stopped (SIGTERM)", "schedule: stopped (SIGTERM)", "Stopped; deliveries: none.")


@pytest.fixture
def _signals() -> Iterator[None]:
    """SIGHUP is not ignored, here and by who is started here, also where nohup runs the tests; afterwards signals do
    what they did."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    signal.signal(signal.SIGHUP, lambda *_: None)  # the default would end the tests where one fails
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_signals")
def test_a_hangup_asks_a_loop_to_stop() -> None:
    """By default it would kill `land` and `schedule` wherever they are."""
    stop = StopRequest().listen()
    signal.raise_signal(signal.SIGHUP)
    assert (stop.event.is_set(), stop.why) == (True, "SIGHUP")


@pytest.mark.usefixtures("_signals")
def test_a_hangup_that_was_ignored_at_the_start_stays_ignored() -> None:
    """So `nohup` starts what is to outlive its terminal."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stop = StopRequest().listen()
    signal.raise_signal(signal.SIGHUP)
    signal.raise_signal(signal.SIGTERM)
    assert stop.why == "SIGTERM"


@pytest.mark.usefixtures("_signals")
def test_under_nohup_a_supervisor_goes_on(tmp_path: Path) -> None:
    """It looks after its child until it is told to stop."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    told = iter([signal.SIGHUP, signal.SIGHUP, signal.SIGTERM])

    def look(_name: str, _pid: int) -> bool:
        signal.raise_signal(next(told))
        return False

    supervisor = Supervisor(lambda *_, **__: None, is_stuck=look)
    supervisor.add("land", ["--home", str(tmp_path), "land"])
    assert supervisor.run() == 0
    assert next(told, None) is None


@pytest.mark.usefixtures("_signals")
def test_a_terminal_that_closes_ends_up_and_its_children_in_good_order(cli: Cli) -> None:
    """The kernel sends one SIGHUP and the shell others; only a second SIGTERM or SIGINT kills at once."""
    ours, theirs = pty.openpty()
    said = cli.folder / "said"
    with said.open("wb") as stderr, os.fdopen(theirs):
        process = subprocess.Popen(
            ["sh", "-c", OF_A_TERMINAL, os.ttyname(theirs), *cli.command, "up"],
            cwd=cli.folder, env=cli.env(PORT=str(free_port())), stderr=stderr, start_new_session=True,
        )  # fmt: skip
        try:
            _until(lambda: all(word in said.read_text() for word in BEGUN))
            children = psutil.Process(process.pid).children()
            os.close(ours)
            for _ in range(3):
                process.send_signal(signal.SIGHUP)
            assert process.wait(timeout=60) == 0
            assert all(word in said.read_text() for word in STOPPED), said.read_text()
            assert psutil.wait_procs(children, timeout=30)[1] == []
        finally:
            process.kill()
            process.wait()


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
