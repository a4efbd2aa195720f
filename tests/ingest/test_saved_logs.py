"""Saved ``heroku logs`` files become bodies again, with nothing lost."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import saved_logs
from ingest.saved_logs import SavedBody, SavedLogError, bodies
from ingest.simulator.framing import counted, split

CASES = [
    json.loads(line)
    for line in Path(__file__).with_name("simulator").joinpath("data/saved_lines.jsonl").read_text("utf-8").splitlines()
]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where the file lies."""
    return tmp_path / "saved.log"


def read(path: Path, content: bytes, target_bytes: int = 102_400) -> list[SavedBody]:
    """The bodies of a file with this content."""
    path.write_bytes(content)
    return list(bodies(path, target_bytes))


@pytest.mark.parametrize("case", CASES, ids=[case["line"][:60] for case in CASES])
def test_a_line_with_a_head_becomes_a_frame_and_any_other_stays_as_it_is(case: dict[str, Any], log: Path) -> None:
    """Only the head decides; colours that the command line client adds are taken off, the app's are kept."""
    raw = case["line"].encode() + b"\n"
    expected = counted(case["frame"].encode()) if case["frame"] else raw
    assert read(log, raw) == [SavedBody(expected, 1, 0)]


def test_blank_lines_are_left_out_and_counted(log: Path) -> None:
    """They carry nothing, but the sum of lines must agree with the file."""
    line = b"2026-11-23T13:15:50Z app[web.1]: a\n"
    (body,) = read(log, b"\n" + line + b"  \t\r\n" + line + b"\n")
    assert (body.lines, body.blank_lines) == (2, 3)
    assert len(split(body.body)) == 2


@pytest.mark.parametrize(("content", "blank"), [(b"", None), (b"\n\n", 2)])
def test_a_file_without_lines_gives_no_frames(content: bytes, blank: int | None, log: Path) -> None:
    """An empty file is no error; a file of blank lines still says how many they were."""
    assert read(log, content) == ([SavedBody(b"", 0, blank)] if blank else [])


def test_gzip_is_recognised_whatever_the_name(log: Path) -> None:
    """People rename files; the first bytes do not lie."""
    line = b"2026-11-23T13:15:50Z app[web.1]: a\n"
    assert read(log, gzip.compress(line * 9)) == read(log, line * 9)


@pytest.mark.parametrize("cut", [9, 30, -4])
def test_damaged_gzip_is_said_in_one_sentence(cut: int, log: Path) -> None:
    """A download that broke off must not look like the whole file."""
    with pytest.raises(SavedLogError, match=r"saved\.log is cut off, it is not whole gzip data"):
        read(log, gzip.compress(b"2026-11-23T13:15:50Z app[web.1]: a\n" * 999)[:cut])


def test_a_byte_order_mark_does_not_cost_the_first_line(log: Path) -> None:
    """Editors on Windows put one in front."""
    (body,) = read(log, b"\xef\xbb\xbf2026-11-23T13:15:50Z app[web.1]: a\n")
    assert split(body.body) == [counted(b"<190>1 2026-11-23T13:15:50Z host app web.1 - a")]


def test_a_last_line_without_newline_is_a_line(log: Path) -> None:
    """Many files end so."""
    (body,) = read(log, b"2026-11-23T13:15:50Z app[web.1]: a\n2026-11-23T13:15:51Z app[web.1]: b")
    assert body.lines == 2
    assert split(body.body)[1].endswith(b" - b")


def test_bodies_keep_to_the_target_and_to_the_order(log: Path) -> None:
    """Each but the last is nearly full."""
    lines = [b"2026-11-23T13:15:50Z app[web.1]: %d\n" % number for number in range(9000)]
    found = read(log, b"".join(lines), 20_000)
    assert all(19_900 < len(body.body) <= 20_000 for body in found[:-1])
    messages = [frame.rpartition(b" ")[2] for body in found for frame in split(body.body)]
    assert messages == [b"%d" % number for number in range(9000)]
    assert sum(body.lines for body in found) == 9000


def test_a_line_over_the_limit_is_cut_and_each_piece_keeps_the_head(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heroku itself cuts long lines so; joined again the pieces are the line."""
    monkeypatch.setattr(saved_logs, "LINE_MAX_BYTES", 1000)
    (body,) = read(
        log, b"2026-11-23T13:15:50Z app[web.1]: " + b"x" * 2500 + b"\n2026-11-23T13:15:51Z app[web.1]: next\n"
    )
    *pieces, last = split(body.body)
    head = b"<190>1 2026-11-23T13:15:50Z host app web.1 - "
    assert all(head in piece for piece in pieces)
    assert b"".join(piece.partition(head)[2] for piece in pieces) == b"x" * 2500
    assert last.endswith(b" - next")
    assert body.lines == len(pieces) + 1


def test_a_huge_line_is_read_in_bounded_memory(log: Path) -> None:
    """64 MB without a newline in a few hundred bytes of gzip must not fill the memory."""
    log.write_bytes(gzip.compress(bytes(64 << 20), 1))
    tracemalloc.start()
    total = sum(len(body.body) for body in bodies(log))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 64 << 20
    assert peak < 12 << 20


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\x1b"), max_size=60)


@given(st.lists(TEXT, max_size=30), st.integers(1, 2000))
def test_messages_come_back_unchanged(
    tmp_path_factory: pytest.TempPathFactory, messages: list[str], target: int
) -> None:
    """Save, frame, cut: the same messages in the same order."""
    path = tmp_path_factory.mktemp("saved") / "x.log"
    path.write_text("".join(f"2026-11-23T13:15:50.1Z app[web.1]: {one}\n" for one in messages), "utf-8", newline="")
    frames = [frame for body in bodies(path, target) for frame in split(body.body)]
    assert [frame.partition(b" host app web.1 - ")[2].decode() for frame in frames] == messages


@given(st.binary(max_size=400))
def test_no_byte_of_any_file_is_lost(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Whatever the file is, all but blank lines, heads and line ends stands in the bodies."""
    path = tmp_path_factory.mktemp("saved") / "x.log"
    path.write_bytes(b"junk " + content)  # never a head, never gzip
    found = list(bodies(path))
    kept = b"".join(line for line in (b"junk " + content).splitlines(keepends=True) if line)
    lines = [line for line in (b"junk " + content).split(b"\n") if line.strip()]
    assert sum(body.lines for body in found) == len(lines)
    assert len(b"".join(body.body for body in found)) <= len(kept)
    assert all(line in b"".join(body.body for body in found) for line in lines)
