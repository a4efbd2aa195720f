"""The parts as real processes: from attach to an answer, restarts, signals, the demo; and what is told of imports."""

from __future__ import annotations

import csv
import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pyarrow.parquet as pq
import pytest

from drainlake.commands.attach import split_url
from drainlake.commands.demo import claimed
from drainlake.errors import WrongUse
from drainlake.supervisor import backoff_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.drainlake.conftest import Cli
    from tests.drainlake.inside import Inside

SAVED = (Path(__file__).parent / "data" / "saved.log").read_text("utf-8")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _until(holds: Callable[[], Any], what: str) -> Any:
    """Wait for something to become true; the limit only ends a test that has failed."""
    deadline = time.monotonic() + 60
    while not (result := holds()):
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.05)
    return result


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@contextmanager
def _running(cli: Cli, *args: str, **env: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A command that receives, once it answers; killed at the end if it still runs."""
    port = _free_port()
    process = cli.start(*args, PORT=str(port), **env)
    try:
        _until(lambda: process.poll() is not None or _answers(port), "the receiver answers")
        assert process.poll() is None, process.communicate()[1]
        yield process, port
    finally:
        for child in psutil.Process(process.pid).children() if process.poll() is None else []:
            child.kill()
        process.kill()
        process.communicate()


def _attach(cli: Cli, app: str, port: int) -> str:
    """Credentials for an app; the drain's URL out of the printed command."""
    line = cli.good("attach", app, "--url", f"http://127.0.0.1:{port}")
    match = re.fullmatch(
        rf'heroku drains:add "(http://{app}:[A-Za-z0-9_-]+@127.0.0.1:{port}/logs)" --app {app}\n', line
    )
    assert match, line
    return match[1]


def _landed(cli: Cli) -> int:
    """How many lines are in the lake, without a command of ours."""
    files = list((cli.folder / "drainlake-data/lake/lines").glob("date=2*/*.parquet"))
    return sum(pq.read_metadata(file).num_rows for file in files)


def _rows(cli: Cli | Inside, query: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(cli.good("sql", query, "--format", "json"))
    return rows


def test_from_attach_to_an_answer(cli: Cli) -> None:
    """A saved log sent to ``up`` is in the lake and answers questions; SIGTERM ends all with 0."""
    (cli.folder / "saved.log").write_text(SAVED)
    with _running(cli, "up", DRAINLAKE_LAND_SECONDS="0.2") as (process, port):
        url = _attach(cli, "shop", port)
        account = json.loads(cli.good("simulate", "--to", url, "--from", "saved.log", "--format", "json"))
        assert account[0]["acknowledged"] == 4
        _until(lambda: _landed(cli) == 2, "the lines landed")
        assert _rows(cli, "SELECT count(*) AS n FROM lines") == [{"n": 2}]
        done = cli.run("query", "h12_timeouts", "--app", "shop", "--format", "json")
        assert [row["timeouts"] for row in json.loads(done.stdout)["rows"]] == [1]
        assert cli.run("status").returncode == 0
        assert (cli.folder / "drainlake-data" / "lake.duckdb").is_file()
        process.send_signal(signal.SIGTERM)
        out, errors = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "")
    assert "plain HTTP" in errors
    assert "drainlake attach APP" in errors
    assert str(cli.folder / "drainlake-data") in errors
    assert "Traceback" not in errors


def test_ctrl_c_ends_up_and_its_children(cli: Cli) -> None:
    """SIGINT to the supervisor alone stops all of them, with exit code 0."""
    with _running(cli, "up") as (process, _):
        children = psutil.Process(process.pid).children()
        assert len(children) == 3
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode == 0
        assert psutil.wait_procs(children, timeout=30)[1] == []


def test_a_dead_child_is_started_again(cli: Cli) -> None:
    """``up`` says that the receiver died and starts it again; it answers on the same port."""
    with _running(cli, "up") as (process, port):
        receiver = next(c for c in psutil.Process(process.pid).children() if "serve" in c.cmdline())
        receiver.kill()
        _until(lambda: not _answers(port), "the receiver is gone")
        _until(lambda: _answers(port), "the receiver is back")
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert "serve ended with signal SIGKILL; it starts again in 1 s." in errors


def test_children_end_with_a_killed_supervisor(cli: Cli) -> None:
    """``kill -9`` of ``up`` leaves nothing behind that holds the port or the lake."""
    with _running(cli, "up") as (process, port):
        children = psutil.Process(process.pid).children()
        process.kill()
        process.wait()
        assert psutil.wait_procs(children, timeout=30)[1] == []
        assert not _answers(port)


def test_a_taken_port_is_refused_at_once(cli: Cli) -> None:
    """``up`` and ``serve`` fail in one sentence instead of starting over and over."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for name in ("up", "serve"):
            done = cli.run(name, PORT=str(port))
            assert done.returncode == 1
            assert done.stderr.splitlines()[0].startswith(f"drainlake: 127.0.0.1:{port} cannot be listened on")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_of_two_that_start_at_once_the_second_says_that_the_port_is_taken(workers: str, cli: Cli) -> None:
    """Both could bind it as long as none listened; which one is late learns so only then, and does not try again."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        serving = cli.start("serve", "--workers", workers, PORT=str(port))
        assert serving.stderr is not None
        said = next(line for line in serving.stderr if "begins" in line)
        while workers == "2" and not psutil.Process(serving.pid).children():
            time.sleep(0.01)
        other.listen()
        said += serving.communicate(timeout=30)[1]
    assert serving.returncode == 1
    taken = [line for line in said.splitlines() if "cannot be listened on" in line]
    assert len(taken) == 1
    assert taken[0].startswith(f"drainlake: 127.0.0.1:{port} cannot be listened on")
    assert not any(word in said for word in ("Traceback", "ended with", "Every child"))


def test_an_address_that_is_not_understood_is_refused_before_lines_come(cli: Cli) -> None:
    """``up`` would otherwise receive for some seconds, and then end with all its parts."""
    done = cli.run("up", PORT=str(_free_port()), DRAINLAKE_NOTIFY="nosuchservice://s3cr3t/place")
    assert done.returncode == 2
    assert "address 1" in done.stderr
    assert "s3cr3t" not in done.stderr
    assert not (cli.folder / "drainlake-data").exists()


@pytest.mark.parametrize("name", ["serve", "land"])
def test_a_part_alone_ends_on_sigterm_with_0(cli: Cli, name: str) -> None:
    """An asked-for stop is no failure."""
    port = _free_port()
    process = cli.start(name, PORT=str(port))
    try:
        sign = cli.folder / "drainlake-data" / ("lake/.locks" if name == "land" else "log.db")
        _until(sign.exists, "it runs")
        _until(lambda: name == "land" or _answers(port), "it answers")
        process.terminate()
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert "Traceback" not in errors


def test_the_lander_goes_on_when_the_making_of_the_catalog_is_killed(cli: Cli) -> None:
    """As the kernel does for want of memory; landing does without ``lake.duckdb``, and so does every question."""
    lander = cli.start("land", DRAINLAKE_LAND_SECONDS="0.2")
    try:

        def maker() -> psutil.Process | None:
            found = psutil.Process(lander.pid).children()
            return next((each for each in found if "spawn_main" in " ".join(each.cmdline())), None)

        _until(maker, "the process that makes the catalog").kill()
        figures = cli.folder / "drainlake-data/metrics/land.prom"
        _until(lambda: re.search(r"^drainlake_rounds_total.* [1-9]", figures.read_text(), re.MULTILINE), "it lands")
    finally:
        lander.terminate()
        said = lander.communicate(timeout=60)[1]
    assert "lake.duckdb could not be made" in said
    assert lander.returncode == 0


def test_the_lander_waits_for_a_lake_that_cannot_be_written_at_its_start(cli: Cli) -> None:
    """A full or read-only disk, a mount that is not there yet: it tries again and again, as it does later on."""
    place = cli.folder / "disk"
    place.touch()
    lander = cli.start("land", DRAINLAKE_LAKE=str(place / "lake"), DRAINLAKE_LAND_SECONDS="0.1")
    try:
        assert lander.stderr is not None
        _until(lambda: "landing failed" in lander.stderr.readline(), "a round that failed")
        place.unlink()
        _until(lambda: list(place.glob("lake/router/*/*.parquet")), "a lake")
        lander.send_signal(signal.SIGTERM)
        assert lander.wait(30) == 0
    finally:
        lander.kill()
        lander.communicate()


def test_credentials_can_be_rotated(cli: Cli) -> None:
    """Two secrets are valid together; after --retire-older only the newest is, and no new one is made."""
    (cli.folder / "saved.log").write_text(SAVED)
    with _running(cli, "serve") as (_, port):
        older, newer = _attach(cli, "shop", port), _attach(cli, "shop", port)
        assert older != newer
        for url in (older, newer):
            cli.good("simulate", "--to", url, "--from", "saved.log")
        done = cli.run("attach", "shop", "--retire-older")
        assert (done.returncode, done.stdout) == (0, "")
        cli.good("simulate", "--to", newer, "--from", "saved.log")
    with _running(cli, "serve") as (_, port):
        refused = cli.run("simulate", "--to", re.sub(r":\d+/", f":{port}/", older), "--from", "saved.log")
        assert refused.returncode == 1
        assert "401" in refused.stderr
    assert older.split(":")[2].split("@")[0].encode() not in b"".join(
        path.read_bytes() for path in (cli.folder / "drainlake-data").glob("log.db*")
    )


def test_configured_drains_need_no_attach(cli: Cli) -> None:
    """DRAINLAKE_DRAINS from the environment or ``.env`` opens the door."""
    (cli.folder / "saved.log").write_text(SAVED)
    (cli.folder / ".env").write_text("DRAINLAKE_DRAINS=shop:one,shop:two\n")
    with _running(cli, "serve") as (_, port):
        cli.good("simulate", "--to", f"http://shop:two@127.0.0.1:{port}/logs", "--from", "saved.log")


def test_an_import_counts_once(inside: Inside) -> None:
    """A file taken in twice, also compressed, adds nothing; another app's is its own; odd lines are kept."""
    (inside.folder / "a.log").write_text(SAVED)
    subprocess.run(["gzip", "-k", "a.log"], cwd=inside.folder, check=True)
    assert inside.good("import", "heroku", "a.log", "--app", "shop") == "a.log: 4 lines read, 4 new, 0 held already.\n"
    for name in ("a.log", "a.log.gz"):
        out = inside.good("import", "heroku", name, "--app", "shop")
        assert out == f"{name}: 4 lines read, 0 new, 4 held already.\n"
    inside.good("import", "heroku", "a.log", "--app", "blog")
    rows = _rows(inside, "SELECT app, count(*) AS n, count(defect) AS defects FROM lines GROUP BY app ORDER BY app")
    assert rows == [{"app": "blog", "n": 2, "defects": 1}, {"app": "shop", "n": 2, "defects": 1}]


def test_hostile_lines_are_harmless_in_csv(inside: Inside) -> None:
    """A line that a spreadsheet would run comes out guarded, the whole way from the log file."""
    (inside.folder / "a.log").write_text(SAVED)
    inside.good("import", "heroku", "a.log", "--app", "shop")
    text = inside.good("sql", "SELECT message FROM lines WHERE process = 'web.1'", "--format", "csv")
    assert list(csv.reader(io.StringIO(text)))[1] == ['\'=HYPERLINK("http://evil")']


def test_a_damaged_file_is_told(inside: Inside) -> None:
    """Broken gzip data is a failure in one sentence."""
    (inside.folder / "a.log.gz").write_bytes(b"\x1f\x8b broken")
    done = inside.run("import", "heroku", "a.log.gz", "--app", "shop")
    assert done.returncode == 1
    assert "not whole gzip data" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_import_beside_a_lander_leaves_the_landing_to_it(cli: Cli) -> None:
    """While ``land`` owns the lake, import only appends, and the lander takes the lines in."""
    (cli.folder / "a.log").write_text(SAVED)
    with _running(cli, "up", DRAINLAKE_LAND_SECONDS="0.2"):
        cli.good("import", "heroku", "a.log", "--app", "shop")
        _until(lambda: _landed(cli) == 2, "the lines landed")
        assert _rows(cli, "SELECT count(*) AS n FROM lines") == [{"n": 2}]


def test_land_once_is_exact_and_repeatable(inside: Inside) -> None:
    """Without a receiver running, ``land --once`` says what it did; the second time it is nothing."""
    assert "0 rows landed" in inside.run("land", "--once").stderr
    (inside.folder / "a.log").write_text(SAVED)
    inside.good("import", "heroku", "a.log", "--app", "shop")
    done = inside.run("land", "--once")
    assert (done.returncode, done.stdout) == (0, "")
    assert "0 rows landed, 0 files" in done.stderr


def test_land_once_removes_days_that_are_too_old(inside: Inside) -> None:
    """Where a CronJob lands there is no other lander that would."""
    (inside.folder / "a.log").write_text(SAVED)
    inside.good("import", "heroku", "a.log", "--app", "shop")
    assert _rows(inside, "SELECT count(*) AS n FROM router")[0]["n"] > 0
    inside.good("land", "--once", DRAINLAKE_KEEP_DAYS="1")
    assert _rows(inside, "SELECT count(*) AS n FROM router")[0]["n"] == 0


def test_tail_shows_what_the_log_holds(cli: Cli) -> None:
    """JSON lines with table and row, narrowed by table and app; Ctrl-C exits 130 quietly."""
    (cli.folder / "a.log").write_text(SAVED)
    cli.good("import", "heroku", "a.log", "--app", "shop")
    process = cli.start("tail", "--from-start", "--table", "router", "--app", "shop")
    try:
        assert process.stdout
        row = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (row["table"], row["app"], row["code"], row["route"]) == ("router", "shop", "H12", None)
    assert row["timestamp"] == "2026-11-22T10:00:00.000001Z"
    assert (process.returncode, errors) == (130, "")


def test_tail_without_a_log_is_a_failure(cli: Cli) -> None:
    """It says where it looked, and makes nothing."""
    done = cli.run("tail")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no event log at" in done.stderr
    assert not list(cli.folder.iterdir())


def test_status_is_well_at_first_and_after_landing(inside: Inside) -> None:
    """Nothing received yet is well, and so is everything landed; a home that is not there is not."""
    lost = inside.run("status", "--format", "json")
    assert (lost.returncode, json.loads(lost.stdout)[0]["part"]) == (1, "home")
    (inside.folder / "drainlake-data").mkdir()
    assert inside.run("status").returncode == 0
    (inside.folder / "a.log").write_text(SAVED)
    inside.good("import", "heroku", "a.log", "--app", "shop")
    parts = {row["part"]: row for row in json.loads(inside.good("status", "--format", "json"))}
    assert parts["behind"]["state"] == "nothing waits to be landed"
    assert all(row["well"] for row in parts.values())


def test_status_exits_1_when_the_lake_is_gone_or_the_log_damaged(inside: Inside) -> None:
    """Rows were landed into a lake that is no more; then a log that is no database."""
    (inside.folder / "a.log").write_text(SAVED)
    inside.good("import", "heroku", "a.log", "--app", "shop")
    home = inside.folder / "drainlake-data"
    (home / "lake").rename(home / "elsewhere")
    done = inside.run("status")
    assert done.returncode == 1
    assert "Not all is well: lake: missing, although rows were landed into it." in done.stderr
    assert "missing" in done.stdout
    for path in home.glob("log.db*"):
        path.write_bytes(os.urandom(8192))
    done = inside.run("status", "--format", "json")
    assert done.returncode == 1
    state = json.loads(done.stdout)[0]["state"]
    assert "cannot be used" in state
    assert f"Not all is well: log: {state}" in done.stderr


def test_a_small_demo_finds_everything(cli: Cli) -> None:
    """The demo finds all incidents, leaves a lake, ignores the user's settings, and replaces only a demo."""
    outside = cli.folder / "outside"
    done = cli.run("demo", "--lines", "20000", "--no-open", DRAINLAKE_LAKE=str(outside), DRAINLAKE_DRAINS="x:y")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✗" not in done.stdout
    assert "12 of 12 incidents found" in done.stdout
    assert not outside.exists()
    page = re.search(r"The report of the day is (\S+)\n", done.stdout)
    assert page
    assert "things are wrong: requests timed out behind /reports/export" in Path(page[1]).read_text("utf-8")
    command = re.search(r"drainlake --home (\S+) query\n", done.stdout)
    assert command
    rows = json.loads(cli.good("--home", command[1], "query", "r14_memory", "--format", "json"))["rows"]
    assert [row["dyno"] for row in rows] == ["web.3"]
    (cli.folder / "mine").mkdir()
    (cli.folder / "mine" / "precious").touch()
    refused = cli.run("demo", "--dir", "mine", "--lines", "20000")
    assert refused.returncode == 2
    assert (cli.folder / "mine" / "precious").exists()


def test_two_demos_do_not_share_a_folder(cli: Cli) -> None:
    """The second would empty the folder of the first, and both would find the lines of both."""
    with claimed(cli.folder / "drainlake-demo"):
        (cli.folder / "drainlake-demo" / "log.db").touch()
        done = cli.run("demo", "--lines", "20000", "--no-open")
        assert (done.returncode, done.stdout) == (1, "")
        assert "Another demo runs in drainlake-demo." in done.stderr
        assert (cli.folder / "drainlake-demo" / "log.db").exists()


def test_backoff_doubles_to_a_minute() -> None:
    """1, 2, 4 … and never more than 60 s."""
    assert [backoff_seconds(n) for n in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]


@pytest.mark.parametrize(
    ("url", "want"),
    [
        ("https://logs.example.com", ("https", "logs.example.com", "/logs")),
        ("logs.example.com", ("https", "logs.example.com", "/logs")),
        ("http://10.0.0.1:8080/", ("http", "10.0.0.1:8080", "/logs")),
        ("https://example.com/drain/logs", ("https", "example.com", "/drain/logs")),
        ("https://[::1]:8443", ("https", "[::1]:8443", "/logs")),
        ("https://", None),
        ("https://x:99999", None),
        ("https://x/?a=b", None),
        ("https://x/`id`", None),
    ],
)
def test_addresses_of_receivers(url: str, want: tuple[str, str, str] | None) -> None:
    """The path defaults to /logs; what could break the printed command is refused."""
    if want is None:
        with pytest.raises(WrongUse):
            split_url(url)
    else:
        assert split_url(url) == want


def test_tail_knows_every_table() -> None:
    """The list kept by hand for a fast --help is the schema's."""
    from drainlake.commands.tail import TABLES
    from ingest.schema import TABLES as SCHEMA

    assert tuple(SCHEMA) == TABLES
