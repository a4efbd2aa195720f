"""Real processes, a real lake, a real webhook: kills at each step, two at once, and no secret anywhere."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from drainlake import delivery, health, settings
from drainlake.delivery import send_report
from drainlake.errors import Failure
from drainlake.notes import lake_notes
from queries.delivery.ledger import NAME, State, load
from queries.report.model import Window
from tests.drainlake.receivers import Webhook, free_port, mail_server, webhook
from tests.drainlake.reporting_process import REPORTING, set_clock
from tests.queries.delivery.world import at, finding, report
from transforms.locallake import LocalLake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.s3.fixtures import S3Server

    Spoil = Callable[[Path], object]

ROOT = Path(__file__).parents[2]
TOLD = "may not have reached you by json (the process died while sending)"


@pytest.fixture
def hook() -> Iterator[Webhook]:
    """A running webhook."""
    with webhook() as running:
        yield running


def _env(home: Path, notify: str, **more: str) -> dict[str, str]:
    return settings.isolated_environment(
        DRAINLAKE_HOME=str(home), DRAINLAKE_NOTIFY=notify, DRAINLAKE_LAND_SECONDS="0.1", **more
    )


def _start(env: dict[str, str], now: str, *point: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-m", "tests.drainlake.reporting_process", at(now).isoformat(), *point]
    return subprocess.Popen(command, env=env, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def _end(process: subprocess.Popen[str]) -> tuple[int, str]:
    errors = process.communicate(timeout=60)[1]
    return process.returncode, errors


def _run(env: dict[str, str], now: str, claimant: str = "") -> list[str]:
    """A run in this process; gives what it tells."""
    before = delivery._now, delivery._sleep
    set_clock(at(now))
    try:
        done = delivery.run_schedule(settings.parse(env), REPORTING, claimant=claimant)
    finally:
        delivery._now, delivery._sleep = before
    return [each.reason for each in done.tries]


STEPS = {
    "report claimed": "later",
    "report saved": "later",
    "report enqueued": "later",
    "begun": "unknown",
    "accepted": "unknown",
    "marked": "sent",
}


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_any_step_neither_sends_twice_nor_skips_silently(tmp_path: Path, hook: Webhook, step: str) -> None:
    """kill -9; at once nothing is taken over; an hour later what was not begun is sent, and what was is told."""
    env = _env(tmp_path, f"json://127.0.0.1:{hook.port}/s3cr3t", DRAINLAKE_CHECK_AT="off")
    assert _run(env, "25 12:00") == []
    assert _end(_start(env, "26 07:00", step))[0] == -9
    came = len(hook.got)
    assert came == (STEPS[step] in {"sent", "unknown"} and step != "begun")
    if step != "report enqueued":
        assert _run(env, "26 07:01") == []
    assert _run(env, "26 08:00") == ([""] if STEPS[step] == "later" else [])
    assert _run(env, "27 07:00") == [""]
    titles = [got["title"] for _, got in hook.got]
    assert len(titles) == len(set(titles))
    assert (TOLD in hook.got[-1][1]["message"]) == (STEPS[step] == "unknown")
    assert ("Thu 26 Nov 2026" in str(titles)) == (step != "begun")


def test_a_child_takes_over_from_the_one_before_it(tmp_path: Path, hook: Webhook) -> None:
    """Its parent saw that one die; the child of another parent waits for the lease."""
    env = _env(tmp_path, f"json://127.0.0.1:{hook.port}/s3cr3t", DRAINLAKE_CHECK_AT="off")
    assert _run(env, "25 12:00") == []
    assert _end(_start(env, "26 07:00", "report claimed", "a parent"))[0] == -9
    assert _run(env, "26 07:01", "another parent") == []
    assert _run(env, "26 07:01", "a parent") == [""]


def test_processes_at_once_send_once(tmp_path: Path, hook: Webhook) -> None:
    """Three, on one folder, at the same second."""
    env = _env(tmp_path, f"json://127.0.0.1:{hook.port}/s3cr3t")
    _run(env, "26 11:58")
    started = [_start(env, "26 12:00") for _ in range(3)]
    ended = [_end(process) for process in started]
    assert [code for code, _ in ended] == [0, 0, 0], ended
    assert [got["title"] for _, got in hook.got] == ["drainlake CRITICAL in shop: memory on /cart"]


def test_processes_on_one_bucket_send_once(tmp_path: Path, hook: Webhook, s3: S3Server, bucket: str) -> None:
    """Dynos share no disk: two homes, one lake on S3. The other one takes over with the page made again."""
    access = {
        "DRAINLAKE_LAKE": f"s3://{bucket}/lake",
        "AWS_ENDPOINT_URL": s3.endpoint,
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        "AWS_REGION": s3.region,
        "DRAINLAKE_CHECK_AT": "off",
    }
    notify = f"json://127.0.0.1:{hook.port}/s3cr3t"
    one, two = (_env(tmp_path / name, notify, **access) for name in ("one", "two"))
    _run(one, "25 12:00")
    started = [_start(one, "26 07:00"), _start(two, "26 07:00")]
    assert [_end(process)[0] for process in started] == [0, 0]
    assert len(hook.got) == 1
    assert _end(_start(one, "27 07:00", "report enqueued"))[0] == -9
    assert _run(two, "27 07:02") == [""]
    assert len(hook.got) == 2
    assert hook.got[-1][1]["attachments"][0]["filename"] == "report-20261127T0700Z.html"


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")
def test_what_cannot_be_sent_is_kept_and_said_without_its_address(tmp_path: Path, hook: Webhook) -> None:
    """On stderr, in the ledger and in status, which is not well until it has gone; no secret is in any of them."""
    mail = free_port()
    notify = (
        f"json://user:s3cr3t@127.0.0.1:{hook.port}/s3cr3t?-token=s3cr3t"
        f" mailto://u:s3cr3t@127.0.0.1:{mail}?from=a@x.org&to=b@x.org"
    )
    env = _env(tmp_path, notify, DRAINLAKE_CHECK_AT="off")
    _run(env, "25 12:00")
    hook.answers = [500] * 3
    code, errors = _end(_start(env, "26 07:00"))
    assert code == 1
    assert "report-20261126T0700Z to json: it answered HTTP 500; it is kept and tried again" in errors
    assert "report-20261126T0700Z to mailto: it could not be reached; it is kept and tried again" in errors
    parsed = settings.parse(env)
    parts = health.examine(parsed)
    assert sum("it could not be reached" in part.state and not part.well for part in parts) == 1
    seen = errors + str(parts) + LocalLake(tmp_path / "lake").note(NAME).decode()  # type: ignore[union-attr]
    assert "s3cr3t" not in seen
    assert (tmp_path / "reports/report-20261126T0700Z.html").is_file()
    with mail_server("s3cr3t") as server:
        assert _run({**env, "DRAINLAKE_NOTIFY": notify.replace(f"{mail}", f"{server.port}")}, "26 09:00") == ["", ""]
    ((_, got),) = server.got
    told = got.get_body(("html",)).get_content()
    assert "Late by 2 h: this could not be sent at 2026-11-26 07:00 UTC" in told
    with lake_notes(parsed) as notes:
        assert {p.state for m in load(notes).messages for p in m.parcels} == {State.SENT}


@pytest.mark.parametrize("spoil", [Path.unlink, lambda file: (file.unlink(), file.mkdir())], ids=["gone", "unreadable"])
def test_files_of_a_kept_report_that_are_lost_do_not_keep_it(tmp_path: Path, hook: Webhook, spoil: Spoil) -> None:
    """Somebody tidied up: it is made again, or sent without them, and nothing is left half begun."""
    env = _env(tmp_path, f"json://127.0.0.1:{hook.port}/s3cr3t", DRAINLAKE_CHECK_AT="off")
    hook.answers = [500, 500, 500]
    _run(env, "25 12:00")
    assert set(_run(env, "26 07:00")) == {"it answered HTTP 500"}
    spoil(tmp_path / "reports/report-20261126T0700Z.md")
    assert _run(env, "26 08:00") == [""]
    assert "Late by 60 min" in hook.got[-1][1]["message"]


def test_a_report_can_be_sent_when_it_is_asked_for(tmp_path: Path, hook: Webhook) -> None:
    """Beside the schedule; without a place to send to it is refused."""
    env = _env(tmp_path, f"json://127.0.0.1:{hook.port}/s3cr3t")
    made = report(Window(at("25 07:00"), at("26 07:00")), at("26 07:00"), finding())
    (sent,) = send_report(settings.parse(env), made, REPORTING)
    assert (sent.destination, sent.reason) == ("json", "")
    assert hook.got[0][1]["title"] == "drainlake: 1 warning in shop, Thu 26 Nov 2026"
    assert len(list((tmp_path / "reports").glob("*-asked.html"))) == 1
    with pytest.raises(Failure, match="names no place for reports"):
        send_report(settings.parse({**env, "DRAINLAKE_NOTIFY": ""}), made, REPORTING)


def test_a_damaged_ledger_is_refused_and_left(tmp_path: Path) -> None:
    """By the run and by status; nobody's state is overwritten."""
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / NAME).write_bytes(b"{")
    parsed = settings.parse(_env(tmp_path, ""))
    with pytest.raises(Failure, match=r"_delivery\.json is damaged"):
        delivery.run_schedule(parsed, REPORTING)
    (part,) = [part for part in health.examine(parsed) if part.part == "schedule"]
    assert not part.well
    assert (tmp_path / "lake" / NAME).read_bytes() == b"{"


def test_the_lease_of_a_try_is_longer_than_a_try_may_take() -> None:
    """Else a slow sender would be taken for dead, and a slow report too."""
    from drainlake import posting, scheduling
    from queries.delivery import outbox, runs

    assert timedelta(seconds=posting.TRY_SECONDS_MAX) * 2 <= outbox.LEASE
    assert timedelta(seconds=scheduling.RUN_SECONDS_MAX) < runs.LEASE
