"""Kafka in the middle and the lake on S3: the same commands, several processes of each kind."""

from __future__ import annotations

import http.client
import json
import signal
import time
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from ingest.saved_logs import bodies
from tests.drainlake.conftest import PYTHON
from tests.drainlake.test_processes import SAVED, _attach, _free_port, _rows, _running, _until
from tests.ingest.running import post

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.drainlake.conftest import Cli
    from tests.kafka.access import Access
    from tests.s3.fixtures import S3Server


SAVED_PATH = Path(__file__).parent / "data" / "saved.log"
# kafka-python leaves the sockets of refused connections to the garbage collector.
QUIET = (*PYTHON, "-W", "ignore:unclosed <socket:ResourceWarning")
# The command, which gives up a broker that is away after a second instead of five.
IMPATIENT = """
from drainlake.cli import main
from ingest.eventlog.kafka import connection
connection.CONNECT_SECONDS = 1.0
main()
"""


@pytest.fixture
def scaled(cli: Cli, kafka: Access, kafka_prefix: str, s3: S3Server, bucket: str) -> Cli:
    """The command with Kafka as the log and S3 as the lake."""
    cli.environment |= {
        "DRAINLAKE_LOG": f"kafka://{kafka.bootstrap}",
        "KAFKA_PREFIX": kafka_prefix,
        "DRAINLAKE_LAKE": f"s3://{bucket}/lake",
        "AWS_ENDPOINT_URL": s3.endpoint,
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        "DRAINLAKE_LAND_SECONDS": "0.5",
        "DRAINLAKE_DRAINS": "shop:secret-of-shop,blog:secret-of-blog",
    }
    cli.command = (*QUIET, "-m", "drainlake")
    return cli


@contextmanager
def _lander(cli: Cli) -> Iterator[subprocess.Popen[str]]:
    process = cli.start("land")
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _deliver(port: int, app: str) -> None:
    """Send the saved lines as a drain of the app does, always as the same delivery of the same drain."""
    body = b"".join(each.body for each in bodies(SAVED_PATH))
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        named = {"Logplex_Frame_Id": "F", "Logplex_Drain_Token": f"d.{app}"}
        assert post(connection, body, app, f"secret-of-{app}", **named) == 204


def _parts(cli: Cli) -> dict[str, dict[str, Any]]:
    done = cli.run("status", "--format", "json")
    return {row["part"]: row for row in json.loads(done.stdout)}


def _delivered(s3: S3Server, bucket: str) -> int:
    """How many lines the ledger in the lake tells of, without a command of ours."""
    files = list((s3.folder / bucket / "lake/deliveries").glob("date=2*/*.parquet"))
    return sum(pl.read_parquet(file, columns=["lines"])["lines"].sum() for file in files)


def test_two_receivers_and_two_landers_give_one_lake(scaled: Cli, s3: S3Server, bucket: str) -> None:
    """Deliveries to either receiver, each of them sent to both, are in the lake once; status says all is well."""
    with ExitStack() as running:
        ports = [running.enter_context(_running(scaled, "--home", f"receiver-{n}", "serve"))[1] for n in range(2)]
        landers = [running.enter_context(_lander(scaled)) for _ in range(2)]
        for app in ("shop", "blog"):
            for port in ports:
                _deliver(port, app)
        _until(lambda: _delivered(s3, bucket) == 16, "all deliveries landed")
        assert _rows(scaled, "SELECT sum(lines) AS n FROM deliveries") == [{"n": 16}]
        assert _rows(scaled, "SELECT app, count(*) AS n FROM lines GROUP BY ALL ORDER BY ALL") == [
            {"app": "blog", "n": 2},
            {"app": "shop", "n": 2},
        ]
        assert _rows(scaled, "SELECT sum(repeated) AS n FROM deliveries") == [{"n": 8}]
        answer = json.loads(scaled.good("query", "h12_timeouts", "--app", "shop", "--format", "json"))
        assert [row["timeouts"] for row in answer["rows"]] == [1]
        _until(lambda: _parts(scaled)["behind"]["state"] == "nothing waits to be landed", "committed")
        assert all(row["well"] for row in _parts(scaled).values())
        for lander in landers:
            lander.send_signal(signal.SIGTERM)
            assert lander.wait(timeout=60) == 0


def test_tail_and_status_follow_kafka(scaled: Cli) -> None:
    """Tail prints what any receiver took in; status names the partitions that wait and how old their oldest is."""
    (scaled.folder / "saved.log").write_text(SAVED)
    scaled.good("import", "heroku", "saved.log", "--app", "shop")
    process = scaled.start("tail", "--from-start", "--table", "router", "--app", "shop")
    try:
        assert process.stdout
        row = json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()
    assert (row["table"], row["app"], row["code"]) == ("router", "shop", "H12")
    assert "piece" not in row
    with _running(scaled, "serve") as (_, port):
        url = f"http://blog:secret-of-blog@127.0.0.1:{port}/logs"
        scaled.good("simulate", "--to", url, "--from", "saved.log", "--format", "json")
        _until(lambda: "entries in" in _parts(scaled)["behind"]["state"], "entries wait")
        parts = _parts(scaled)
        assert parts["log"]["state"].startswith("Kafka at 127.0.0.1:")
        assert parts["spool"]["state"] == "nothing waits for Kafka on this host"
        assert any(name.startswith("router p") for name in parts)
    assert "rows landed" in scaled.run("land", "--once").stderr
    assert _parts(scaled)["behind"]["state"] == "nothing waits to be landed"


def test_a_file_is_imported_once_whatever_the_log(scaled: Cli) -> None:
    """Its marks are kept in the home, its rows go to Kafka by way of the spool."""
    (scaled.folder / "saved.log").write_text(SAVED)
    first = scaled.run("import", "heroku", "saved.log", "--app", "shop")
    again = scaled.run("import", "heroku", "saved.log", "--app", "shop")
    assert "4 lines read, 4 new" in first.stdout + first.stderr
    assert "4 lines read, 0 new, 4 held already" in again.stdout + again.stderr
    assert _rows(scaled, "SELECT count(*) AS n FROM lines") == [{"n": 2}]


def test_kafka_away_is_said_and_the_receiver_goes_on(scaled: Cli) -> None:
    """Deliveries are acknowledged; status, tail and land --once say in one sentence what is wrong, exit code 1."""
    scaled.environment["DRAINLAKE_LOG"] = f"kafka://127.0.0.1:{_free_port()}"
    scaled.command = (*QUIET, "-c", IMPATIENT)
    (scaled.folder / "saved.log").write_text(SAVED)
    with _running(scaled, "serve") as (process, port):
        url = _attach(scaled, "shop", port)
        account = json.loads(scaled.good("simulate", "--to", url, "--from", "saved.log", "--format", "json"))
        assert account[0]["acknowledged"] == 4
        done = scaled.run("status", "--format", "json")
        assert done.returncode == 1
        assert "does not answer" in json.loads(done.stdout)[0]["state"]
        for command in (("tail",), ("land", "--once")):
            done = scaled.run(*command)
            assert done.returncode == 1
            assert "does not answer" in done.stderr
            assert "Traceback" not in done.stderr
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "deliveries are kept in" in errors
    ours = [line for line in errors.splitlines() if not line.startswith("serve: kafka.")]  # the client's own words
    assert "KafkaTimeoutError" not in str(ours)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"DRAINLAKE_LAKE": "s3://no-such-bucket/lake"}, "there is no bucket no-such-bucket"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "is denied"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "cannot be reached"),
    ],
    ids=["bucket missing", "access denied", "store away"],
)
def test_a_store_that_refuses_is_one_sentence(scaled: Cli, change: dict[str, str], said: str) -> None:
    """Query, landing and status tell what the store says, exit code 1, no traceback."""
    for command in (("query", "latency"), ("land", "--once"), ("status",)):
        done = scaled.run(*command, **change)
        assert done.returncode == 1, done.stderr
        assert said in (done.stdout + done.stderr).lower().replace("\n", " ")
        assert "Traceback" not in done.stderr


def test_a_lander_waits_for_log_and_lake(scaled: Cli, s3: S3Server) -> None:
    """Started before its store answers, it says so and goes on trying."""
    process = scaled.start("land", AWS_ENDPOINT_URL="http://127.0.0.1:9")
    try:
        assert process.stderr
        assert "begins" in process.stderr.readline()
        assert "cannot be reached" in process.stderr.readline()
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.communicate()
