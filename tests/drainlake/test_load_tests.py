"""The options of the load test questions, the files they write, and what they refuse."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from drainlake.errors import Failure
from drainlake.load_tests import MARKER, publish_files
from tests.drainlake.slow_app import SlowApp, router_line
from tests.queries.lakes import instant

if TYPE_CHECKING:
    from pathlib import Path

    from tests.drainlake.inside import Inside

BEGAN = instant("2026-11-23T10:00:00Z")
PLAN = ("query", "load_test_plan", "--app", "shop")


@pytest.fixture
def saved(inside: Inside) -> Inside:
    """A home with a few requests of one page in its lake."""
    lines = [router_line(BEGAN, "/garden?page=1", 100, number=at) for at in range(4)]
    (inside.folder / "saved.log").write_text("".join(lines))
    inside.good("import", "heroku", "saved.log", "--app", "shop")
    return inside


def test_a_written_plan_runs_and_stops_itself(saved: Inside) -> None:
    """ab.sh as it was written sends to the named host alone, and ends at the first step that has errors."""
    if shutil.which("ab") is None:
        pytest.skip("ab is not installed (apt-get install apache2-utils)")
    with SlowApp(work_seconds=0.001, error_every=5) as app:
        host = f"http://127.0.0.1:{app.port}"
        printed = saved.good(*PLAN, "--host", host, "--write", "plan", "--param", "test_seconds=1", "--format", "json")
        (row,) = json.loads(printed)["rows"]
        assert row["command"] == f"ab -t 1 -n 80 -c 4 -s 30 -l '{host}/garden?page=1'"
        done = subprocess.run(
            ["bash", saved.folder / "plan/ab.sh"], capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 1
    assert "Stopped: more than 1 % errors" in done.stderr
    assert done.stdout.count("== page at") == 1
    assert "cold: " in done.stdout
    assert "Non-2xx responses:" in (saved.folder / "plan/ab-page-1x.txt").read_text()


def test_what_ab_printed_stands_beside_the_log(saved: Inside) -> None:
    """`--ab FILE` hands the whole text to the verdict."""
    (saved.folder / "ab.txt").write_text(
        "Document Path:          /garden?page=1\nConcurrency Level:      4\nComplete requests:      9\n"
        "Failed requests:        0\nRequests per second:    12.50 [#/sec] (mean)\n"
    )
    test = ("--since", "2026-11-23T09:00", "--param", "plan_since=2026-11-23", "--param", "plan_until=2026-11-24")
    printed = saved.good("query", "load_test_verdict", *test, "--ab", "ab.txt", "--format", "json")
    (row,) = json.loads(printed)["rows"]
    assert [row[name] for name in ("verdict", "requests", "ab_per_second", "ab_concurrency", "ab_requests")] == [
        "held", 4, 12.5, 4, 9,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("query", "latency", "--host", "https://a.example"), "--host is not for latency."),
        (("query", "load_test_verdict", "--write", "x"), "--write is not for load_test_verdict."),
        (("query", "load_test_plan", "--ab", "big.txt"), "--ab is not for load_test_plan."),
        (("query", "load_test_plan", "--write", "x"), "--write needs the host to test."),
        (("query", "load_test_plan", "--host", "https://a.example/x"), "must be a scheme and a host"),
        (("query", "load_test_verdict", "--since", "1h", "--ab", "big.txt"), "big.txt is over 1 MiB"),
    ],
)
def test_what_makes_no_sense_is_wrong_use(inside: Inside, arguments: tuple[str, ...], sentence: str) -> None:
    """One sentence, exit code 2, and no folder was made."""
    (inside.folder / "big.txt").write_bytes(b"x" * 1_048_577)
    done = inside.run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert not (inside.folder / "x").exists()


def test_nothing_to_plan_from_writes_nothing(inside: Inside) -> None:
    """An empty lake has no plan to write: a failure, and no folder."""
    done = inside.run(*PLAN, "--host", "https://a.example", "--write", "plan")
    assert done.returncode == 1
    assert "A plan is of one app" in done.stderr
    assert not (inside.folder / "plan").exists()


def names(folder: Path) -> set[str]:
    """What is in a folder."""
    return {path.name for path in folder.iterdir()}


def test_a_plan_replaces_the_one_before(tmp_path: Path) -> None:
    """New files come, old ones change or go, and what the tools printed there stays."""
    publish_files(tmp_path, {"ab.sh": "old\n", "vegeta-heavy.txt": "GET\n"}, ("ab.sh",))
    (tmp_path / "ab-page-1x.txt").write_text("printed")
    publish_files(tmp_path, {"ab.sh": "new\n", "k6.js": "k6\n"}, ("ab.sh",))
    assert names(tmp_path) == {"ab.sh", "k6.js", "ab-page-1x.txt", MARKER}
    assert (tmp_path / "ab.sh").read_text() == "new\n"
    assert (tmp_path / "ab.sh").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("kind", ["foreign", "changed", "link", "folder"])
def test_what_is_not_ours_stays_and_nothing_is_written(tmp_path: Path, kind: str) -> None:
    """A file of somebody, one that was changed since, a link or a folder in the way of the last file stops all."""
    folder = tmp_path / "plan"
    publish_files(folder, {"a.sh": "old\n", **({"k6.js": "old\n"} if kind == "changed" else {})})
    if kind == "link":
        (folder / "k6.js").symlink_to(tmp_path / "nowhere")
    elif kind == "folder":
        (folder / "k6.js").mkdir()
    else:
        (folder / "k6.js").write_text("mine\n")
    with pytest.raises(Failure, match=r"k6\.js is no file of an earlier plan"):
        publish_files(folder, {"a.sh": "new\n", "k6.js": "new\n"})
    assert (folder / "a.sh").read_text() == "old\n"
    assert names(folder) == {"a.sh", "k6.js", MARKER}


def test_a_plan_that_was_cut_short_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a kill leaves between two files is known as ours at the next try."""
    from drainlake import load_tests

    publish_files(tmp_path, {"a.sh": "old\n", "b.sh": "old\n"})
    whole = load_tests._publish

    for cut in range(4):
        left = iter([True] * cut)

        def some(path: Path, text: str, mode: int = 0o644, left: object = left) -> None:
            if next(left, None) is None:  # type: ignore[call-overload]
                raise KeyboardInterrupt
            whole(path, text, mode)

        monkeypatch.setattr(load_tests, "_publish", some)
        with pytest.raises(KeyboardInterrupt):
            publish_files(tmp_path, {"a.sh": f"new {cut}\n", "b.sh": f"new {cut}\n"})
        assert all(path.read_text().endswith("\n") for path in tmp_path.glob("*.sh"))
    monkeypatch.setattr(load_tests, "_publish", whole)
    publish_files(tmp_path, {"a.sh": "last\n", "b.sh": "last\n"})
    assert {path.read_text() for path in tmp_path.glob("*.sh")} == {"last\n"}


def test_a_marker_of_another_make_is_refused(tmp_path: Path) -> None:
    """A marker that is no plan's, or one that names files elsewhere, takes nothing away."""
    (tmp_path / MARKER).write_text("[1, 2]")
    with pytest.raises(Failure, match="cannot be read"):
        publish_files(tmp_path, {"a.sh": "a\n"})
    (tmp_path / "piped").mkdir()
    os.mkfifo(tmp_path / "piped" / MARKER)  # reading it would wait for a writer
    with pytest.raises(Failure, match="cannot be read"):
        publish_files(tmp_path / "piped", {"a.sh": "a\n"})
    outside = tmp_path / "outside.txt"
    outside.write_text("a\n")
    folder = tmp_path / "plan"
    publish_files(folder, {"old.sh": "a\n"})
    marked = json.loads((folder / MARKER).read_text())
    (folder / MARKER).write_text(json.dumps({"../outside.txt": marked["old.sh"]}))
    publish_files(folder, {"a.sh": "a\n"})
    assert outside.exists()
