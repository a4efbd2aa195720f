"""Bytes of all kinds through a scanner that was compiled with checks of its memory: the first wrong access ends it.

LD_PRELOAD=… python -m tests.ingest.sanitized LIBRARY [rounds]
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np

from ingest import scanner
from ingest.text import Text
from tests.benchmarks import mix
from tests.ingest.test_reference import body_of, load
from tests.ingest.ways import PIECES


def mutated(pick: random.Random, body: bytes) -> bytes:
    """Some bytes dropped, doubled, flipped or put in; the counts stay as they were, or are made right again."""
    octets = bytearray(body)
    for _ in range(pick.randint(0, 4)):
        place = pick.randint(0, len(octets))
        octets[place : place + pick.randint(0, 3)] = pick.choice(
            [*PIECES, pick.randbytes(2), octets[place : place + 9]]
        )
    return bytes(octets) if pick.random() < 0.02 else recounted(bytes(octets))


def recounted(body: bytes) -> bytes:
    """The body as one frame of the right count, so that what it holds is looked at."""
    head = body.find(b"<")
    frame = body[max(head, 0) :]
    return b"%d %b" % (len(frame), frame)


def main(library: Path, rounds: int) -> None:
    """Scan until the end; a wrong access ends the process before."""
    scanner.LIBRARY = library
    assert scanner.load() is not None
    pick = random.Random(7)
    bodies = [body_of(param.values[0]) for param in load()] + mix.deliveries(mix.frames(400), 700)
    rows = 0
    for _ in range(rounds):
        some = [mutated(pick, pick.choice(bodies)) for _ in range(pick.randint(1, 4))]
        end = np.cumsum([len(body) for body in some], dtype=np.int64)
        for scan_all in (scanner.scan, scanner.scan_access_lines):
            scan = scan_all(Text(b"".join(some)), end, ["shop"] * len(some))
            for table in scan.tables.values() if scan else ():
                table.validate(full=True)
                rows += table.num_rows
    print(rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 20_000)
