"""A part of a delivery that the log holds twice is in the lake once, whoever lands it, whenever."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.batch import prepare
from ingest.deliveries import Delivery
from ingest.eventlog.contract import NewEntry
from ingest.schema import TABLES
from tests.transforms.lines import entry, landed_ids, part, parts_of
from tests.transforms.memory_log import MemoryLog
from transforms import repeats
from transforms.bites import EntryError
from transforms.landing import land_once
from transforms.locallake import LocalLake
from transforms.repeats import WINDOW_SECONDS, Repeats

if TYPE_CHECKING:
    from pathlib import Path

RECEIVED_AT_US = 1_795_000_000_000_000


class SharedLog(MemoryLog):
    """A log that several receivers append to, none of which knows the others' marks."""

    may_repeat = True


@pytest.fixture
def log() -> SharedLog:
    """An empty log."""
    return SharedLog(partition="p0", first_offset=0)


@pytest.fixture
def lake(tmp_path: Path) -> LocalLake:
    """A lake whose folder does not exist yet."""
    return LocalLake(tmp_path / "lake")


def append(log: SharedLog, *entries: NewEntry, at: float, since: float | None = None) -> None:
    """Append entries at a time in seconds."""
    log.clock = at
    log.append([NewEntry(e.table, e.app, e.rows, e.payload, since) for e in entries])


def test_the_first_of_two_tries_counts(log: SharedLog, lake: LocalLake) -> None:
    """Within one bite and across landings: rows of a part that an earlier entry has are dropped, others are kept."""
    append(log, parts_of("a", [1, 2]), at=0)
    append(log, parts_of("a", [1, 2]), parts_of("b", [3]), at=1)
    land_once(log, lake, file_rows=10)
    append(log, parts_of("a", [1, 2]), parts_of("c", [4]), at=2)
    land_once(log, lake, file_rows=10)
    assert landed_ids(lake.path) == [1, 2, 3, 4]


def test_a_lander_that_begins_in_the_middle_reads_back(log: SharedLog, lake: LocalLake) -> None:
    """A new process, or one that another took the partition from meanwhile, knows what was landed before."""
    append(log, parts_of("a", [1]), at=0)
    mine = Repeats(log)
    land_once(log, lake, file_rows=10, repeats=mine)
    append(log, parts_of("b", [2]), at=1)
    land_once(log, lake, file_rows=10)  # by another process
    append(log, parts_of("a", [1]), parts_of("b", [2]), parts_of("c", [3]), at=2)
    land_once(log, lake, file_rows=10, repeats=mine)
    assert landed_ids(lake.path) == [1, 2, 3]


def test_the_window_ends(log: SharedLog, lake: LocalLake) -> None:
    """What comes again long after is no try of Heroku's: memory is bounded, and the rule says where."""
    append(log, parts_of("a", [1]), at=0)
    append(log, parts_of("a", [1]), at=WINDOW_SECONDS + 1)
    land_once(log, lake, file_rows=10)
    assert landed_ids(lake.path) == [1, 1]


def test_an_entry_that_waited_in_a_spool_is_compared_back_to_then(log: SharedLog, lake: LocalLake) -> None:
    """A receiver whose append timed out, though it came through, appends the same again when the log is back."""
    append(log, parts_of("a", [1]), at=100)
    append(log, parts_of("b", [2]), at=101)
    land_once(log, lake, file_rows=10)
    append(log, parts_of("a", [1]), parts_of("c", [3]), at=20_000, since=101)
    land_once(log, lake, file_rows=10)
    append(log, parts_of("b", [9]), at=30_000, since=25_000)  # on its way since long after: another one
    land_once(log, lake, file_rows=10)
    assert landed_ids(lake.path) == [1, 2, 3, 9]


def test_rows_without_a_part_are_never_repeats(log: SharedLog, lake: LocalLake) -> None:
    """Entries of an earlier version name no parts."""
    from tests.transforms.lines import requests

    append(log, requests([1]), requests([1]), at=0)
    land_once(log, lake, file_rows=10)
    assert landed_ids(lake.path) == [1, 1]


def test_memory_is_bounded(log: SharedLog, lake: LocalLake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of very many parts the oldest are forgotten first, and what was forgotten too early is counted."""
    monkeypatch.setattr(repeats, "PARTS_MAX", 2)
    append(log, *(parts_of(name, [n]) for n, name in enumerate("abcd")), at=0)
    append(log, parts_of("d", [3]), at=1)
    memory = Repeats(log)
    land_once(log, lake, file_rows=10, repeats=memory)
    assert landed_ids(lake.path) == [0, 1, 2, 3]
    append(log, parts_of("d", [3]), at=2)
    land_once(log, lake, file_rows=10, repeats=memory)
    assert landed_ids(lake.path) == [0, 1, 2, 3]
    assert len(memory._memories["router", "p0"]._appended_at) <= 2
    assert memory.forgotten == 2
    append(log, parts_of("e", [4]), at=10_000)
    land_once(log, lake, file_rows=10, repeats=memory)
    assert memory.forgotten == 2  # what is old enough is no loss


def test_a_repeat_is_moved_in_the_ledger(log: SharedLog, lake: LocalLake) -> None:
    """Two receivers took the same delivery, the second with a notice in front: received = landed + repeated."""
    lines = [f"<190>1 2026-11-20T12:00:0{n}+00:00 host app web.1 - line {n}" for n in range(3)]
    notice = "<172>1 2026-11-20T12:00:04+00:00 host heroku logplex - Error L10 (output buffer overflow): 5 messages"
    bodies = ["".join(f"{len(line)} {line}" for line in some) for some in (lines, [notice, *lines])]
    for body in bodies:
        append(log, *prepare([Delivery("shop", body.encode(), RECEIVED_AT_US, frame_id="f")]).entries, at=0)
    again = prepare([Delivery("shop", bodies[0].encode(), RECEIVED_AT_US, frame_id="g")]).entries
    append(log, *again, at=0)
    append(log, *again, at=1, since=0)  # an append that came through and was made again
    land_once(log, lake, file_rows=100)
    ledger = f"read_parquet('{lake.path}/deliveries/**/*.parquet')"
    counts = duckdb.sql(f"SELECT lines, parsed, defects, repeated FROM {ledger} ORDER BY frame_id, lines").fetchall()
    assert counts == [(3, 0, 0, 0), (4, 1, 0, 3), (3, 0, 0, 0)]
    rows = {
        table: duckdb.sql(f"SELECT count(*) FROM read_parquet('{lake.path}/{table}/**/*.parquet')").fetchall()[0][0]
        for table in TABLES
    }
    assert (rows["lines"], rows["platform"], rows["deliveries"]) == (6, 1, 3)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    appends=st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=3, unique=True), max_size=12),
    landings=st.sets(st.integers(0, 11)),
    deaths=st.sets(st.integers(0, 11)),
)
def test_any_history_of_tries_lands_each_part_once(
    tmp_path_factory: pytest.TempPathFactory, appends: list[list[str]], landings: set[int], deaths: set[int]
) -> None:
    """Whatever is appended again, wherever landings begin, end and die before their commit."""
    log, lake = SharedLog(partition="p0", first_offset=0), LocalLake(tmp_path_factory.mktemp("lake") / "lake")
    memory = Repeats(log)
    for number, names in enumerate(appends):
        append(log, *(parts_of(name, [ord(name)]) for name in names), at=number)
        if number in deaths:
            log.fail_next("commit")
            with pytest.raises(Exception, match="commit failed"):
                land_once(log, lake, file_rows=2)
            memory = Repeats(log)
        elif number in landings:
            land_once(log, lake, file_rows=2, repeats=memory)
    land_once(log, lake, file_rows=2, repeats=memory)
    assert landed_ids(lake.path) == sorted({ord(name) for names in appends for name in names})
    assert part("a") != part("b")


def test_a_damaged_entry_that_is_read_back_is_named(log: SharedLog, lake: LocalLake) -> None:
    """As one that is landed: its partition waits, and what other partitions hold is landed."""
    append(log, NewEntry("router", "shop", 1, b"damaged"), at=0)
    log.positions["router", "p0"] = 0
    lake.prepare()
    lake.add_landed_log("router", f"{log.identity('router')} p0")
    append(log, parts_of("a", [1]), NewEntry("lines", "shop", 1, entry("lines", [{"message": "7"}]).payload), at=1)
    with pytest.raises(EntryError, match="entry 0 of router"):
        land_once(log, lake, file_rows=10)
    assert landed_ids(lake.path) == []
    assert landed_ids(lake.path, "lines", "message") == [7]
