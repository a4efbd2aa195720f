"""`drainlake report FILE…`: a report on access logs alone, through the real command."""

from __future__ import annotations

import gzip
import itertools
import json
import re
import shlex
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.saved_logs import SavedLogError, chunks
from queries import database
from tests.benchmarks import access_log

if TYPE_CHECKING:
    from tests.drainlake.inside import Inside

LINE = '{ip} - - [16/Nov/2026:{at} +0000] "GET {path} HTTP/1.1" {status} {size} "{referrer}" "{agent}"\n'
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
EXTENDED = (
    'nginx_access v=1 ts=1794000000.{n:03} request_id="" method="GET" uri="/app.js" status=200 bytes_sent=1 '
    'body_bytes_sent=50000 content_type="text/javascript" content_encoding="" gzip_ratio="" accept_encoding="gzip, br" '
    'request_length=1 request_time={seconds} upstream_time="" xff="1.2.3.4" referer="" ua="x" end=1\n'
)


def line(**fields: object) -> str:
    """An access line; what is not given is usual."""
    usual = {
        "ip": "1.2.3.4",
        "at": "10:00:00",
        "path": "/",
        "status": 200,
        "size": 100,
        "referrer": "-",
        "agent": CHROME,
    }
    return LINE.format(**{**usual, **fields})


def told(inside: Inside, *args: str) -> dict[str, Any]:
    """The report as JSON."""
    done = inside.run("report", *args, "--format", "json")
    assert done.returncode in {0, 3}, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def rows(report: dict[str, Any], section: str, question: str) -> list[list[Any]]:
    """The rows of an answer."""
    [found] = [each for each in report["sections"] if each["name"] == section]
    [answer] = [each for each in found["answers"] if each["question"] == question]
    answered: list[list[Any]] = answer["rows"]
    return answered


def test_what_a_log_shows_is_counted(inside: Inside) -> None:
    """Requests, visitors, bytes, pages without their query, statuses, links, sites, browsers, crawlers."""
    own = "https://www.shop.example/blog"
    text = [
        line(path="/blog?page=1"),
        line(path="/blog?page=2", ip="9.9.9.9", at="11:00:00"),
        line(path="/a.css", size=5000, referrer=own, at="11:00:01"),
        line(path="/gone", status=404, referrer=own, at="23:59:59"),
        line(agent="Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", ip="8.8.8.8"),
        line(path="/x", status=500, size="-", referrer="https://other.example/thread?id=1"),
    ]
    (inside.folder / "access.log").write_text("".join(text))
    report = told(inside, "access.log")
    assert report["apps"] == ["shop.example"]
    assert rows(report, "traffic", "By day (UTC)") == [["2026-11-16", 6, 2, 1, 5400, 1, 1]]
    assert [row[:2] for row in rows(report, "pages", "Pages")] == [["/blog", 2], ["/", 1], ["/x", 1]]
    assert [row[0] for row in rows(report, "pages", "Files, by bytes sent")] == ["/a.css"]
    assert [row[:2] for row in rows(report, "statuses", "Statuses")] == [[200, 4], [404, 1], [500, 1]]
    assert rows(report, "not-found", "Not found") == [["/gone", 1, 1, 0, own]]
    assert [row[:2] for row in rows(report, "referrers", "Sites")] == [["other.example", 1]]
    assert [row[:2] for row in rows(report, "visitors", "Browsers and programs")] == [["Chrome", 5]]
    assert [row[:3] for row in rows(report, "visitors", "Crawlers")] == [["Googlebot", "search", 1]]
    assert (report["window"]["since"][:16], report["window"]["until"][:16]) == ("2026-11-16T10:00", "2026-11-17T00:00")


def test_the_statements_of_the_page_give_the_same_rows_in_the_lake(inside: Inside) -> None:
    """Once the file is imported, as the page says."""
    access_log.write(inside.folder / "access.log", 3_000)
    with (inside.folder / "access.log").open("a") as file:
        file.writelines(EXTENDED.format(n=n, seconds=n / 100) for n in range(20))
    report = told(inside, "access.log", "--app", "shop")
    inside.good("import", "access", "access.log", "--app", "shop")
    answers = [answer for section in report["sections"] for answer in section["answers"]]
    assert len(answers) > 15
    home = inside.folder / "drainlake-data"
    with database.connect(str(home / "lake"), home / "lake.duckdb") as lake:
        for answer in answers:
            shown = lake.execute(answer["sql"]).fetchall()
            assert len(shown) == answer["row_count"]
            told_rows = json.loads(json.dumps(shown[: len(answer["rows"])], default=str))
            assert told_rows == answer["rows"], answer["question"]
        for finding in report["findings"]:
            assert lake.execute(finding["sql"]).fetchall()


def test_the_commands_of_findings_find_something(inside: Inside) -> None:
    """To dig further is a question that reads access lines, or the lines themselves: after the import it has rows."""
    hostile, own = "/it's\\x1b[31m/$HOME", "https://www.shop.example/blog"
    text = [
        *(line(path="/.env?a=1", size=300), line(path="/x", status=500) * 9, line(path="/blog") * 9),
        *(line(path=hostile, status=404, referrer=own) * 3, line(path="/wp-login.php", status=404) * 9),
        *(line(ip="9.9.9.9", agent="GPTBot/1.0") * 1100, EXTENDED.format(n=1, seconds=1) * 30),
    ]
    (inside.folder / "access.log").write_text("".join(text))
    findings = told(inside, "access.log")["findings"]
    kinds = {"secrets-sent", "failures", "broken-links", "uncompressed", "crawler", "one-address", "probes"}
    assert {finding["kind"] for finding in findings} == kinds
    for number, finding in enumerate(findings):
        first, _, further = finding["command"].partition(" && ")
        for shell_line in [first, further] if number == 0 else [further]:
            words = shlex.split(shell_line)
            assert words[0] == "drainlake"
            said = inside.good(*words[1:])
        assert len(said.splitlines()) > 2, further


def test_files_folders_and_gzip_are_one_log(inside: Inside) -> None:
    """Cut anywhere into files, packed or not, a log gives the same report."""
    access_log.write(inside.folder / "whole.log", 2_000)
    text = (inside.folder / "whole.log").read_bytes().splitlines(keepends=True)
    (inside.folder / "logs").mkdir()
    (inside.folder / "logs" / "access.log.1.gz").write_bytes(gzip.compress(b"".join(text[:900])))
    (inside.folder / "logs" / "access.log").write_bytes(b"".join(text[900:]).rstrip(b"\n"))
    whole, parts = told(inside, "whole.log"), told(inside, "logs")
    assert whole["sections"] == parts["sections"]
    assert whole["trust"] == parts["trust"]


def test_broken_lines_are_counted_and_named(inside: Inside) -> None:
    """They are no requests; blank lines are nothing; the end of a line over 2 MB is no line, whatever it looks like."""
    long = "x" * 2_100_000 + line(path="/forged")
    (inside.folder / "access.log").write_text(line() + "\n  \nbroken\x1b[31m\n" + long + line(path="/after"))
    report = told(inside, "access.log")
    assert [row[:2] for row in rows(report, "pages", "Pages")] == [["/", 1], ["/after", 1]]
    assert report["trust"]["parsed"] == 2
    [note] = [each for each in report["notes"] if "of an access log" in each]
    assert note.startswith("access.log: 3 lines are none of an access log and not counted; the first: “broken[31m”; “x")


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_without_access_lines_is_not_read_to_its_end(inside: Inside, packed: bool) -> None:
    """Nor is one that unpacks to a thousand times its size."""
    text = b"x" * 16_000_000 + b"\n" + line().encode()
    (inside.folder / "access.log").write_bytes(gzip.compress(text, 1) if packed else text)
    done = inside.run("report", "access.log")
    assert (done.returncode, "holds no line of a web server's access log" in done.stderr) == (1, True)


def test_an_empty_log_is_told_so(inside: Inside) -> None:
    """There is nothing to tell, and nothing is wrong."""
    (inside.folder / "access.log").write_text("")
    assert "No lines came in this window." in inside.good("report", "access.log")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[24-Nov-2026 10:00:00 UTC] PHP Warning:  x\n", "error log"),
        ("2026-11-24T10:00:00+00:00 heroku[router]: at=info path=/ status=200\n", "drainlake import heroku wrong.log"),
    ],
)
def test_a_file_of_another_kind_is_left_out(inside: Inside, text: str, said: str) -> None:
    """Alone it is refused; beside others it is named, they are told, and the exit code is 1."""
    (inside.folder / "wrong.log").write_text(text)
    (inside.folder / "access.log").write_text(line())
    alone = inside.run("report", "wrong.log")
    assert (alone.returncode, alone.stdout) == (1, "")
    assert said in alone.stderr
    both = inside.run("report", "wrong.log", "access.log")
    assert both.returncode == 1
    assert "Left out: wrong.log holds no line" in both.stdout
    assert "1 request" in both.stdout


def test_of_a_file_that_is_cut_off_all_whole_lines_count(inside: Inside) -> None:
    """It is said, on the page too, and the exit code is 1."""
    access_log.write(inside.folder / "x", 5_000)
    packed = gzip.compress((inside.folder / "x").read_bytes())[:100_000]
    (inside.folder / "access.log.gz").write_bytes(packed)
    whole = zlib.decompressobj(31).decompress(packed).count(b"\n")
    done = inside.run("report", "access.log.gz", "--format", "json")
    report = json.loads(done.stdout)
    said = f"access.log.gz is cut off, it is not whole gzip data: only its first {whole:,} lines count."
    assert (done.returncode, report["trust"]["parsed"]) == (1, whole)
    assert (done.stderr.splitlines()[-2], report["notes"][-1]) == (f"drainlake: {said}", f"Read in part: {said}")


def test_of_a_file_that_is_cut_off_before_its_first_line_nothing_is_told(inside: Inside) -> None:
    """There is no report then; the exit code is 1."""
    (inside.folder / "access.log.gz").write_bytes(gzip.compress(line().encode())[:60])
    done = inside.run("report", "access.log.gz")
    said = "drainlake: access.log.gz is cut off, it is not whole gzip data."
    assert (done.returncode, done.stdout, done.stderr.splitlines()[-2]) == (1, "", said)


def test_hostile_lines_are_inert_in_the_page(inside: Inside) -> None:
    """Markup, braces of our statements, quotes and control characters stay text, wherever a client can write them."""
    evil = "</script><script>alert(1)</script>{pages}'\u202e"
    lines = [
        line(path=f"/{evil}", agent=evil, referrer=f"https://{evil}.example/{evil}", ip=ip, status=status)
        for ip, status in itertools.product(("1.1.1.1", "evil'{kinds}"), (200, 404, 500))
    ]
    (inside.folder / "access.log").write_text("".join(lines * 5))
    done = inside.run("report", "access.log", "--out", "page.html")
    assert done.returncode in {0, 3}, done.stderr
    page = (inside.folder / "page.html").read_text()
    assert "<script>alert" not in page
    assert "\u202e" not in page
    assert "default-src &#39;none&#39;" in page
    assert re.findall(r"<(?:img|script|link|iframe|a)\b[^>]*\b(?:src|href)=(?!\"#)", page) == []


def test_absurd_sizes_and_times_break_nothing_off(inside: Inside) -> None:
    """Sums of bytes end at the largest number, windows with the last year; the statements of the page do likewise."""
    last = line(size=2**63 - 1).replace("16/Nov/2026:10:00:00", "31/Dec/9999:23:59:59")
    (inside.folder / "access.log").write_text(line() + last * 3)
    report = told(inside, "access.log", "--app", "shop")
    assert [row[3] for row in rows(report, "statuses", "Statuses")] == [2**63 - 1]
    assert report["window"]["until"][:4] == "9999"
    with database.connect(str(inside.folder / "none"), inside.folder / "lake.duckdb") as lake:
        for answer in (answer for section in report["sections"] for answer in section["answers"]):
            assert lake.execute(answer["sql"]).fetchall() is not None


@pytest.mark.parametrize(
    ("host", "app"),
    [("www.shop.example:8080", "shop.example"), ("-rf", "site"), ("a:b", "a"), ("SHOP.example", "shop.example")],
)
def test_the_import_that_is_named_takes_the_name(inside: Inside, host: str, app: str) -> None:
    """A host as links write it is a name of an app only without its port, and hosts are written by clients."""
    (inside.folder / "access.log").write_text(line(path="/blog", referrer=f"https://{host}/blog"))
    report = told(inside, "access.log")
    assert report["apps"] == [app]
    inside.good("import", "access", "access.log", "--app", app)
    assert any(f"drainlake import access access.log --app {app}`" in note for note in report["notes"])


def test_a_time_leaves_out_what_is_outside(inside: Inside) -> None:
    """`--since` is in, `--until` is out."""
    (inside.folder / "access.log").write_text("".join(line(at=f"{hour:02}:00:00") for hour in range(24)))
    report = told(inside, "access.log", "--since", "2026-11-16T05:00", "--until", "2026-11-16T08:00")
    assert [row[:2] for row in rows(report, "traffic", "By hour of the day (UTC)")] == [[5, 1], [6, 1], [7, 1]]


def test_secrets_that_were_sent_are_critical(inside: Inside) -> None:
    """Exit code 3, and what was only looked for is none."""
    sent, probed = line(path="/.env", size=300), line(path="/.git/config", status=404)
    (inside.folder / "access.log").write_text(sent + probed)
    done = inside.run("report", "access.log")
    assert done.returncode == 3
    assert "CRITICAL  Files that hold secrets were sent: /.env, once in all." in done.stdout


def test_lines_with_times_and_encodings_tell_slow_paths_and_what_is_uncompressed(inside: Inside) -> None:
    """Percentiles are nearest ranks of real values."""
    (inside.folder / "access.log").write_text("".join(EXTENDED.format(n=n, seconds=n / 100) for n in range(1, 101)))
    report = told(inside, "access.log")
    assert rows(report, "times", "Paths by their working time") == [["/app.js", 100, 500, 950, 1000, 50.5]]
    assert rows(report, "compression", "Uncompressed") == [["/app.js", "text/javascript", 100, 50_000, 5_000_000]]
    assert "uncompressed" in {finding["kind"] for finding in report["findings"]}


def test_files_are_not_sent(inside: Inside) -> None:
    """`--send` is for reports on the lake."""
    (inside.folder / "access.log").write_text(line())
    done = inside.run("report", "access.log", "--send", DRAINLAKE_NOTIFY=str(inside.folder))
    assert done.returncode == 2


@given(
    parts=st.lists(st.sampled_from([b"\n", b"\r\n", b"a", b"bc", b"x" * 7, b"y" * 40]), max_size=40),
    size=st.integers(8, 32),
    packed=st.booleans(),
)
def test_chunks_hold_whole_lines(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], size: int, packed: bool
) -> None:
    """All bytes come, in order; what is cut is of a line too long for a chunk, and all else is whole lines."""
    text = b"".join(parts)
    path = tmp_path_factory.getbasetemp() / "chunks"
    path.write_bytes(gzip.compress(text) if packed else text)
    found = list(chunks(path, size))
    assert b"".join(chunk for chunk, _, _ in found) == text
    whole = [each for chunk, is_cut, _ in found if not is_cut for each in chunk.splitlines(keepends=True)]
    there = text.splitlines(keepends=True)
    assert all(each in there for each in whole)
    assert [each for each in there if len(each) < size] == [each for each in whole if len(each) < size]


@given(
    parts=st.lists(st.sampled_from([b"\n", b"a", b"bc\n", b"x" * 7, b"y" * 40]), min_size=1, max_size=40),
    size=st.integers(8, 32),
    left=st.floats(0, 1, exclude_max=True),
)
def test_chunks_of_a_file_that_is_cut_off_hold_its_whole_lines(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], size: int, left: float
) -> None:
    """All that can be unpacked comes, but for a last line whose end is missing; then it is said."""
    packed = gzip.compress(b"".join(parts))
    packed = packed[: max(2, int(len(packed) * left))]
    path = tmp_path_factory.getbasetemp() / "chunks.gz"
    path.write_bytes(packed)
    text = zlib.decompressobj(31).decompress(packed)
    found = []
    with pytest.raises(SavedLogError, match="is cut off"):
        found.extend(chunk for chunk in chunks(path, size))
    whole = text[: text.rfind(b"\n") + 1]
    given = b"".join(chunk for chunk, _, _ in found)
    assert text.startswith(given)
    assert given.startswith(whole)
    assert all(is_cut or chunk.endswith(b"\n") for chunk, is_cut, _ in found)
