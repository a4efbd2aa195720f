"""When not all is well: each part by its rule, and the whole of it as a command."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from drainlake.health import FileState, LogState, judge
from drainlake.host import Disk, HostState, judge_host
from drainlake.silence import Heard, judge_silence
from ingest.batch import store
from ingest.deliveries import Delivery
from ingest.eventlog.contract import Lag
from ingest.eventlog.embedded import EmbeddedLog
from tests.drainlake.conftest import Cli
from tests.drainlake.receivers import free_port
from tests.ingest.running import frame, post
from transforms.lake import Totals

if TYPE_CHECKING:
    from tests.drainlake.inside import Inside

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
SECONDS = NOW.timestamp()
GIB = 1 << 30


@pytest.mark.parametrize(
    ("waits_seconds", "landed_ago_seconds", "unwell"),
    [
        (None, 5.0, []),
        (None, 1e6, []),
        (299.0, 1e6, []),
        (301.0, 5.0, ["behind"]),
        (301.0, 400.0, ["behind", "landed"]),
        (301.0, None, ["behind", "landed"]),
        (10.0, None, []),
    ],
)
def test_landing_is_unwell_when_it_stands_still_and_not_when_nothing_comes(
    waits_seconds: float | None, landed_ago_seconds: float | None, unwell: list[str]
) -> None:
    """Ten landings may be missed; ``behind`` alone says that it works, but is too slow."""
    lags = [Lag("router", "e0", 1, 1, 1, SECONDS - waits_seconds)] if waits_seconds is not None else []
    landed_at = SECONDS - landed_ago_seconds if landed_ago_seconds is not None else None
    log = LogState(FileState(1, 1000, lags), lags, landed_at)
    parts = judge(log, Totals(1, 1, 1), None, now=SECONDS, land_seconds=30.0)
    assert [part.part for part in parts if not part.well] == unwell


def test_what_waits_on_this_host_is_told_while_kafka_is_away() -> None:
    """It is what matters then; what Kafka would have to say is left out."""
    waits = [Lag("router", "e0", 3, 9, 900, SECONDS - 400)]
    log = LogState(FileState(1, 1000, waits), kafka="k:9092", trouble="Kafka at k:9092 does not answer")
    parts = judge(log, Totals(1, 1, 1), None, now=SECONDS, land_seconds=30.0)
    assert [(part.part, part.well) for part in parts] == [("log", False), ("spool", False), ("lake", True)]
    assert parts[0].state == "Kafka at k:9092 does not answer"
    assert parts[1].state.startswith("3 entries")


def test_what_waits_is_told_while_the_lake_is_away(inside: Inside) -> None:
    """A store that does not answer hides nothing of the log."""
    with closing(EmbeddedLog(inside.folder / "drainlake-data/log.db")) as opened:
        store(opened, [Delivery("blog", frame("hello"), 0)])
    away = {"DRAINLAKE_LAKE": "s3://bucket/lake", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}
    done = inside.run(
        "status", "--format", "json", **away, AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b", AWS_REGION="x"
    )
    parts = {row["part"]: row for row in json.loads(done.stdout)}
    assert (done.returncode, parts["lake"]["well"]) == (1, False)
    assert parts["behind"]["state"].startswith("2 rows wait")
    assert "disk" in parts


@pytest.mark.parametrize(
    ("host", "part", "state", "well"),
    [
        (HostState([Disk("the home", 2 * GIB, 8 * GIB)]), "disk", "2.0 of 8.0 GiB free for the home", True),
        (HostState([Disk("the lake", GIB - 1, 8 * GIB)]), "disk", "1.0 of 8.0 GiB free for the lake", False),
        (HostState(certificate=NOW + timedelta(days=15)), "certificate", "valid for 15 days", True),
        (HostState(certificate=NOW + timedelta(days=13)), "certificate", "valid for 13 days", False),
        (HostState(certificate=NOW - timedelta(days=3)), "certificate", "expired 3 days ago", False),
        (HostState(certificate="it cannot be read"), "certificate", "it cannot be read", False),
        (HostState(processes={"land-2": SECONDS + 1}), "land-2", "runs", True),
        (HostState(processes={"land": SECONDS - 300}), "land", "heard of 5 min ago", False),
        (HostState(broken_files=2), "figures", "2 files", False),
    ],
)
def test_the_host_is_judged(host: HostState, part: str, state: str, well: bool) -> None:
    """Room on the disk, a certificate that is valid for two weeks, processes that are heard of."""
    (found,) = judge_host(host, NOW)
    assert (found.part, found.well) == (part, well)
    assert state in found.state


def test_a_host_of_which_nothing_is_known_has_no_part() -> None:
    """Figures of the ledger are of no process."""
    assert list(judge_host(HostState(processes={"reports": None}), NOW)) == []


@pytest.mark.parametrize(
    ("heard", "is_silent"),
    [
        (Heard("shop", 5, 5, 5, 5), False),
        (Heard("shop", 0, 5, 5, 5), True),
        (Heard("shop", 0, 0, 5, 5), False),  # it is quiet at this time of day, or was taken off yesterday
        (Heard("shop", 0, 5, 0, 5), False),  # and on this day of the week
        (Heard("shop", 0, 5, 0, 0), True),  # it is younger than a week
        (Heard("shop", 5, 0, 0, 0), False),
    ],
)
def test_an_app_is_silent_only_where_it_was_not_yesterday_and_a_week_ago(heard: Heard, is_silent: bool) -> None:
    """Nights and Sundays alarm nobody."""
    parts = list(judge_silence([heard, Heard("gone", 0, 0, 9, 9)]))
    assert [part.part for part in parts if not part.well] == ["drains"] * is_silent
    assert all(("shop" in part.state) == is_silent for part in parts)


def test_an_app_that_began_today_is_not_said_to_send_as_yesterday() -> None:
    """It is the first thing that is read of a new drain."""
    (part,) = judge_silence([Heard("shop", 5, 0, 0, 0)])
    assert (part.state, part.well) == ("1 app, and none fell silent", True)


def test_many_silent_apps_are_one_line() -> None:
    """Names of some, the number of the others."""
    (part,) = judge_silence([Heard(f"app{n}", 0, 1, 0, 0) for n in range(9)])
    assert part.state.startswith("nothing from app0, app1, app2, app3, app4 and 4 more for 3 h")


def test_status_tells_of_silence_and_of_a_killed_lander(cli: Cli) -> None:
    """An app that sent yesterday at this time and not today, however old its lines are; then the lander is gone."""
    port, yesterday = free_port(), datetime.now(UTC) - timedelta(hours=25)
    with closing(EmbeddedLog(cli.folder / "drainlake-data/log.db")) as log:
        store(log, [Delivery("blog", _frame_at(yesterday), int(yesterday.timestamp() * 1e6))])
    receiver = cli.start("serve", PORT=str(port), DRAINLAKE_DRAINS="shop:s3cret")
    lander = None
    try:
        _until_posted(port, "shop", _frame_at(yesterday))
        lander = cli.start("land", DRAINLAKE_LAND_SECONDS="0.2")
        prom = cli.folder / "drainlake-data/metrics/land.prom"
        deadline = time.monotonic() + 60
        while not (prom.is_file() and 'landed_rows_total{process="land",table="deliveries"} 2.0' in prom.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        parts = _parts(cli)
        assert parts["land"] == ("runs", True)
        assert parts["drains"] == ("nothing from blog for 3 h, unlike yesterday at this time", False)
        assert parts["disk"][1]
        lander.send_signal(signal.SIGKILL)
        lander.wait()
        text = prom.read_text().splitlines()
        marker = "drainlake_stuck_after_timestamp_seconds{"
        prom.write_text(
            "\n".join(f"{line.split(' ')[0]} 1.0" if line.startswith(marker) else line for line in text) + "\n"
        )
        state, well = _parts(cli)["land"]
        assert not well
        assert "is stuck or was killed" in state
    finally:
        for process in (receiver, lander):
            if process is not None:
                process.kill()
                process.communicate()


def test_a_file_that_is_not_whole_is_one_line_among_the_others(inside: Inside) -> None:
    """What the log and the host say is told all the same, and a question says which file it is and what to do."""
    log = inside.folder / "drainlake-data/log.db"
    with closing(EmbeddedLog(log)) as opened:
        store(opened, [Delivery("blog", frame("hello"), 0)])
    inside.good("land", "--once")
    for name in ("deliveries", "lines"):
        (torn,) = log.parent.glob(f"lake/{name}/date=2*/e0-000001.parquet")
        torn.write_bytes(torn.read_bytes()[:-9])
    done = inside.run("status", "--format", "json")
    rows = json.loads(done.stdout)
    assert done.returncode == 1
    assert {row["part"] for row in rows} >= {"log", "behind", "landed", "disk"}
    assert [row["well"] for row in rows if row["part"] == "lake"] == [True, False]
    assert "e0-000001.parquet" in next(row["state"] for row in rows if not row["well"])
    asked = inside.run("sql", "SELECT message FROM lines")
    assert "e0-000001.parquet" in asked.stderr
    assert "Try: restore that file from a backup" in asked.stderr


def test_a_log_that_may_not_be_written_is_not_called_damaged(cli: Cli) -> None:
    """Who followed the advice to move it away would lose its credentials and the lines that wait in it."""
    cli.good("attach", "shop")
    home = cli.folder / "drainlake-data"
    (home / "log.db").chmod(0o400)
    home.chmod(0o500)
    # Root writes everywhere, but for this capability.
    bare = () if os.geteuid() else ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
    done = Cli(cli.folder, command=(*bare, *cli.command)).run("attach", "blog")
    home.chmod(0o700)
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot be used" in done.stderr
    assert "as the user who runs drainlake" in done.stderr


def _frame_at(moment: datetime) -> bytes:
    return frame("hello").replace(b"2026-11-23T13:15:00.512345", moment.strftime("%Y-%m-%dT%H:%M:%S.%f").encode())


def _until_posted(port: int, app: str, body: bytes) -> None:
    """Post a delivery, as soon as the receiver is there."""
    deadline = time.monotonic() + 60
    while _posted(port, app, body) != 204:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _posted(port: int, app: str, body: bytes) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        return post(connection, body, app, "s3cret")
    except ConnectionError:
        return 0
    finally:
        connection.close()


def _parts(cli: Cli) -> dict[str, tuple[str, bool]]:
    done = cli.run("status", "--format", "json")
    return {row["part"]: (row["state"], row["well"]) for row in json.loads(done.stdout)}
