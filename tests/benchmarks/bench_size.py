"""How many bytes a line of the standard mix is on the wire, in the event log and in the lake.

    python -m tests.benchmarks.bench_size [--quick]

Lines come in 100 KB deliveries, ten to a commit, and are landed at once. Sizes do not depend on the machine, so they
need no baseline. Every row must be in the lake.
"""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from ingest.batch import store
from ingest.deliveries import Delivery
from ingest.eventlog.embedded import PARTITION, EmbeddedLog
from ingest.schema import TABLES
from tests.benchmarks import measure, mix
from transforms.bites import entries_after
from transforms.landing import land_once
from transforms.locallake import LocalLake
from transforms.rewriting import KEPT_SECONDS
from transforms.settling import settle

LINES, QUICK_LINES = 300_000, 30_000
COMMIT = 10
REACH_BYTES = 30.0
NOW_US = 1_795_000_000_000_000


def main(lines: int) -> None:
    """Store, land, weigh."""
    framed = mix.frames(lines)
    bodies = mix.deliveries(framed, 102_400)
    with tempfile.TemporaryDirectory() as folder:
        with closing(EmbeddedLog(Path(folder) / "log.db")) as log:
            for at in range(0, len(bodies), COMMIT):
                taken = bodies[at : at + COMMIT]
                store(log, [Delivery("shop", body, NOW_US, frame_id=f"{at}-{n}") for n, body in enumerate(taken)])
            logged = sum(len(entry.payload) for table in TABLES for entry in entries_after(log, table, PARTITION, -1))
            landed = land_once(log, LocalLake(Path(folder) / "lake"), file_rows=250_000)
        sizes = {file: _on_disk(file) for file in (Path(folder) / "lake").rglob("*.parquet")}
    assert sum(landed.rows.values()) >= lines
    router = sum(size for file, size in sizes.items() if "router" in file.parts)
    for name, value, unit, reach in (
        ("a line on the wire", sum(map(len, framed)) / lines, "bytes/line", None),
        ("a line in the event log", logged / lines, "bytes/line", None),
        ("a line in the lake", sum(sizes.values()) / lines, "bytes/line", None),
        ("a router row in the lake", router / landed.rows["router"], "bytes/row", REACH_BYTES),
    ):
        print(f"{name:28}{value:8.1f} {unit}")
        measure.record(f"size, {name}", value, unit, reach=reach)


def _on_disk(file: Path) -> int:
    """The bytes of a file once no reader can hold its version before: those of that version are a hole then."""
    assert settle(file, time.time() + KEPT_SECONDS)
    return 512 * file.stat().st_blocks


if __name__ == "__main__":
    main(QUICK_LINES if "--quick" in sys.argv else LINES)
