"""Landing brings every row of the log into the lake exactly once, whatever happens in between."""

from __future__ import annotations

import contextlib
import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import duckdb
import pytest

from ingest.eventlog.contract import NewEntry
from ingest.eventlog.entry import decode
from ingest.schema import TABLES
from tests.transforms.lines import NOON, append_requests, entry, landed_ids, payload, requests
from tests.transforms.memory_log import LogFailureError, MemoryLog
from transforms import landing, parquet
from transforms.bites import EntryError
from transforms.lake import LakeError, LakeFile
from transforms.landing import land_once
from transforms.locallake import LocalLake

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

POINTS = ("read", "tail read", "temporary written", "renamed", "before commit", "committed")


class DiedError(Exception):
    """The fault that a test injected."""


def die_at(point: str, nth: int = 1) -> Callable[[str], None]:
    """A fault that raises at the nth visit of a point."""
    visits = 0

    def fault(reached: str) -> None:
        nonlocal visits
        visits += reached == point
        if reached == point and visits == nth:
            raise DiedError(point)

    return fault


@pytest.fixture
def log() -> MemoryLog:
    """An empty log."""
    return MemoryLog()


@pytest.fixture
def lake(tmp_path: Path) -> LocalLake:
    """A lake whose folder does not exist yet."""
    return LocalLake(tmp_path / "lake")


def test_rows_of_all_tables_land_sorted_with_their_route(log: MemoryLog, lake: LocalLake) -> None:
    """Each table's rows appear in its folder, sorted by app and timestamp, routes filled."""
    log.append(
        [
            requests([3, 1], app="zoo"),
            requests([2], app="ant"),
            *(entry(table, [{}]) for table in TABLES if table != "router"),
        ]
    )
    landed = land_once(log, lake, file_rows=100)
    assert landed.rows == {**dict.fromkeys(TABLES, 1), "router": 3}
    assert landed.files == len(TABLES)
    rows = parquet.read(lake.path / "router/date=2026-11-20/e0-000001.parquet")
    assert rows.select("app", "request_id", "route").rows() == [
        ("ant", "2", "/users/{id}"),
        ("zoo", "1", "/users/{id}"),
        ("zoo", "3", "/users/{id}"),
    ]
    assert rows.schema == parquet.SCHEMAS["router"]


def test_footer_carries_log_offset_and_version(log: MemoryLog, lake: LocalLake) -> None:
    """A file says where its rows come from in the keys that the contract names."""
    append_requests(log, [1])
    append_requests(log, [2])
    land_once(log, lake, file_rows=100)
    metadata = parquet.read_footer(lake.path / "router/date=2026-11-20/e0-000001.parquet").metadata
    assert metadata["drainlake.log"] == log.identity("router")
    assert metadata["drainlake.offset"] == "2"
    assert metadata["drainlake.version"] == "1"


def test_tail_grows_until_it_is_full(log: MemoryLog, lake: LocalLake) -> None:
    """Landing after landing rewrites the tail; the next sequence begins when the tail has no room."""
    for i in range(7):
        append_requests(log, [2 * i, 2 * i + 1])
        land_once(log, lake, file_rows=5)
    rows = [lake.footer(file).rows for file in reversed(lake.files("router", "2026-11-20", "e0"))]
    assert rows == [4, 4, 4, 2]
    assert landed_ids(lake.path) == list(range(14))


def test_a_large_bite_makes_full_files_and_leaves_the_old_tail_alone(log: MemoryLog, lake: LocalLake) -> None:
    """What does not fit into the tail goes into new files, none over the limit, and nothing is rewritten."""
    append_requests(log, [0, 1])
    land_once(log, lake, file_rows=10)
    tail = lake.path / "router/date=2026-11-20/e0-000001.parquet"
    before = tail.stat().st_ino
    for i in range(1, 16):
        append_requests(log, [2 * i, 2 * i + 1])
    landed = land_once(log, lake, file_rows=10)
    rows = [lake.footer(file).rows for file in reversed(lake.files("router", "2026-11-20", "e0"))]
    assert (rows, landed.files) == ([2, 10, 10, 10], 3)
    assert tail.stat().st_ino == before
    assert landed_ids(lake.path) == list(range(32))


def test_an_entry_larger_than_a_file_is_kept_whole(log: MemoryLog, lake: LocalLake) -> None:
    """An entry is never cut in two: its offset could not say which half is in the file."""
    append_requests(log, [0])
    append_requests(log, list(range(1, 9)))
    append_requests(log, [9])
    land_once(log, lake, file_rows=3)
    rows = [lake.footer(file).rows for file in reversed(lake.files("router", "2026-11-20", "e0"))]
    assert rows == [1, 8, 1]
    assert landed_ids(lake.path) == list(range(10))


def test_tail_is_bounded_in_memory_too(log: MemoryLog, lake: LocalLake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of long lines begins the next file long before its row limit."""
    monkeypatch.setattr(landing, "FILE_MEMORY_BYTES", 10_000)
    for letter in "abcd":
        log.append([entry("lines", [{"message": letter * 4_000}])])
        land_once(log, lake, file_rows=1_000)
    rows = [lake.footer(file).rows for file in lake.files("lines", "2026-11-20", "e0")]
    assert rows == [2, 2]


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_failure_at_any_point_then_landing_again_gives_each_row_once(
    log: MemoryLog, lake: LocalLake, point: str, nth: int
) -> None:
    """Over three dates and a tail that exists already, a fault anywhere loses and doubles nothing."""
    append_requests(log, [0, 1])
    land_once(log, lake, file_rows=4)
    for i in range(2, 12, 2):
        append_requests(log, [i, i + 1], day=i % 3)
    with contextlib.suppress(DiedError):  # some points are passed once per landing: the next one meets them
        land_once(log, lake, file_rows=4, fault=die_at(point, nth))
    append_requests(log, [100])
    with pytest.raises(DiedError):
        land_once(log, lake, file_rows=4, fault=die_at(point))
    held = {int(i) for e in log.entries["router"] for i in decode(e.payload)["request_id"]}
    land_once(log, lake, file_rows=4)
    assert landed_ids(lake.path) == sorted(held)
    assert list((lake.path / ".tmp").rglob("*.tmp")) == []


@pytest.mark.parametrize("call", ["position", "partitions", "read", "commit"])
def test_failure_of_the_log_then_landing_again_gives_each_row_once(log: MemoryLog, lake: LocalLake, call: str) -> None:
    """A log that fails in the middle of a landing leaves a lake that the next landing completes."""
    append_requests(log, [0, 1])
    log.fail_next(call)
    with pytest.raises(LogFailureError):
        land_once(log, lake, file_rows=4)
    append_requests(log, [2])
    land_once(log, lake, file_rows=4)
    assert landed_ids(lake.path) == [0, 1, 2]


def test_landing_twice_changes_nothing(log: MemoryLog, lake: LocalLake) -> None:
    """A landing without new entries writes no file."""
    append_requests(log, [1, 2])
    land_once(log, lake, file_rows=10)
    again = land_once(log, lake, file_rows=10)
    assert (again.files, again.rows["router"], again.notices) == (0, 0, ())


def test_position_that_fell_back_is_harmless(log: MemoryLog, lake: LocalLake) -> None:
    """The files' own offsets decide: a low watermark that is too low doubles nothing."""
    for i in range(6):
        append_requests(log, [i], day=i % 2)
        land_once(log, lake, file_rows=2)
    log.positions.clear()
    append_requests(log, [6])
    land_once(log, lake, file_rows=2)
    assert landed_ids(lake.path) == list(range(7))


def test_removed_lake_is_filled_again_with_what_the_log_holds(log: MemoryLog, lake: LocalLake) -> None:
    """Landing does not believe the position when the lake is gone, and says so."""
    append_requests(log, [1])
    append_requests(log, [2])
    land_once(log, lake, file_rows=10)
    shutil.rmtree(lake.path)
    log.forget("router", 1)
    append_requests(log, [3])
    landed = land_once(log, lake, file_rows=10)
    assert landed_ids(lake.path) == [2, 3]
    assert [notice for notice in landed.notices if notice.startswith("router: ")]
    assert land_once(log, lake, file_rows=10).notices == ()


@pytest.mark.parametrize("removed", ["router", "router/date=1970-01-01"])
def test_removed_table_or_sentinel_neither_loses_nor_doubles(log: MemoryLog, lake: LocalLake, removed: str) -> None:
    """Whatever part of a table's folder goes, what the log still holds is there once afterwards."""
    append_requests(log, [1, 2])
    land_once(log, lake, file_rows=10)
    shutil.rmtree(lake.path / removed)
    append_requests(log, [3])
    land_once(log, lake, file_rows=10)
    assert landed_ids(lake.path) == [1, 2, 3]


def test_kill_while_a_removed_lake_is_filled_again_loses_nothing(log: MemoryLog, lake: LocalLake) -> None:
    """The repeat from the oldest entry is remembered only once it is complete."""
    append_requests(log, [1])
    append_requests(log, [2], day=1)
    land_once(log, lake, file_rows=10)
    shutil.rmtree(lake.path)
    for point, nth in (("renamed", 1), ("renamed", 1), ("before commit", 1), ("committed", 1)):
        with pytest.raises(DiedError):
            land_once(log, lake, file_rows=10, fault=die_at(point, nth))
        if point == "renamed":
            continue
    land_once(log, lake, file_rows=10)
    assert landed_ids(lake.path) == [1, 2]
    assert log.position("router", "e0") == 2


def test_replaced_log_skips_nothing(lake: LocalLake) -> None:
    """A new log counts from the beginning again; its rows are new although their offsets were seen before."""
    first = MemoryLog()
    for i in range(3):
        append_requests(first, [i])
    land_once(first, lake, file_rows=10)
    second = MemoryLog()
    append_requests(second, [10])
    land_once(second, lake, file_rows=10)
    append_requests(second, [11])
    land_once(second, lake, file_rows=10)
    assert landed_ids(lake.path) == [0, 1, 2, 10, 11]
    assert [lake.footer(file).rows for file in lake.files("router", "2026-11-20", "e0")] == [2, 3]


def test_log_that_returns_finds_its_own_offsets(lake: LocalLake) -> None:
    """With another log's file in between, the newest file of this log still says what is in the lake."""
    first, second = MemoryLog(), MemoryLog()
    append_requests(first, [0])
    land_once(first, lake, file_rows=10)
    append_requests(second, [10])
    land_once(second, lake, file_rows=10)
    first.positions.clear()
    append_requests(first, [1])
    land_once(first, lake, file_rows=10)
    assert landed_ids(lake.path) == [0, 1, 10]


def test_kafka_offsets_begin_at_zero(lake: LocalLake) -> None:
    """The first entry of a log that counts from 0 lands too."""
    log = MemoryLog(first_offset=0, partition="p7")
    append_requests(log, [1])
    land_once(log, lake, file_rows=10)
    assert landed_ids(lake.path) == [1]
    assert lake.files("router", "2026-11-20", "p7")


def test_foreign_files_do_not_stop_landing(log: MemoryLog, lake: LocalLake) -> None:
    """Files that drainlake did not write are left alone, whatever their name."""
    folder = lake.path / "router/date=2026-11-20"
    folder.mkdir(parents=True)
    empty = parquet.pl.DataFrame(schema=parquet.SCHEMAS["router"])
    empty.write_parquet(folder / "theirs.parquet")
    empty.write_parquet(folder / "e0-000007.parquet")
    (folder / "note.txt").write_text("not a table")
    append_requests(log, [1])
    land_once(log, lake, file_rows=10)
    append_requests(log, [2])
    land_once(log, lake, file_rows=10)
    assert landed_ids(lake.path) == [1, 2]
    assert [file.sequence for file in lake.files("router", "2026-11-20", "e0")] == [8, 7]


def test_torn_file_is_named(log: MemoryLog, lake: LocalLake) -> None:
    """A tail that is no whole Parquet file stops landing with its name, and nothing is committed."""
    append_requests(log, [1])
    land_once(log, lake, file_rows=10)
    tail = lake.path / "router/date=2026-11-20/e0-000001.parquet"
    tail.write_bytes(tail.read_bytes()[:-9])
    append_requests(log, [2])
    with pytest.raises(LakeError, match=r"e0-000001\.parquet is no whole Parquet file"):
        land_once(log, lake, file_rows=10)
    assert log.position("router", "e0") == 1
    shutil.rmtree(lake.path / "router")  # the message's advice, thoroughly
    land_once(log, lake, file_rows=10)
    assert landed_ids(lake.path) == [1, 2]


def test_a_file_with_damaged_pages_is_named_and_holds_up_no_other_table(log: MemoryLog, lake: LocalLake) -> None:
    """A footer can be whole though the rows before it are not; what lies in other partitions lands all the same."""
    append_requests(log, [1])
    land_once(log, lake, file_rows=10)
    tail = lake.path / "router/date=2026-11-20/e0-000001.parquet"
    data = tail.read_bytes()
    pages = len(data) - int.from_bytes(data[-8:-4], "little") - 8
    tail.write_bytes(b"\xff" * pages + data[pages:])
    append_requests(log, [2])
    log.append([entry("lines", [{"message": "7"}])])
    with pytest.raises(LakeError, match=r"e0-000001\.parquet is damaged; move it out of the lake"):
        land_once(log, lake, file_rows=10)
    assert landed_ids(lake.path, "lines", "message") == [7]
    tail.unlink()
    (lake.path / "router/date=1970-01-01/empty-0.parquet").unlink()
    land_once(log, lake, file_rows=10)
    assert landed_ids(lake.path) == [1, 2]


def test_undecodable_entry_is_named(log: MemoryLog, lake: LocalLake) -> None:
    """An entry that cannot be decoded stops landing with its offset instead of being dropped."""
    log.append([NewEntry("router", "shop", 1, b"not Arrow")])
    with pytest.raises(EntryError, match="entry 1 of router"):
        land_once(log, lake, file_rows=10)


def test_an_undecodable_entry_holds_up_no_other_table(log: MemoryLog, lake: LocalLake) -> None:
    """What lies in other partitions lands all the same, before the error is told."""
    log.append([NewEntry("router", "shop", 1, b"not Arrow"), entry("lines", [{"message": "7"}])])
    with pytest.raises(EntryError):
        land_once(log, lake, file_rows=10)
    assert landed_ids(lake.path, "lines", "message") == [7]


def test_entry_of_an_older_version_lands(log: MemoryLog, lake: LocalLake) -> None:
    """Columns that an older entry lacks are NULL; their order in the entry does not matter."""
    old = parquet.pl.DataFrame({"app": ["shop"], "request_id": ["5"], "timestamp": [NOON]})
    log.append([NewEntry("router", "shop", 1, payload(old))])
    land_once(log, lake, file_rows=10)
    assert landed_ids(lake.path) == [5]


def test_tail_of_an_older_schema_is_closed(log: MemoryLog, lake: LocalLake) -> None:
    """A tail without today's columns is not rewritten: the next sequence begins, and its rows stay known."""
    append_requests(log, [1])
    land_once(log, lake, file_rows=10)
    tail = LakeFile("router", "2026-11-20", "e0", 1)
    footer = lake.footer(tail)
    parquet.write(lake.read(tail).drop("extra"), lake.path / "router/date=2026-11-20" / tail.name, footer.metadata)
    log.positions.clear()
    append_requests(log, [2])
    land_once(log, lake, file_rows=10)
    assert [file.sequence for file in lake.files("router", "2026-11-20", "e0")] == [2, 1]
    with duckdb.connect() as connection:
        files = f"read_parquet('{lake.path}/router/**/*.parquet', union_by_name=true)"
        assert connection.execute(f"SELECT request_id FROM {files} ORDER BY 1").fetchall() == [("1",), ("2",)]


@pytest.mark.parametrize(
    "moment",
    [datetime(1, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, tzinfo=UTC)],
)
def test_odd_dates_land(log: MemoryLog, lake: LocalLake, moment: datetime) -> None:
    """A row with an absurd timestamp is a row like any other."""
    log.append([entry("lines", [{"timestamp": moment, "message": "1"}])])
    land_once(log, lake, file_rows=10)
    land_once(log, lake, file_rows=10)
    assert landed_ids(lake.path, "lines", "message") == [1]


def test_rows_stand_in_the_folder_of_their_utc_day(log: MemoryLog, lake: LocalLake) -> None:
    """The last microsecond of a day and the first of the next lie in two folders."""
    midnight = datetime(2026, 11, 21, tzinfo=UTC)
    moments = (midnight - timedelta(microseconds=1), midnight)
    log.append([entry("lines", [{"timestamp": moment, "message": "1"} for moment in moments])])
    land_once(log, lake, file_rows=10)
    assert lake.dates("lines") == ["2026-11-20", "2026-11-21"]


def test_stop_ends_between_two_bites(log: MemoryLog, lake: LocalLake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A landing that is told to stop ends after the bite at hand and carries on next time, also if it was the first."""
    monkeypatch.setattr("transforms.bites.BITE_ROWS", 2)
    for i in range(4):
        append_requests(log, [2 * i, 2 * i + 1])
    progress: list[tuple[str, int]] = []
    landed = land_once(
        log,
        lake,
        file_rows=10,
        stop=lambda: True,
        on_progress=lambda table, rows: progress.append((table, rows)),
    )
    assert (landed.complete, landed.rows["router"], progress) == (False, 2, [("router", 2)])
    again = land_once(log, lake, file_rows=10)
    assert (again.complete, again.rows["router"], again.notices) == (True, 6, ())
    assert landed_ids(lake.path) == list(range(8))


def test_landing_does_not_chase_a_busy_receiver(log: MemoryLog, lake: LocalLake) -> None:
    """Rows that arrive while a landing writes are left for the next one: it must end."""

    def arrive(point: str) -> None:
        if point == "before commit":
            append_requests(log, [len(log.entries["router"])])

    append_requests(log, [0])
    assert land_once(log, lake, file_rows=10, fault=arrive).rows["router"] == 1
    assert land_once(log, lake, file_rows=10).rows["router"] == 1
