"""What goes out uncompressed, seen in the access log of a real nginx, and settled by files and by the site itself."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from contextlib import contextmanager, suppress
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest

from drainlake import compression, probing, site_files
from drainlake.errors import WrongUse
from ingest.parsing import Body, parse
from ingest.simulator.framing import counted
from queries import database
from queries.catalog import question
from tests.queries.lakes import write_lake

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import duckdb

    from tests.drainlake.inside import Inside
    from tests.nginx.fixtures import Nginx

TAKES = {"Accept-Encoding": "gzip, deflate, br"}
# What the fix must reach, and what must never be listed: too small, or no text.
TEXTS = ("css/app.css", "js/app.js", "js/menu one.js", "data.json", "page.html", "logo.svg")
OTHERS = ("small.css", "photo.png")
EACH = 3


def ask_for(names: tuple[str, ...], times: int = EACH) -> list[tuple[str, dict[str, str]]]:
    """Requests of a client that takes gzip."""
    return [(f"/{name.replace(' ', '%20')}", TAKES) for name in names for _ in range(times)]


def frames(lines: list[str], day: str) -> bytes:
    """Access lines as Heroku delivers them, a second apart: its redirection strips the last quote."""
    heads = [
        f"<190>1 {day}T{at // 3600:02}:{at // 60 % 60:02}:{at % 60:02}+00:00 host app web.1 - "
        for at in range(len(lines))
    ]
    return b"".join(
        counted((head + line.removesuffix('"') + "\n").encode()) for head, line in zip(heads, lines, strict=True)
    )


def lake_of(folder: Path, *bodies: bytes) -> duckdb.DuckDBPyConnection:
    """A lake with the rows that the real parser reads from these lines."""
    tables = parse([Body("shop", body) for body in bodies], 0).tables
    assert list(tables) == ["access"]
    lake = write_lake(folder / "lake", {"access": tables["access"].to_pylist()})
    return database.connect(str(lake), folder / "lake.duckdb")


def answer(connection: duckdb.DuckDBPyConnection, **parameters: Any) -> dict[str, dict[str, Any]]:
    """The question's rows by path, without the first slash."""
    call = ", ".join(f"{name} := ?" for name in parameters)
    rows = connection.execute(f"FROM uncompressed_assets({call})", list(parameters.values()))
    names = [column[0] for column in rows.description or ()]
    return {row[1].removeprefix("/"): dict(zip(names, row, strict=True)) for row in rows.fetchall()}


def measured(folder: Path) -> str:
    """The facts that ``--assets`` binds."""
    return json.dumps(site_files.compressed(folder, site_files.files(folder)))


@pytest.mark.parametrize(("kind", "evidence"), [("extended", "proved"), ("combined", "likely")])
def test_savings_are_those_of_the_really_compressed_bytes(
    nginx: Nginx, tmp_path: Path, kind: str, evidence: str
) -> None:
    """Each file is found in either log format; with the files at hand the saving is what nginx's own gzip saves."""
    told = nginx.exchange("plain", ask_for(TEXTS + OTHERS))
    with lake_of(tmp_path, frames(getattr(told, kind), "2026-11-23")) as connection:
        graded = answer(connection)
        exact = answer(connection, site_files=measured(nginx.site))
    assert graded.keys() == exact.keys() == set(TEXTS)
    for name in TEXTS:
        size = (nginx.site / name).stat().st_size
        packed = nginx.exchange("fixed", ask_for((name,), 1)).bodies[0]
        assert gzip.decompress(packed) == (nginx.site / name).read_bytes()
        assert (graded[name]["evidence"], graded[name]["requests"]) == (evidence, EACH)
        assert (graded[name]["bytes_each"], graded[name]["bytes_sent"]) == (size, EACH * size)
        assert graded[name]["saving_low_bytes"] <= EACH * (size - len(packed)) <= graded[name]["saving_high_bytes"]
        assert (exact[name]["evidence"], exact[name]["file"]) == ("proved", name)
        assert exact[name]["saving_low_bytes"] == exact[name]["saving_high_bytes"]
        # nginx gives zlib less memory for small files, so its bytes are not quite these.
        assert exact[name]["saving_low_bytes"] == pytest.approx(EACH * (size - len(packed)), rel=0.01)


def test_gzip_on_alone_does_nothing_behind_the_router_and_the_printed_fix_does(nginx: Nginx, tmp_path: Path) -> None:
    """With the router's `Via`, `gzip on` leaves every file as it was; the fix's own lines compress them all."""
    naive = nginx.exchange("naive", ask_for(TEXTS + OTHERS, 1))
    fixed = nginx.exchange("fixed", ask_for(TEXTS + OTHERS, 1))
    with lake_of(tmp_path, frames(naive.extended, "2026-11-23"), frames(fixed.extended, "2026-11-24")) as connection:
        assert answer(connection, until="2026-11-24").keys() == set(TEXTS)
        assert answer(connection, since="2026-11-24") == {}


@pytest.mark.parametrize("kind", ["extended", "combined"])
def test_after_the_fix_the_same_question_shows_that_the_bytes_fell(nginx: Nginx, tmp_path: Path, kind: str) -> None:
    """Asked about both days, the rows end with the first; about the day after, none is left."""
    raw = nginx.exchange("plain", ask_for(TEXTS, 10))
    fixed = nginx.exchange("fixed", ask_for(TEXTS, 10))
    before, after = (frames(getattr(each, kind), day) for each, day in ((raw, "2026-11-23"), (fixed, "2026-11-24")))
    with lake_of(tmp_path, before, after) as connection:
        both = answer(connection)
        assert both.keys() == set(TEXTS)
        assert {row["requests"] for row in both.values()} == {10}
        assert {row["last_at"].day for row in both.values()} == {23}
        assert answer(connection, since="2026-11-24") == {}


def test_what_is_compressed_all_along_is_refuted_by_the_files(nginx: Nginx, tmp_path: Path) -> None:
    """The ordinary log shows one size for each file too: likely, until the file tells that it is the packed one."""
    fixed = nginx.exchange("fixed", ask_for(("css/app.css", "js/app.js")))
    with lake_of(tmp_path, frames(fixed.combined, "2026-11-24")) as connection:
        assert {row["evidence"] for row in answer(connection).values()} == {"likely"}
        settled = answer(connection, site_files=measured(nginx.site)).values()
    assert [(row["evidence"], row["saving_high_bytes"]) for row in settled] == [("refuted", 0)] * 2


def test_only_whole_answers_to_clients_that_take_an_encoding_count(nginx: Nginx, tmp_path: Path) -> None:
    """HEAD, parts, unchanged files, missing ones, and clients without gzip save nothing."""
    path, since = "/js/app.js", formatdate((nginx.site / "js/app.js").stat().st_mtime, usegmt=True)
    told = [
        nginx.exchange("plain", [(path, TAKES)], "HEAD"),
        nginx.exchange(
            "plain",
            [
                (path, TAKES | {"Range": "bytes=0-9999"}),
                (path, TAKES | {"If-Modified-Since": since}),
                ("/none.js", TAKES),
                (path, {}),
                (path, {"Accept-Encoding": "gzip;q=0"}),
            ],
        ),
    ]
    with lake_of(tmp_path, *(frames(each.extended, "2026-11-23") for each in told)) as connection:
        statuses = connection.execute("SELECT status FROM access ORDER BY ALL").fetchall()
        assert [status for (status,) in statuses] == [200, 200, 200, 206, 304, 404]
        assert answer(connection) == {}


def test_assets_and_probe_settle_the_evidence_from_end_to_end(nginx: Nginx, inside: Inside) -> None:
    """Saved lines are imported; files and site settle the rows; the fix is printed with them, and not without."""
    told = nginx.exchange("plain", ask_for(TEXTS))
    saved = "".join(
        f"2026-11-23T10:{at:02}:00.0+00:00 app[web.1]: {line[:-1]}\n" for at, line in enumerate(told.combined)
    )
    (inside.folder / "saved.log").write_text(saved)
    inside.good("import", "heroku", "saved.log", "--app", "shop")

    def settled(*options: str) -> tuple[dict[str, dict[str, Any]], str]:
        done = inside.run("query", "uncompressed_assets", "--format", "json", *options)
        assert done.returncode == 0, done.stderr
        return {row["path"].removeprefix("/"): row for row in json.loads(done.stdout)["rows"]}, done.stderr

    plain, says = settled("--assets", str(nginx.site), "--probe", nginx.url("plain"))
    assert {(row["evidence"], row["probe"]) for row in plain.values()} == {("proved", "uncompressed")}
    assert {row["file"] for row in plain.values()} == set(TEXTS)
    assert f"Asked {nginx.url('plain')[:16]}" in says
    assert "gzip_proxied any;" in says
    # The site is fixed by now, and its uncompressed size tells that the lines were of uncompressed answers.
    fixed, _ = settled("--probe", nginx.url("fixed"))
    assert {(row["evidence"], row["probe"]) for row in fixed.values()} == {("proved", "gzip")}
    for name, row in fixed.items():
        assert row["saving_low_bytes"] == pytest.approx(plain[name]["saving_low_bytes"], rel=0.01)
    nothing, says = settled("--since", "2027-01-01", "--probe", nginx.url("plain"))
    assert nothing == {}
    assert "gzip_proxied" not in says
    assert inside.good("query", "uncompressed_assets", "-h").endswith(question("uncompressed_assets").fix)


def test_the_probe_asks_the_named_host_only_and_says_what_it_could_not_learn(nginx: Nginx) -> None:
    """A redirect is not followed, a stranger's path stays in the request line, and failures are told."""
    site = probing.Site.parse(nginx.url("fixed"))
    before = nginx.lines("plain")["extended"]
    hostile = "/x\r\nHost: evil.example\r\n\r\n.css"
    paths = ["/css/app.css", "/moved.css", "/none.css", "/small.css", "/js/menu one.js", hostile]
    shown: list[int] = []
    facts = {fact["path"]: fact for fact in probing.ask_all(site, paths, shown.append)}
    assert [facts[path]["answer"] for path in paths] == [
        "gzip",
        "status 302",
        "status 404",
        "900 bytes only",
        "gzip",
        "status 404",
    ]
    assert facts["/css/app.css"]["plain_bytes"] == 24_000
    assert shown == [1, 2, 3, 4, 5, 6]
    assert nginx.lines("plain")["extended"] == before
    assert probing.AGENT in nginx.lines("fixed")["extended"][-1]


@contextmanager
def misbehaving(answer: bytes, forever: bytes = b"") -> Iterator[str]:
    """A server that sends these bytes to everybody and hangs up, or never comes to an end; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    client.recv(1 << 16)
                    with suppress(OSError):  # a client that has seen enough
                        client.sendall(answer)
                        while forever:
                            client.sendall(forever)
                            time.sleep(0.02)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"a" * 2000, "cut off"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: \x1b[31mrot13\r\n\r\n" + b"a" * 2000, "encoding \x1b[31mrot13"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * (21 << 20), "too large"),
        (b"nonsense\r\n\r\n", "no answer (BadStatusLine)"),
    ],
    ids=["cut off", "an unknown encoding", "too large", "no HTTP"],
)
def test_a_site_that_misbehaves_settles_nothing(sent: bytes, says: str) -> None:
    """Whatever a server sends, the probe ends and says why it does not know."""
    with misbehaving(sent) as url:
        fact, _ = probing.ask(probing.Site.parse(url), "/a.css")
    assert fact == {"path": "/a.css", "answer": says, "plain_bytes": None, "compressed_bytes": None}


@pytest.mark.parametrize(
    ("sent", "forever"),
    [
        (b"HTTP/1.1 200 OK\r\nX: ", b"a"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"a"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0", b"0"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: a\r\n"),
    ],
    ids=["a header", "interim answers", "a body", "the size of a chunk", "trailers"],
)
def test_an_answer_that_never_ends_is_no_answer(monkeypatch: pytest.MonkeyPatch, sent: bytes, forever: bytes) -> None:
    """However little comes at a time, an answer has its seconds in all, and the site counts as silent."""
    monkeypatch.setattr(probing, "ANSWER_SECONDS", 0.3)
    with misbehaving(sent, forever) as url:
        fact, answered = probing.ask(probing.Site.parse(url), "/a.css")
    assert (fact["answer"], answered) == ("no answer in time", False)


def test_a_silent_site_is_left_alone_after_three_paths() -> None:
    """Nobody waits fifty times for a host that is not there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    paths = [f"/{number}.css" for number in range(9)]
    facts = list(probing.ask_all(probing.Site.parse(f"http://127.0.0.1:{port}"), paths, lambda _: None))
    assert [fact["answer"] for fact in facts] == ["no answer (ConnectionRefusedError)"] * 3


@pytest.mark.parametrize(
    "text",
    [
        "shop.example.com",
        "ftp://shop.example.com",
        "https://",
        "https://u:p@x",
        "https://x/path",
        "https://x?q",
        "https://x:0x",
        "https://x:0",
        "https://x y",
        "https://x\x7f",
        "https://x:65536",
    ],
)
def test_only_a_site_can_be_probed(text: str) -> None:
    """A scheme, a host and perhaps a port; nothing that would send a password or a path along."""
    with pytest.raises(ValueError, match=r"must be a site|[Pp]ort"):
        probing.Site.parse(text)


def test_a_folder_is_read_within_bounds(tmp_path: Path) -> None:
    """Small files, links that lead out, what is never served, and names that are no text are left out."""
    site = tmp_path / "site"
    for name in ("a.css", "sub/b.js", "node_modules/c.js", ".git/d.js", ".well-known/e.json"):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_bytes(b"x" * 2000)
    (site / "small.css").write_bytes(b"x" * 1399)
    (tmp_path / "secret.css").write_bytes(b"x" * 2000)
    (site / "out.css").symlink_to(tmp_path / "secret.css")
    (site / "in.css").symlink_to(site / "a.css")
    (site / "loop").symlink_to(site)
    (site / "gone.css").symlink_to(site / "nowhere")
    (site / "bad\udcff.css").write_bytes(b"x" * 2000)
    found = list(site_files.files(site))
    assert [file["path"] for file in found] == ["a.css", "in.css", ".well-known/e.json", "sub/b.js"]
    (site / "sub/b.js").unlink()
    sizes = [len(gzip.compress(b"x" * 2000, site_files.LEVEL))] * 3
    assert [file["compressed_bytes"] for file in site_files.compressed(site, found)] == sizes


def test_a_site_is_not_asked_for_the_paths_of_several_apps() -> None:
    """A site belongs to one app: the others' paths would be refuted by chance."""
    rows = [("blog", "/a.css", None), ("shop", "/a.css", None)]
    with pytest.raises(WrongUse, match="2 apps") as refused:
        compression.parameters(lambda _: rows, None, probing.Site.parse("http://127.0.0.1:9"))
    assert refused.value.remedy == "--app blog"


def test_limits_of_the_folder_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the first files are looked at, and only so many bytes compressed; both are said."""
    for name in ("a.css", "b.css", "c.css"):
        (tmp_path / name).write_bytes(b"x" * 2000)
    monkeypatch.setattr(site_files, "FILES_MAX", 2)
    monkeypatch.setattr(site_files, "ALL_MAX_BYTES", 3000)
    rows = [("shop", "/a.css", "a.css"), ("shop", "/b.css", "b.css")]
    found = compression.parameters(lambda _: rows, tmp_path, None)
    assert [file["path"] for file in json.loads(found["site_files"])] == ["a.css"]
    says = capsys.readouterr().err
    assert "the first 2 files were looked at" in says
    assert "Compressed 1 of 2 files that paths match" in says
