"""Readers need no lock: at every moment of a landing a bare glob gives whole files and each row once."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.transforms.lines import append_requests, landed_ids
from tests.transforms.memory_log import MemoryLog
from transforms.landing import land_once
from transforms.locallake import LocalLake

if TYPE_CHECKING:
    from pathlib import Path

READS_MIN = 30
LANDINGS_MAX = 500

READER = """
import sys, duckdb
from pathlib import Path
lake, out, stop = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
seen = reads = changes = 0
while not stop.exists():
    with duckdb.connect() as connection:
        rows, unique, highest = connection.execute(
            "SELECT count(*), count(DISTINCT request_id), coalesce(max(request_id::BIGINT), -1) "
            f"FROM read_parquet('{lake}/router/**/*.parquet')").fetchall()[0]
    assert rows == unique, f"doubled: {rows} rows, {unique} ids"
    assert rows == highest + 1, f"missing: {rows} rows, highest id {highest}"
    assert rows >= seen, f"shrunk from {seen} to {rows}"
    changes += rows > seen
    seen, reads = rows, reads + 1
    Path(f"{out}.new").write_text(f"{reads} {changes}")
    Path(f"{out}.new").replace(out)
"""


def test_reader_never_sees_a_torn_doubled_or_missing_row(tmp_path: Path) -> None:
    """A reader in another process loops over the glob while tails are rewritten and rotated."""
    log, lake = MemoryLog(), LocalLake(tmp_path / "lake")
    lake.prepare()
    out, stop = tmp_path / "reads", tmp_path / "stop"
    command = [sys.executable, "-c", READER, str(lake.path), str(out), str(stop)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as reader:
        landed = changes = 0
        try:
            for _ in range(LANDINGS_MAX):
                append_requests(log, list(range(landed, landed + 40)))
                landed += 40
                land_once(log, lake, file_rows=300)
                changes = int(out.read_text().split()[1]) if out.exists() else 0
                if changes >= READS_MIN or reader.poll() is not None:
                    break
        finally:
            stop.touch()
            _, errors = reader.communicate(timeout=60)
    assert reader.returncode == 0, errors
    assert changes >= READS_MIN
    assert landed_ids(lake.path) == list(range(landed))
