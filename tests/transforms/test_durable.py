"""How a file appears, where it cannot."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from transforms.durable import publish


def test_a_full_disk_is_told_with_the_file_that_it_was_for(tmp_path: Path) -> None:
    """The system names none, and "no space left" alone does not say on which disk. Nothing stays behind."""

    def write(_: Path) -> None:
        with Path("/dev/full").open("wb", buffering=0) as file:
            file.write(b"row")

    with pytest.raises(OSError, match=r"report\.html") as refused:
        publish(tmp_path / "report.html", tmp_path / ".tmp", write)
    assert refused.value.errno == errno.ENOSPC
    assert list(tmp_path.rglob("*.*")) == [tmp_path / ".tmp"]
