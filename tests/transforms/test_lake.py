"""The lake's folder: sentinels, lock, paths."""

from __future__ import annotations

import threading
from pathlib import Path

import duckdb
import pytest

from ingest.schema import TABLES
from tests.transforms.lines import append_requests
from tests.transforms.memory_log import MemoryLog
from transforms import landing, parquet
from transforms.lake import LakeError, LakeFile
from transforms.landing import land_once
from transforms.locallake import LocalLake


@pytest.fixture
def log() -> MemoryLog:
    """An empty log."""
    return MemoryLog()


@pytest.fixture
def lake(tmp_path: Path) -> LocalLake:
    """A lake whose folder does not exist yet."""
    return LocalLake(tmp_path / "lake")


def test_empty_lake_answers_with_no_rows(lake: LocalLake) -> None:
    """Sentinels carry every column with its declared type, so a query on an empty lake works."""
    lake.prepare()
    lake.prepare()
    with duckdb.connect() as connection:
        for table in TABLES.values():
            files = f"read_parquet('{lake.path}/{table.name}/**/*.parquet', hive_partitioning=false)"
            described = connection.execute(f"DESCRIBE SELECT * FROM {files}").fetchall()
            types = {name: kind.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ") for name, kind, *_ in described}
            assert types == {column.name: column.type for column in table.columns}
            assert connection.execute(f"SELECT count(*) FROM {files}").fetchall() == [(0,)]


def test_a_partition_has_one_owner_at_a_time(lake: LocalLake, log: MemoryLog) -> None:
    """What another process lands is left to it and named; the next landing finds it done or does it."""
    append_requests(log, [1])
    with lake.own("router", "e0"):
        landed = land_once(log, LocalLake(lake.path), file_rows=10)
        assert (landed.busy, landed.rows["router"]) == (("router e0",), 0)
    assert land_once(log, LocalLake(lake.path), file_rows=10).rows["router"] == 1


def test_an_owner_leaves_the_temporaries_of_others_alone(lake: LocalLake, log: MemoryLog) -> None:
    """Sweeping away what a killed owner left must not take what another one is writing just now."""
    append_requests(log, [1])
    busy = lake.path / ".tmp/access-e0/being-written.tmp"
    with lake.own("access", "e0"):
        busy.parent.mkdir(parents=True)
        busy.write_bytes(b"half")
        land_once(log, LocalLake(lake.path), file_rows=10)
        assert busy.exists()
    with lake.own("access", "e0"):
        assert not busy.exists()


def test_owner_of_a_removed_lock_cannot_write(lake: LocalLake, log: MemoryLog) -> None:
    """When the lake's folder went away under a landing, a second owner may exist: the first stops writing."""
    append_requests(log, [1])

    def remove_lock(point: str) -> None:
        if point == "tail read":
            (lake.path / ".locks/router-e0").unlink()

    with pytest.raises(LakeError, match="lock"):
        land_once(log, lake, file_rows=10, fault=remove_lock)
    assert lake.files("router", "2026-11-20", "e0") == []


def test_publishing_without_the_lock_is_refused(lake: LocalLake) -> None:
    """Only the owner of the lake writes into it."""
    file = LakeFile("router", "2026-11-20", "e0", 1)
    with pytest.raises(LakeError, match="lock"):
        lake.publish(file, parquet.pl.DataFrame(schema=parquet.SCHEMAS["router"]), parquet.Origin("x", 1, 0))


def test_lake_path_with_glob_characters(log: MemoryLog, tmp_path: Path) -> None:
    """A path is taken literally, whatever is in it."""
    lake = LocalLake(tmp_path / "la[k]e *?{a}")
    for i in range(3):
        append_requests(log, [i])
        land_once(log, lake, file_rows=10)
    file = lake.files("router", "2026-11-20", "e0")[0]
    assert lake.footer(file).rows == 3


def test_only_durable_renames() -> None:
    """One module owns renaming; a second place would forget an fsync."""
    for file in Path(landing.__file__).parent.glob("*.py"):
        calls = ("os.replace", "os.rename", ".rename(", ".replace(target", "shutil.move")
        assert file.name == "durable.py" or not [call for call in calls if call in file.read_text()]


def test_a_note_is_changed_by_one_at_a_time(lake: LocalLake) -> None:
    """Every change builds on the one before, whoever makes it; an unchanged note is not written again."""
    assert lake.note("_note") is None

    def add() -> None:
        own = LocalLake(lake.path)
        for _ in range(20):
            own.change_note("_note", lambda before: (before or b"") + b"x")

    threads = [threading.Thread(target=add) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lake.note("_note") == b"x" * 60
    before = (lake.path / "_note").stat().st_ino
    assert lake.change_note("_note", lambda same: same or b"") == b"x" * 60
    assert (lake.path / "_note").stat().st_ino == before
