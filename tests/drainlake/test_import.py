"""Old logs through the real command: folders, kills, questions over what came in, and what is refused."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from drainlake.cli import run
from tests.ingest.running import stored

if TYPE_CHECKING:
    from tests.drainlake.conftest import Cli
    from tests.drainlake.inside import Inside

WRONG = json.loads((Path(__file__).parent / "data" / "wrong_files.json").read_text("utf-8"))
CLASSIC = '{time} lb 1.2.3.4:28 10.0.0.1:80 0.000010 {seconds} 0.000020 200 200 0 29 "GET http://h:80/{n} HTTP/1.1"'
ALB = (
    "http {time} app/lb/5 1.2.3.4:28 10.0.0.1:80 0.000 {seconds} 0.000 200 200 34 366"
    ' "GET http://h:80/{n} HTTP/1.1" "-" - - arn "Root=1"'
)
COMBINED = '1.2.3.4 - - [10/Oct/2015:13:55:36 +0000] "GET /{n} HTTP/1.0" 200 7 "-" "-"'

# Appends some batches of a file to the log, then dies as by a power cut in the midst of the next append.
DYING = """
import os, signal, sys
from pathlib import Path
from ingest.eventlog.embedded import EmbeddedLog
from ingest.importing import LogFile

class DyingLog(EmbeddedLog):
    left = int(sys.argv[4])
    def append(self, entries, marks=()):
        if not DyingLog.left:
            os.kill(os.getpid(), signal.SIGKILL)
        DyingLog.left -= 1
        super().append(entries, marks)

home, name, form = sys.argv[1:4]
Path(home).mkdir()
file = LogFile(Path(name), "shop", None if form == "heroku" else form)
file.append_to(DyingLog(Path(home) / "log.db"), file.content(int), 1_795_000_000_000_000, int)
"""


def lines(shape: str, count: int) -> str:
    """Numbered lines of one shape, one a millisecond."""
    return "".join(
        shape.format(time=f"2015-11-07T10:{n // 60_000:02}:{n // 1000 % 60:02}.{n % 1000:03}000Z", seconds="0.1", n=n)
        + "\n"
        for n in range(count)
    )


def rows(cli: Cli | Inside, query: str) -> list[dict[str, Any]]:
    """The rows of a statement."""
    found: list[dict[str, Any]] = json.loads(cli.good("sql", query, "--format", "json"))
    return found


@pytest.mark.parametrize(
    ("kind", "shape", "appends"),
    [("elb", CLASSIC, 1), ("heroku", "{time} heroku[router]: at=info method=GET path=/{n} status=200 service=1ms", 0)],
)
def test_an_import_that_was_killed_goes_on(cli: Cli, kind: str, shape: str, appends: int) -> None:
    """After kill -9 amid an import the second run brings the rest: nothing lost, nothing doubled."""
    count = 20_000
    (cli.folder / "x.log").write_text(lines(shape, count))
    dying = [sys.executable, "-c", DYING, "drainlake-data", "x.log", kind, str(appends)]
    assert subprocess.run(dying, cwd=cli.folder, check=False, timeout=60).returncode == -signal.SIGKILL
    said = cli.good("import", kind, "x.log", "--app", "shop")
    held = int(said.split(" new, ")[1].split(" ")[0].replace(",", ""))
    assert 0 <= held < count
    assert (held > 0) == (appends > 0)
    assert said == f"x.log: {count:,} lines read, {count - held:,} new, {held:,} held already.\n"
    ledger = "(SELECT sum(lines - repeated)::BIGINT FROM deliveries) AS ledger"
    [found] = rows(cli, f"SELECT count(*) AS n, count(DISTINCT path) AS paths, {ledger} FROM router")
    assert found == {"n": count, "paths": count, "ledger": count}


def test_a_folder_is_read_in_the_order_of_its_paths(inside: Inside) -> None:
    """As S3 exports it: a tree of .log.gz; what is no log is left out and told, all others are in."""
    day = inside.folder / "AWSLogs" / "1" / "2015"
    (day / "08").mkdir(parents=True)
    (day / "07").mkdir()
    (day / "08" / "b.log.gz").write_bytes(gzip.compress(lines(ALB, 2).encode()))
    (day / "07" / "c.log").write_text(lines(CLASSIC, 3))
    (day / ".hidden").write_text("Roses are red")
    (inside.folder / "AWSLogs" / "ELBAccessLogTestFile").write_text("Enable AccessLog for ELB: lb")
    (inside.folder / "one.log").write_text(lines(CLASSIC, 1))
    done = inside.run("import", "elb", "AWSLogs", "one.log", "--app", "shop")
    assert done.stdout.splitlines() == [
        "1/2015/07/c.log: 3 lines read, 3 new, 0 held already.",
        "1/2015/08/b.log.gz: 2 lines read, 2 new, 0 held already.",
        "one.log: 1 lines read, 1 new, 0 held already.",
    ]
    assert done.returncode == 1
    assert "Left out: ELBAccessLogTestFile holds no line of a load balancer's access log." in done.stderr
    assert "1 of 4 files were left out" in done.stderr
    assert rows(inside, "SELECT source, route, count(*) AS n FROM router GROUP BY ALL ORDER BY ALL") == [
        {"source": "alb", "route": "/{id}", "n": 2},
        {"source": "elb", "route": "/{id}", "n": 4},
    ]


def test_requests_of_a_load_balancer_overlap_to_the_microsecond(inside: Inside) -> None:
    """Two layouts in one file; a Classic request ends at its arrival plus its times, an ALB one at its stamp."""
    at = "2015-11-07T10:00:0{}Z"
    shaped = [
        CLASSIC.format(time=at.format("0.000000"), seconds="0.999970", n=1),  # [0, 1)
        CLASSIC.format(time=at.format("0.999999"), seconds="0.5", n=2),  # from a microsecond before that end
        ALB.format(time=at.format("2.000000"), seconds="1.000", n=3),  # [1, 2)
        ALB.format(time=at.format("1.250000"), seconds="0.250", n=4),  # [1, 1.25)
        CLASSIC.format(time=at.format("1.100000"), seconds="-1", n=5),  # never answered: no duration
        # Never answered either, but its creation stands at the end: [0.9, 3).
        ALB.format(time=at.format("3.000000"), seconds="-1", n=6) + f' "h" "-" 0 {at.format("0.900000")} "forward"',
    ]
    (inside.folder / "x.log").write_text("\n".join(shaped))
    inside.good("import", "elb", "x.log", "--app", "shop")
    [peak] = json.loads(inside.good("query", "peak_concurrency", "--format", "json"))["rows"]
    assert (peak["peak"], peak["peak_at"]) == (4, "2015-11-07T10:00:01.000000Z")


def test_lines_of_another_kind_are_kept_and_told(inside: Inside) -> None:
    """They are counted in the ledger and under every answer."""
    (inside.folder / "x.log").write_text(lines(COMBINED, 5) + "Roses are red\n\nViolets are blue\n")
    done = inside.run("import", "access", "x.log", "--app", "shop")
    assert done.stdout == "x.log: 7 lines read, 7 new, 0 held already.\n"
    assert "Note: 2 of these are no line of a web server's access log" in done.stderr
    trust = json.loads(inside.good("query", "status_codes", "--format", "json"))["trust"]
    assert (trust["received"], trust["parsed"], trust["defective"]) == (7, 5, 2)


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case["behaviour"])
def test_a_file_of_the_wrong_kind_is_told_in_one_sentence(
    case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what it seems to be and one thing to try; nothing of it is stored."""
    monkeypatch.chdir(tmp_path)
    Path("x.log").write_bytes(case["content"].encode("latin-1"))
    assert run(["--home", "home", "import", case["kind"], "x.log", "--app", "shop"]) == 1
    out, err = capsys.readouterr()
    refused, tries = err.splitlines()[-2:]
    assert refused.startswith("drainlake: x.log ")
    assert case["says"] in refused
    assert case["tries"] in tries
    assert (out, stored(Path("home/log.db"))) == ("", {})


def test_an_empty_folder_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Most likely it is the wrong one."""
    assert run(["--home", str(tmp_path / "home"), "import", "elb", str(tmp_path), "--app", "shop"]) == 1
    assert "holds no file" in capsys.readouterr().err


def test_days_that_retention_would_remove_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An import of old logs and a short memory do not go together."""
    monkeypatch.setenv("DRAINLAKE_KEEP_DAYS", "30")
    (tmp_path / "x.log").write_text(lines(COMBINED, 1))
    assert run(["--home", str(tmp_path / "home"), "import", "access", str(tmp_path / "x.log"), "--app", "shop"]) == 0
    assert "DRAINLAKE_KEEP_DAYS=30 removes older days" in capsys.readouterr().err


def test_files_that_cannot_be_read_are_left_out_and_told(inside: Inside) -> None:
    """All others are in, whatever their names hold; a pipe would give its lines only once, and is read twice."""
    folder = inside.folder / "logs"
    folder.mkdir()
    (folder / "broken").symlink_to("/proc/self/mem")  # a file whose first byte cannot be read
    (folder / "z\x1b[2J.log").write_text(lines(CLASSIC, 2))
    os.mkfifo(inside.folder / "pipe")
    done = inside.run("import", "elb", "logs", "pipe", "--app", "shop")
    assert (done.returncode, done.stdout) == (1, "z[2J.log: 2 lines read, 2 new, 0 held already.\n")
    assert "Left out: broken cannot be read: " in done.stderr
    assert "Left out: pipe is no file." in done.stderr
    assert "2 of 3 files were left out" in done.stderr
    assert rows(inside, "SELECT count(*) AS n FROM router") == [{"n": 2}]


def test_a_folder_that_cannot_be_read_is_told_before_anything_is_taken_in(cli: Cli) -> None:
    """Or its files would be missing without a word."""
    (cli.folder / "logs" / "closed").mkdir(parents=True)
    (cli.folder / "logs" / "x.log").write_text(lines(CLASSIC, 2))
    (cli.folder / "logs" / "closed").chmod(0)
    # Root reads every folder, but for this capability.
    bare = [] if os.geteuid() else ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    command = [*bare, sys.executable, "-m", "drainlake", "import", "elb", "logs", "--app", "shop"]
    done = subprocess.run(command, cwd=cli.folder, check=False, timeout=60, capture_output=True, text=True)
    (cli.folder / "logs" / "closed").chmod(0o700)
    assert (done.returncode, done.stdout) == (1, "")
    assert "closed: Permission denied." in done.stderr
    assert not (cli.folder / "drainlake-data" / "lake").exists()


def test_what_to_try_instead_can_be_pasted_into_a_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also when the name of the file has blanks."""
    monkeypatch.chdir(tmp_path)
    Path("old x.log").write_text(lines(COMBINED, 1))
    assert run(["--home", "home", "import", "elb", "old x.log", "--app", "shop"]) == 1
    assert "Try: drainlake import access 'old x.log' --app shop" in capsys.readouterr().err


def test_the_home_below_a_folder_is_no_log(inside: Inside) -> None:
    """It lies in the working folder by default, where the logs may lie too."""
    (inside.folder / "x.log").write_text(lines(CLASSIC, 2))
    inside.good("import", "elb", ".", "--app", "shop")
    assert inside.good("import", "elb", ".", "--app", "shop") == "x.log: 2 lines read, 0 new, 2 held already.\n"


def test_a_question_on_minutes_brings_them_up_to_date(inside: Inside) -> None:
    """Whoever asks first sees what has landed, also where no report has ever run."""
    inside.good("import", "heroku", str(Path(__file__).parent / "data" / "saved.log"), "--app", "shop")
    answer = json.loads(inside.good("query", "series", "--param", "step_minutes=1440", "--format", "json"))
    assert sum(row["requests"] for row in answer["rows"]) == 1
