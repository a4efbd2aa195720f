"""Figures of ``land`` and ``schedule``: their files across kills, and the port of their own under abuse."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from drainlake import settings
from drainlake.commands.up import greeting
from drainlake.figures import server as metrics_server
from drainlake.figures.land import lags_by_table
from drainlake.figures.own_file import Vitals, own_file
from drainlake.figures.report import report_figures
from drainlake.figures.rounds import Rounds
from drainlake.figures.server import Shown, answer, serving
from drainlake.values import Secret
from ingest.eventlog.contract import Lag
from ingest.figures.exposition import single
from queries.delivery import cron
from queries.delivery.ledger import Episode, Kind, Ledger, Message, Parcel, State, Track
from queries.delivery.schedule import Plan
from queries.report.model import Severity
from tests.drainlake.receivers import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

KILLED_AT_RENAME = """
import os, signal, sys
from pathlib import Path
from drainlake.figures.own_file import Vitals, own_file
from ingest.figures.exposition import single

with own_file(Path(sys.argv[1]), "land") as path:
    vitals = Vitals(path, "land", 60, lambda process: ())
    Path.replace = lambda self, target: os.kill(os.getpid(), signal.SIGKILL)
    vitals.ended(1.0, is_good=True)
"""


def _vitals(path: Path | None, patience_seconds: float = 60.0) -> Vitals:
    return Vitals(
        path, "land", patience_seconds, lambda process: [single("gauge", "drainlake_x", "One.", 1.0, a=process)]
    )


def test_processes_of_one_kind_have_a_file_each_and_take_it_away(tmp_path: Path) -> None:
    """No series comes twice; a name becomes free with its process."""
    with own_file(tmp_path, "land") as first, own_file(tmp_path, "land") as second:
        assert first is not None
        assert second is not None
        assert (first.name, second.name) == ("land.prom", "land-2.prom")
        for path in (first, second):
            _vitals(path)
        assert 'drainlake_x{a="land"} 1.0' in first.read_text()
        assert 'drainlake_x{a="land-2"} 1.0' in second.read_text()
    assert not list(tmp_path.glob("*.prom"))
    with own_file(tmp_path, "land") as again:
        assert again == first


def test_a_kill_while_the_file_is_written_leaves_the_one_before(tmp_path: Path) -> None:
    """What was half written is swept away by the next process of that name."""
    done = subprocess.run([sys.executable, "-c", KILLED_AT_RENAME, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert 'drainlake_rounds_total{process="land"} 0.0' in (tmp_path / "land.prom").read_text()
    scratch = tmp_path / ".land.scratch"
    assert len(list(scratch.iterdir())) == 1
    with own_file(tmp_path, "land") as path:
        assert not list(scratch.iterdir())
        _vitals(path).ended(1.0, is_good=True)
        assert 'drainlake_rounds_total{process="land"} 1.0' in (tmp_path / "land.prom").read_text()


def test_a_file_that_cannot_be_written_stops_nothing_and_is_counted(tmp_path: Path) -> None:
    """Not even a folder that cannot be made."""
    (tmp_path / "file").touch()
    with own_file(tmp_path / "file" / "metrics", "land") as path:
        assert path is None
        assert _vitals(path).trouble() is None
    with own_file(tmp_path, "land") as path:
        vitals = _vitals(path)
        (tmp_path / ".land.scratch").rmdir()
        (tmp_path / ".land.scratch").touch()
        vitals.ended(1.0, is_good=False)
        text = vitals.exposition().decode()
    assert 'drainlake_figures_unwritten_total{process="land"} 1.0' in text
    assert 'drainlake_rounds_failed_total{process="land"} 1.0' in text


def test_a_process_counts_as_stuck_when_it_is_silent_for_too_long() -> None:
    """A step within a round is a sign of life, and so is a failed round."""
    rounds = Rounds(60.0, heard_at=100.0)
    assert rounds.deadline_at == 160
    rounds.heard(150.0)
    assert rounds.deadline_at == 210
    rounds.ended(30.0, 200.0, is_good=False)
    assert (rounds.deadline_at, rounds.ended_at, rounds.good_at, rounds.failed) == (260, 200, None, 1)
    stuck, well = _vitals(None, -1.0), _vitals(None)
    assert stuck.trouble() is not None
    assert well.trouble() is None


TOKEN = Shown(lambda: b"figures\n", lambda: None, Secret("token"))
OPEN = Shown(lambda: b"figures\n", lambda: "land gave no sign of life for 700 s")


@pytest.mark.parametrize(
    ("head", "shown", "status"),
    [
        (b"GET /metrics HTTP/1.1\r\nAuthorization: Bearer token\r\n\r\n", TOKEN, 200),
        (b"GET /metrics?x=1 HTTP/1.0\r\nhost: a\r\nauthorization:  bearer token \r\n\r\n", TOKEN, 200),
        (b"GET /metrics HTTP/1.1\r\n\r\n", TOKEN, 401),
        (b"GET /metrics HTTP/1.1\r\nAuthorization: Bearer tokem\r\n\r\n", TOKEN, 401),
        (b"GET /metrics HTTP/1.1\r\nAuthorization: Basic token\r\n\r\n", TOKEN, 401),
        (b"GET /metrics HTTP/1.1\r\nAuthorization: Bearer \xff\r\n\r\n", TOKEN, 401),
        (b"GET /metrics HTTP/1.1\r\nAuthorization: x\r\nAuthorization: Bearer token\r\n\r\n", TOKEN, 401),
        (b"GET /metrics HTTP/1.1\r\n\r\n", OPEN, 200),
        (b"GET /healthz HTTP/1.1\r\n\r\n", TOKEN, 200),
        (b"GET /healthz HTTP/1.1\r\n\r\n", OPEN, 503),
        (b"GET / HTTP/1.1\r\n\r\n", OPEN, 404),
        (b"POST /metrics HTTP/1.1\r\n\r\n", OPEN, 405),
        (b"GET /metrics\r\n\r\n", OPEN, 400),
        (b"GET /metrics HTTP/1.1\r\n", OPEN, 400),
        (b"", OPEN, 400),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", OPEN, 400),
    ],
)
def test_a_request_gets_its_answer(head: bytes, shown: Shown, status: int) -> None:
    """Figures with the token only, health for everyone, nothing else."""
    made = answer(head, shown)
    assert made.status == status
    assert (b"figures" in made.body) == (status == 200 and b"/metrics" in head)


def _ask(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_slow_and_many_connections_hold_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """One beyond the limit is closed and counted; those that dribble are closed when their time is over."""
    monkeypatch.setattr(metrics_server, "REQUEST_SECONDS", 2.0)
    port = free_port()
    with serving("127.0.0.1", port, OPEN) as server, ExitStack() as stack:
        addresses = [("127.0.0.1", port)] * metrics_server.CONNECTIONS_MAX
        slow = [stack.enter_context(socket.create_connection(address)) for address in addresses]
        with socket.create_connection(("127.0.0.1", port), timeout=20) as one_more:
            assert one_more.recv(1) == b""
        assert server.refused == 1
        deadline = time.monotonic() + 30
        while not (said := _quietly_ask(port)).endswith(b"figures\n"):
            assert time.monotonic() < deadline, said
            for connection in slow:  # a byte now and then does not buy more time
                _dribble(connection)
            time.sleep(0.1)


def _quietly_ask(port: int) -> bytes:
    try:
        return _ask(port)
    except OSError as error:
        return str(error).encode()


def _dribble(connection: socket.socket) -> None:
    try:
        connection.sendall(b"x")
    except OSError:
        return


def test_a_taken_port_is_refused_with_its_setting(tmp_path: Path) -> None:
    """Before landing begins, and with what to try."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environment = {**os.environ, "DRAINLAKE_HOME": str(tmp_path), "DRAINLAKE_METRICS_PORT": str(port)}
        done = subprocess.run(
            [sys.executable, "-m", "drainlake", "land"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert f"DRAINLAKE_METRICS_PORT={port} cannot be listened on" in done.stderr
    assert not list((tmp_path / "metrics").glob("*.prom"))


def test_up_says_that_it_does_without_the_port() -> None:
    """Its three parts would all want it."""
    said = greeting(settings.parse({"DRAINLAKE_METRICS_PORT": "9105", "PORT": "8081"}))
    assert said[-1] == "DRAINLAKE_METRICS_PORT=9105 is not used here: /metrics of port 8081 shows all."
    assert not any("METRICS" in line for line in greeting(settings.parse({})))


def test_the_lag_of_a_table_is_that_of_its_oldest_partition() -> None:
    """Entries add up; a table that waits for nothing is at nought."""
    lags = [Lag("router", "p0", 3, None, None, 90.0), Lag("router", "p1", 4, None, None, 60.0)]
    found = lags_by_table(lags, 100.0)
    assert found["router"] == (7, 40.0)
    assert found["lines"] == (0, 0.0)


NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
ZONE = ZoneInfo("UTC")


def _values(ledger: Ledger, findings: Mapping[str, float]) -> dict[tuple[str, str], float]:
    plan = Plan(ZONE, cron.parse("0 7 * * *", ZONE), None, report_to=("mail",))
    families = report_figures(ledger, plan, findings)
    return {(s.name, next(iter(s.labels.values()))): s.value for each in families for s in each.samples}


def test_the_ledger_as_figures() -> None:
    """What was made and has arrived, what waits and why, what rings; what is off or not known is left out."""
    sent = Message("a", Kind.REPORT, NOON, NOON, "", "", (Parcel("mail", State.SENT),))
    failing = Parcel("mail", State.WAITING, tries=2, reason="it answered HTTP 500")
    parcels = (failing, Parcel("hook"), Parcel("chat", State.UNKNOWN))
    later = Message("b", Kind.REPORT, NOON, NOON + timedelta(days=1), "", "", parcels)
    open_one = Episode("x", "shop", "", int(Severity.CRITICAL), NOON, NOON)
    ended = Episode("y", "shop", "", int(Severity.CRITICAL), NOON, NOON, ended_at=NOON)
    ledger = Ledger({Kind.REPORT: Track(NOON, failures=2), Kind.ALARM: Track(NOON)}, (sent, later), (open_one, ended))
    values = _values(ledger, {"notice": 2.0, "warning": 0.0, "critical": 1.0})
    noon = NOON.timestamp()
    want = {
        ("drainlake_last_run_timestamp_seconds", "report"): noon,
        ("drainlake_next_run_timestamp_seconds", "report"): noon + 19 * 3600,
        ("drainlake_runs_failed_in_a_row", "report"): 2,
        ("drainlake_last_message_timestamp_seconds", "report"): noon + 86_400,
        ("drainlake_last_sent_message_timestamp_seconds", "report"): noon,
        ("drainlake_messages", "sent"): 1,
        ("drainlake_messages", "waiting"): 1,
        ("drainlake_messages", "failing"): 1,
        ("drainlake_messages", "unknown"): 1,
        ("drainlake_messages", "given_up"): 0,
        ("drainlake_report_findings", "notice"): 2,
        ("drainlake_report_findings", "warning"): 0,
        ("drainlake_report_findings", "critical"): 1,
        ("drainlake_alarms_open", "notice"): 0,
        ("drainlake_alarms_open", "warning"): 0,
        ("drainlake_alarms_open", "critical"): 1,
    }
    assert values == want
    assert not [name for name, _ in _values(Ledger(), {}) if "report_findings" in name or "timestamp" in name]
