"""Landing under limits: a full disk and a small memory."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from ingest.eventlog.embedded import EmbeddedLog
from tests.transforms.backlog import append, append_backlog, router_rows
from tests.transforms.lines import append_requests, landed_ids
from tests.transforms.memory_log import MemoryLog
from transforms import parquet
from transforms.landing import land_once
from transforms.locallake import LocalLake

RSS_MAX_MB = 400
BACKLOG_ROWS = 2_000_000
FLOOD_ROWS = 100_000

# The peak of this program alone: ru_maxrss of a child begins at what its parent had when it was started.
LANDER = """
import sys
from pathlib import Path
from ingest.eventlog.embedded import EmbeddedLog
from transforms.locallake import LocalLake
from transforms.landing import land_once
landed = land_once(EmbeddedLog(Path(sys.argv[1])), LocalLake(sys.argv[2]), file_rows=250_000)
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(landed.rows["router"], int(peak) // 1024)
"""


def land(home: Path) -> tuple[int, int]:
    """The router rows that a process of its own landed, and the most memory it held in MB."""
    command = [sys.executable, "-c", LANDER, str(home / "log.db"), str(home / "lake")]
    root = Path(__file__).parents[2]
    answer = subprocess.run(command, check=True, cwd=root, capture_output=True, text=True, timeout=120)
    landed, peak_mb = map(int, answer.stdout.split())
    return landed, peak_mb


def test_long_backlog_lands_in_little_memory(tmp_path: Path) -> None:
    """Two million router rows land in a process that stays under 400 MB."""
    log = EmbeddedLog(tmp_path / "log.db")
    append_backlog(log, BACKLOG_ROWS)
    log.close()
    landed, peak_mb = land(tmp_path)
    assert landed == BACKLOG_ROWS
    assert peak_mb < RSS_MAX_MB


def test_flood_of_long_unlike_paths_lands_in_little_memory(tmp_path: Path) -> None:
    """The same for paths that a scanner makes up, each of many segments and none twice: naming them takes most."""
    log = EmbeddedLog(tmp_path / "log.db")
    number = pl.int_range(FLOOD_ROWS).cast(pl.UInt64)
    path = pl.format("/a{}%C3%A4/b{}-x/c{}.html/d{}.json/e{}/f{}-ab-c/g{}/h{}/{}", *(number.hash(k) for k in range(9)))
    append(log, router_rows(FLOOD_ROWS).with_columns(path=path))
    log.close()
    landed, peak_mb = land(tmp_path)
    assert landed == FLOOD_ROWS
    assert peak_mb < RSS_MAX_MB


def test_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk is full in the middle of a file, the old tail stays, and landing recovers."""
    log, lake = MemoryLog(), LocalLake(tmp_path / "lake")
    append_requests(log, [1])
    land_once(log, lake, file_rows=10)
    append_requests(log, [2])
    whole = parquet.write_next

    def half(rows: pl.DataFrame, previous: Path, path: Path, metadata: dict[str, str], now: float) -> None:
        whole(rows, previous, path, metadata, now)
        path.write_bytes(path.read_bytes()[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(parquet, "write_next", half)
        with pytest.raises(OSError, match="No space left"):
            land_once(log, lake, file_rows=10)
    assert landed_ids(lake.path) == [1]
    assert list((lake.path / ".tmp").rglob("*.tmp")) == []
    land_once(log, lake, file_rows=10)
    assert landed_ids(lake.path) == [1, 2]


LIMITED = """
import resource, sys
from tests.transforms.lines import append_requests
from tests.transforms.memory_log import MemoryLog
from transforms.locallake import LocalLake
from transforms.landing import land_once
log = MemoryLog(identity="one")
append_requests(log, list(range(20_000)))
lake = LocalLake(sys.argv[1])
lake.prepare()
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
try:
    land_once(log, lake, file_rows=50_000)
except Exception as error:
    print("failed:", error)
assert log.position("router", "e0") == -1
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert not list((lake.path / ".tmp").rglob("*.tmp"))
assert not lake.files("router", "2026-11-20", "e0")
print(land_once(log, lake, file_rows=50_000).rows["router"])
"""


def test_a_write_that_the_system_refuses_leaves_nothing(tmp_path: Path) -> None:
    """The same with a limit of the operating system: refused, cleaned up, then landed."""
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "lake")]
    root = Path(__file__).parents[2]
    answer = subprocess.run(command, check=False, cwd=root, capture_output=True, text=True, timeout=60)
    lines = answer.stdout.splitlines()
    assert answer.returncode == 0, answer.stderr
    assert lines[0].startswith("failed:")
    assert lines[1:] == ["20000"]
