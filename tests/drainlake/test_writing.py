"""The file that a user names for an answer."""

from __future__ import annotations

import os
import stat
import threading
from typing import IO, TYPE_CHECKING

import pytest

from drainlake.writing import write_file

if TYPE_CHECKING:
    from pathlib import Path


def hello(sink: IO[bytes]) -> None:
    """An answer."""
    sink.write(b"hello")


def test_a_pipe_takes_the_answer_and_stays_one(tmp_path: Path) -> None:
    """As /dev/null and /dev/stdout do: with root's rights a file in their place would break the machine."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write_file(pipe, hello)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    reader.join()
    assert read == [b"hello"]
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_link_stays_one(tmp_path: Path) -> None:
    """What it leads to is replaced, also if it is not there yet."""
    (tmp_path / "elsewhere").mkdir()
    link, file = tmp_path / "report.html", tmp_path / "elsewhere" / "of-today.html"
    link.symlink_to(file)
    for _ in range(2):
        write_file(link, hello)
        assert link.readlink() == file
        assert file.read_bytes() == b"hello"
    assert list(file.parent.iterdir()) == [file]


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    """All of a new answer is there, or the old one."""
    file = tmp_path / "answer"
    file.write_bytes(b"old")

    def fail(sink: IO[bytes]) -> None:
        sink.write(b"half")
        raise ValueError("too bad")

    with pytest.raises(ValueError, match="too bad"):
        write_file(file, fail)
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]
