"""The real log, real kills: whatever a killed lander leaves, the next one completes the lake."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ingest.eventlog.embedded import EmbeddedLog
from tests.transforms.lines import append_requests, landed_ids
from transforms.landing import land_once
from transforms.locallake import LocalLake

POINTS = ("read", "tail read", "temporary written", "renamed", "before commit", "committed")

LANDER = """
import os, sys
from pathlib import Path
from ingest.eventlog.embedded import EmbeddedLog
from transforms.locallake import LocalLake
from transforms.landing import land_once
home, deadly, nth = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
visits = 0
def fault(point):
    global visits
    visits += point == deadly
    if point == deadly and visits == nth:
        os.kill(os.getpid(), 9)
land_once(EmbeddedLog(home / "log.db"), LocalLake(home / "lake"), file_rows=3, fault=fault)
"""


def land_and_die(home: Path, point: str, nth: int) -> int:
    """Land in a process of its own that kills itself at the nth visit of a point; gives its exit code."""
    command = [sys.executable, "-c", LANDER, str(home), point, str(nth)]
    root = Path(__file__).parents[2]
    return subprocess.run(command, check=False, cwd=root, capture_output=True, timeout=60).returncode


@pytest.mark.parametrize("point", POINTS)
def test_kill_at_any_point_then_landing_again_gives_each_row_once(tmp_path: Path, point: str) -> None:
    """Tails of three dates, two kills in a row at the same point, then one good landing."""
    log, lake = EmbeddedLog(tmp_path / "log.db"), LocalLake(tmp_path / "lake")
    for i in range(3):
        append_requests(log, [i], day=i)
    land_once(log, lake, file_rows=3)
    for i in range(3, 12):
        append_requests(log, [i], day=i % 3)
    nth = 2 if point in ("tail read", "temporary written", "renamed") else 1
    assert land_and_die(tmp_path, point, nth) == -9
    append_requests(log, [12, 13])
    assert land_and_die(tmp_path, point, 1) == -9
    land_once(log, lake, file_rows=3)
    assert landed_ids(lake.path) == list(range(14))
    assert list((lake.path / ".tmp").rglob("*.tmp")) == []
    log.close()


def test_kill_before_the_first_landing_is_complete(tmp_path: Path) -> None:
    """A lake whose sentinels do not name the log yet is filled from the oldest entry and doubles nothing."""
    log, lake = EmbeddedLog(tmp_path / "log.db"), LocalLake(tmp_path / "lake")
    append_requests(log, [0, 1])
    assert land_and_die(tmp_path, "committed", 1) == -9
    append_requests(log, [2])
    land_once(log, lake, file_rows=3)
    assert landed_ids(lake.path) == [0, 1, 2]
    log.close()


def test_lock_of_a_killed_lander_blocks_nobody(tmp_path: Path) -> None:
    """The lock ends with its process, and so does what it was writing."""
    log = EmbeddedLog(tmp_path / "log.db")
    append_requests(log, [0])
    assert land_and_die(tmp_path, "temporary written", 1) == -9
    assert len(list((tmp_path / "lake/.tmp").rglob("*.tmp"))) == 1
    land_once(log, LocalLake(tmp_path / "lake"), file_rows=3)
    assert list((tmp_path / "lake/.tmp").rglob("*.tmp")) == []
    log.close()
