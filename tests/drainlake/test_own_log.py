"""The own log of the long-running commands, as it comes out of real processes."""

from __future__ import annotations

import http.client
import json
import logging
import os
import signal
import threading
import warnings
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from drainlake import settings
from drainlake.ownlog.setup import OwnLog, crashed, own_log
from ingest.oplog import LOGGER, tell
from tests.drainlake.test_processes import SAVED, _attach, _free_port, _running, _until
from tests.ingest.running import post

if TYPE_CHECKING:
    from pathlib import Path

    from tests.drainlake.conftest import Cli

CANARY = "c4n4ry"
SECRETS = {
    "DRAINLAKE_DRAINS": f"shop:{CANARY}-of-the-shop",
    "DRAINLAKE_METRICS_TOKEN": f"{CANARY}-metrics-token",
    "DRAINLAKE_ADDRESS_KEY": f"{CANARY}-address-key-of-some-length",
    "HEROKU_API_KEY": f"{CANARY}-heroku-key",
    "KAFKA_CLIENT_CERT": "-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----",
    "KAFKA_CLIENT_CERT_KEY": f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----",
    "AWS_ACCESS_KEY_ID": "a-key",
    "AWS_SECRET_ACCESS_KEY": f"{CANARY}-aws-secret",
    "AWS_SESSION_TOKEN": f"{CANARY}-session",
}


def events(text: str) -> list[dict[str, Any]]:
    """The lines of stderr, each of which has to be an object."""
    found = [json.loads(line) for line in text.splitlines()]
    assert all({"ts", "level", "part", "event", "message", "pid"} <= each.keys() for each in found)
    return found


def names(found: list[dict[str, Any]], part: str) -> list[str]:
    """The events of a part."""
    return [each["event"] for each in found if each["part"] == part]


def _child(pid: int, command: str) -> int | None:
    """The process of a child that runs a command."""
    for child in psutil.Process(pid).children():
        with suppress(psutil.NoSuchProcess):  # it ended since it was listed
            if child.cmdline()[-1:] == [command]:
                return child.pid
    return None


@pytest.fixture
def said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """An own log in this process; gives what was said since the last call."""
    parsed = settings.parse({"DRAINLAKE_HOME": str(tmp_path), "DRAINLAKE_LOG_FORMAT": "json"})
    with own_log(parsed, "land"):
        yield lambda: events(capsys.readouterr().err)


def test_up_tells_its_life_as_json(cli: Cli) -> None:
    """From start to stop each line is an object: settings, address, a child that died, a hint, counts at the end."""
    (cli.folder / "saved.log").write_text(SAVED)
    more = {"DRAINLAKE_LOG_FORMAT": "json", "DRAINLAKE_LAND_SECONDS": "0.2", "DRAINLAKE_HOSTNAME": "x"}
    with _running(cli, "up", **more) as (process, port):
        cli.good("simulate", "--to", _attach(cli, "shop", port), "--from", "saved.log")
        lander = _child(process.pid, "land")
        assert lander is not None
        os.kill(lander, signal.SIGKILL)
        # A killed process is still there for a moment.
        _until(lambda: _child(process.pid, "land") not in {None, lander}, "land is back")
        process.terminate()
        _, errors = process.communicate(timeout=60)
    found = events(errors)
    assert names(found, "up") == [
        "setting_unknown", "started", "greeting", "greeting", "child_died", "child_restarted", "stopping",
    ]  # fmt: skip
    assert {"started", "listening", "stopping", "stopped"} <= set(names(found, "serve"))
    by_name = {each["event"]: each for each in found}
    assert by_name["child_died"]["child"] == "land"
    assert by_name["listening"]["address"] == f"http://127.0.0.1:{port}/logs"
    started = next(each for each in found if each["event"] == "started")
    assert started["settings"]["PORT"] == port
    stopped = next(each for each in found if (each["part"], each["event"]) == ("serve", "stopped"))
    assert stopped["deliveries"] == {"stored": 1}


def test_no_secret_is_ever_said(cli: Cli) -> None:
    """All parts with every secret set, Kafka and S3 away, a destination that fails, wrong credentials, bad files."""
    away = _free_port()
    cli.environment |= SECRETS | {
        "DRAINLAKE_LOG": f"kafka+ssl://me:{CANARY}-kafka@127.0.0.1:{away}?mechanism=SCRAM-SHA-512",
        "DRAINLAKE_LAKE": "s3://bucket/lake",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{away}",
        "DRAINLAKE_NOTIFY": f"json://u:{CANARY}-pw@127.0.0.1:{away}/{CANARY}-path",
        "DRAINLAKE_LAND_SECONDS": "0.2",
    }
    cli.command = (*cli.command[:1], "-m", "drainlake")
    (cli.folder / "bad.pem").write_text(CANARY)
    bad = {"DRAINLAKE_TLS_CERT": "bad.pem", "DRAINLAKE_TLS_KEY": "bad.pem", "PORT": str(away)}
    said = cli.run("serve", **bad).stderr
    wanted, found = {"kafka_away", "landing_failed", "failed"}, set()
    with _running(cli, "up", DRAINLAKE_LOG_FORMAT="json") as (process, port):
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
            assert post(connection, b"x", "shop", f"{CANARY}-wrong") == 401
            assert post(connection, b"x", "shop", SECRETS["DRAINLAKE_DRAINS"].partition(":")[2]) == 204
        assert process.stderr
        while not wanted <= found:
            line = process.stderr.readline()
            assert line, found
            found.add(events(line)[0]["event"])
            said += line
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()  # not communicate(), which would lose what was read ahead
    assert "stopped" in {each["event"] for each in events(rest)}
    assert "bad.pem" in said
    assert CANARY not in said + rest


def test_what_libraries_and_threads_do_is_one_event_each(said: Any) -> None:
    """Warnings, errors with traceback, exceptions of threads, destructors and asyncio: none is lost, none is noise."""
    logging.getLogger("kafka.net").warning("lost %s\nof two lines", "a")
    try:
        raise ValueError("bad\nluck")
    except ValueError as error:
        logging.getLogger("asyncio").exception("Task exception was never retrieved\nfuture: …")
        crashed("land", "the process", error)
    warnings.showwarning("old", DeprecationWarning, "a.py", 3)
    thread = threading.Thread(target=lambda: 1 / 0, name="forwarder")
    thread.start()
    thread.join()
    found = said()
    assert [each["event"] for each in found] == [
        "library_warning", "library_error", "crashed", "library_warning", "crashed",
    ]  # fmt: skip
    assert [each.get("logger") for each in found] == ["kafka.net", "asyncio", None, "py.warnings", None]
    assert found[1]["traceback"].endswith("ValueError: bad\nluck\n")
    assert "ZeroDivisionError" in found[4]["traceback"]
    assert "forwarder" in found[4]["message"]


def test_repeats_are_counted_and_told_at_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A thousand refusals are two lines; what is about another thing is told by itself."""
    with own_log(settings.parse({"DRAINLAKE_HOME": str(tmp_path)}), "serve"):
        for number in range(1000):
            tell("serve", "unauthorized", f"Wrong credentials, {number}.")
        tell("serve", "child_died", "serve died", about="serve")
        tell("serve", "child_died", "land died", about="land")
    assert capsys.readouterr().err.splitlines() == [
        "Wrong credentials, 0.", "serve died", "land died", "Wrong credentials, 999. (998 more like it left out.)",
    ]  # fmt: skip


def test_what_was_left_out_is_shown_without_a_further_event(said: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log must not wait for the next event to say what is true now."""
    monkeypatch.setattr("drainlake.ownlog.setup.WINDOW_SECONDS", 0.05)
    shown: list[dict[str, Any]] = []
    for sentence in ("away", "back", "away again"):
        tell("serve", "kafka", sentence)
    _until(lambda: shown.extend(said()) or len(shown) == 2, "it is shown")
    assert [each["message"] for each in shown] == ["away", "away again"]
    assert shown[1]["left_out"] == 1


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader of stderr may have gone."""

    class Gone:
        def write(self, text: str) -> None:
            raise BrokenPipeError

        def flush(self) -> None:
            """Nothing."""

    before = (LOGGER.handlers[:], logging.getLogger().handlers[:])
    with own_log(settings.parse({"DRAINLAKE_HOME": str(tmp_path)}), "serve") as handler:
        assert isinstance(handler, OwnLog)
        monkeypatch.setattr("sys.stderr", Gone())
        tell("serve", "x", "y")
        monkeypatch.undo()
    assert (LOGGER.handlers[:], logging.getLogger().handlers[:]) == before


def test_a_failure_is_an_event_too(cli: Cli) -> None:
    """What the command line says in two lines as text is one object as JSON, with the same exit code."""
    done = cli.run("land", "--once", DRAINLAKE_LOG_FORMAT="json", DYNO="worker.1")
    [event] = events(done.stderr)
    assert (done.returncode, event["event"], event["code"], event["level"]) == (2, "failed", 2, "error")
    assert "KAFKA_URL" in event["remedy"]
