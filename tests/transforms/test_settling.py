"""What rewritten files keep for late readers does not stay on the disk."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from ingest.eventlog.contract import NewEntry
from ingest.eventlog.entry import encode
from ingest.schema import LINES
from tests.transforms.memory_log import MemoryLog
from transforms import rewriting, settling
from transforms.landing import land_once
from transforms.locallake import LocalLake

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def entry(first: int, rows: int = 4000) -> NewEntry:
    """Lines that compress badly, so that their bytes show on the disk."""
    start = 1_795_000_000_000_000 + first
    times = pa.array(range(start, start + rows), pa.timestamp("us", "UTC"))
    texts = [f"{hash((first, row)):x}{hash((row, first)):x}" for row in range(rows)]
    columns = {"timestamp": times, "app": ["shop"] * rows, "process": ["web.1"] * rows, "message": texts}
    batch = pa.RecordBatch.from_pydict({**columns, "defect": [None] * rows}, schema=LINES.arrow)
    return NewEntry("lines", "shop", rows, encode(batch))


def disk_bytes(path: Path) -> int:
    """Bytes a file really takes."""
    return path.stat().st_blocks * 512


def test_space_of_earlier_versions_is_freed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while a rewritten file takes what its live rows take, and reads as before."""
    log, lake = MemoryLog(), LocalLake(tmp_path / "lake")
    for number in range(3):
        log.append([entry(number * 4000)])
        land_once(log, lake, file_rows=250_000)
    (file,) = (tmp_path / "lake/lines").rglob("e0-*.parquet")
    before, rows = disk_bytes(file), pq.read_table(file)
    live = sum(
        pq.read_metadata(file).row_group(0).column(column).total_compressed_size for column in range(rows.num_columns)
    )
    assert before > 1.5 * live
    later = time.time() + rewriting.KEPT_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert land_once(log, LocalLake(tmp_path / "lake"), file_rows=250_000).files == 0
    assert disk_bytes(file) < 1.1 * live + 65_536
    assert pq.read_table(file) == rows


def test_space_that_a_reader_may_look_up_is_kept(tmp_path: Path) -> None:
    """A version that was replaced just now stays readable for those who hold its footer."""
    log, lake = MemoryLog(), LocalLake(tmp_path / "lake")
    for number in range(2):
        log.append([entry(number * 4000)])
        land_once(log, lake, file_rows=250_000)
    (file,) = (tmp_path / "lake/lines").rglob("e0-*.parquet")
    octets = file.read_bytes()
    assert not settling.settle(file, time.time())
    assert file.read_bytes() == octets
