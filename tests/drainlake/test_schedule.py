"""The commands: a loop that stays small, a run for cron, a test message, mutes."""

from __future__ import annotations

import re
import signal
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import psutil
import pytest

from drainlake import settings, timing
from drainlake.cli import run
from drainlake.commands.schedule import _Stop
from drainlake.scheduling import look_again_and_again, next_look
from drainlake.stopping import stop_signals
from queries.delivery import cron
from tests.drainlake.receivers import webhook
from tests.queries.delivery.world import BERLIN, UTC_ZONE, at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.drainlake.conftest import Cli

    Here = Callable[..., tuple[int, str, str]]

DAILY, OFTEN = cron.parse("0 7 * * *", UTC_ZONE), cron.parse("*/5 * * * *", UTC_ZONE)


@pytest.mark.parametrize(
    ("failures", "want"), [(0, "26 07:00"), (1, "26 06:58"), (2, "26 06:58"), (3, "26 06:59"), (20, "26 07:00")]
)
def test_the_next_look_is_at_what_is_due_first(failures: int, want: str) -> None:
    """Or after a pause that doubles, where looks failed."""
    found = next_look([DAILY, OFTEN], at("26 06:57"), failures)
    assert found is not None
    assert found.replace(second=0) == at(want) - timedelta(minutes=failures == 1)


class _Clock:
    """A clock that moves while it is waited for; each wait can also set it."""

    def __init__(self, begin: datetime, looks: int) -> None:
        self.now, self.looks, self.looked = begin, looks, []
        self.sets: dict[int, datetime] = {}
        self.codes: list[int] = []
        self.waits = 0

    def look(self) -> int:
        self.looked.append(self.now)
        return self.codes.pop(0) if self.codes else 0

    def wait(self, seconds: float) -> bool:
        assert 0 < seconds <= 20
        self.waits += 1
        self.now = self.sets.pop(self.waits, self.now + timedelta(seconds=seconds))
        return len(self.looked) >= self.looks


def test_it_looks_at_once_and_then_when_something_is_due() -> None:
    """What was missed is made up for at the start."""
    clock = _Clock(at("26 06:52"), 4)
    assert look_again_and_again([OFTEN, DAILY], clock.look, clock.wait, lambda: clock.now) == 0
    assert clock.looked == [at("26 06:52"), at("26 06:55"), at("26 07:00"), at("26 07:05")]


def test_a_clock_that_is_set_back_or_a_machine_that_slept_does_not_stop_it() -> None:
    """After a jump back it looks within a period; after a sleep at once."""
    clock = _Clock(at("26 06:59"), 3)
    clock.sets = {1: at("26 03:03"), 20: at("26 15:59")}
    look_again_and_again([OFTEN], clock.look, clock.wait, lambda: clock.now)
    assert clock.looked == [at("26 06:59"), at("26 03:05"), at("26 15:59")]


def test_wrong_use_ends_it() -> None:
    """A setting that no run can work with is not tried for ever."""
    clock = _Clock(at("26 06:59"), 9)
    clock.codes = [2]
    assert look_again_and_again([OFTEN], clock.look, clock.wait, lambda: clock.now) == 2
    assert len(clock.looked) == 1


def test_once_ends_well_when_nothing_is_due(cli: Cli) -> None:
    """As cron wants it: exit code 0 and not a word."""
    done = cli.run("schedule", "--once", DRAINLAKE_REPORT_AT="off")
    assert (done.returncode, done.stdout) == (0, "")
    assert "Traceback" not in done.stderr


def test_the_process_is_small_and_ends_when_told(cli: Cli) -> None:
    """It sleeps in less than 60 MB, whatever its runs took."""
    import time

    process = cli.start("schedule", DRAINLAKE_REPORT_AT="off")
    try:
        inside = psutil.Process(process.pid)
        deadline = time.monotonic() + 60
        while not inside.children() or inside.children()[0].status() == psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        psutil.wait_procs(inside.children(), timeout=60)
        assert inside.memory_info().rss < 60e6
        process.send_signal(signal.SIGTERM)
        errors = process.communicate(timeout=60)[1]
        assert process.returncode == 0, errors
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """The command in this process, in an empty folder; gives exit code, stdout, stderr."""
    for name, text in settings.isolated_environment().items():
        monkeypatch.setenv(name, text)
    monkeypatch.chdir(tmp_path)

    def call(*args: str, notify: str = "") -> tuple[int, str, str]:
        monkeypatch.setenv("DRAINLAKE_NOTIFY", notify)
        code = run(args)
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_a_test_message_says_how_it_went(here: Here, tmp_path: Path) -> None:
    """For each place, by its name; the exit code is that of the worst."""
    with webhook() as hook:
        notify = f"json://u:s3cr3t@127.0.0.1:{hook.port}/s3cr3t json://127.0.0.1:{hook.port}/s3cr3t ./out"
        hook.answers = [200, 503]
        code, out, err = here("schedule", "--test", notify=notify)
    assert (code, out) == (1, "json: went\njson-2: it answered HTTP 503\nfolder: went\n")
    assert "s3cr3t" not in err
    assert len(list((tmp_path / "out").glob("*.txt"))) == 1
    assert here("schedule", "--test")[0] == 1
    assert here("schedule", "--test", notify="./out s3cr3t")[0] == 2


def test_a_notify_that_no_service_understands_ends_with_wrong_use(cli: Cli) -> None:
    """Before anything is made, and ``up`` passes it on."""
    done = cli.run("schedule", DRAINLAKE_NOTIFY="nosuch://s3cr3t")
    assert done.returncode == 2
    assert "address 1 (nosuch://…) is not understood" in done.stderr
    assert "s3cr3t" not in done.stderr


def test_findings_are_muted_and_told_again(here: Here) -> None:
    """By id, until a date; the list says until when and why."""
    assert "Nothing is muted" in here("mute")[2]
    assert here("mute", "0123456789", "--until", "7d", "--why", "a\x1bb")[0] == 0
    code, out, _ = here("mute")
    assert code == 0
    assert re.fullmatch(r"0123456789 until \d{4}-\d\d-\d\d \d\d:\d\d UTC ab\n", out)
    assert here("mute", "0123456789", "--off")[0] == 0
    assert here("mute")[1] == ""
    assert here("mute", "0123456789", "--off")[0] == 1


@pytest.mark.parametrize(
    "args",
    [
        ("0123456789",),
        ("cart", "--until", "7d"),
        ("0123456789", "--until", "yesterday"),
        ("0123456789", "--until", "2020-01-01"),
        ("--off",),
    ],
)
def test_a_mute_that_makes_no_sense_is_wrong_use(here: Here, args: tuple[str, ...]) -> None:
    """No id, no end, an end that is over."""
    assert here("mute", *args)[0] == 2


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("7d", "2026-12-03T12:00:00+00:00"),
        ("2026-12-24", "2026-12-23T23:00:00+00:00"),
        ("2026-12-24T08:30", "2026-12-24T07:30:00+00:00"),
        ("2026-12-24T08:30Z", "2026-12-24T08:30:00+00:00"),
    ],
)
def test_a_mute_ends_after_a_span_or_as_a_date_begins(text: str, want: str) -> None:
    """A date is one of the zone."""
    assert timing.mute_end(text, at("26 12:00"), BERLIN).isoformat() == want


@pytest.mark.parametrize("text", ["", "d", "7", "-7d", "2020-01-01", "99999d", "9999-12-31", "now"])
def test_other_ends_of_a_mute_are_refused(text: str) -> None:
    """Those that are over or ten years away too."""
    with pytest.raises(ValueError, match="must be a span"):
        timing.mute_end(text, at("26 12:00"), BERLIN)


@pytest.fixture
def _signals() -> Iterator[None]:
    """Put back what signals do in this process."""
    before = {number: signal.getsignal(number) for number in stop_signals()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_signals")
def test_a_second_signal_finds_a_run_that_is_ending() -> None:
    """Raised again while Python clears up, it would be printed as a traceback beside the log's lines."""
    stop, numbers = _Stop(), stop_signals()
    with pytest.raises(SystemExit):
        stop.on_signal(signal.SIGTERM, None)
    assert [signal.getsignal(number) for number in numbers] == [signal.SIG_IGN] * len(numbers)
    signal.raise_signal(signal.SIGTERM)


@pytest.mark.usefixtures("_signals")
def test_a_run_that_is_told_to_stop_first_notes_what_it_sent() -> None:
    """Else each restart of a dyno could leave a message of which nobody knows whether it arrived."""
    stop = _Stop()
    stop.at("begun")
    stop.on_signal(signal.SIGTERM, None)
    stop.at("accepted")
    with pytest.raises(SystemExit):
        stop.at("marked")
    with pytest.raises(SystemExit):
        _Stop().on_signal(signal.SIGTERM, None)
