"""Everything at once: drains send, receiver and lander die at random, and the lake has each line once."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import duckdb

from tests.ingest.running import receiver
from tests.ingest.test_receiver_kills import Sender

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 5
SEED = 20261123


def lander(home: Path, *options: str) -> subprocess.Popen[bytes]:
    """A lander of its own on the home's log and lake, landing all the time."""
    command = [sys.executable, "-m", "drainlake", "--home", str(home), "land", *options]
    environment = {**os.environ, "DRAINLAKE_LAND_SECONDS": "1", "DRAINLAKE_FILE_ROWS": "500"}
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, cwd=home)


def test_random_deaths_of_receiver_and_lander_lose_and_double_nothing(tmp_path: Path) -> None:
    """Acknowledged lines are in the lake exactly once, whoever died whenever."""
    pick = random.Random(SEED)
    senders = [Sender(f"drain {n}") for n in range(3)]
    for _ in range(ROUNDS):
        with receiver(tmp_path / "log.db") as running:
            stop = threading.Event()
            threads = [threading.Thread(target=sender.send, args=(running, stop)) for sender in senders]
            for thread in threads:
                thread.start()
            landing = lander(tmp_path)
            stop.wait(pick.uniform(0.5, 2.5))
            landing.kill()
            landing.wait()
            stop.wait(pick.uniform(0.0, 0.5))
            running.kill()
            for thread in threads:
                thread.join()
    with receiver(tmp_path / "log.db") as running:
        for sender in senders:
            sender.repeat(running)
    assert lander(tmp_path, "--once").wait(timeout=60) == 0
    lake = tmp_path / "lake/lines/**/*.parquet"
    found = [message for (message,) in duckdb.sql(f"SELECT message FROM read_parquet('{lake}')").fetchall()]
    assert sorted(found) == sorted(line for sender in senders for line in sender.acknowledged)
    assert len(found) > 200
