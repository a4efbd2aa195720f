"""Retention removes whole days; the lander's loop survives failures and stops when told."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from tests.transforms.lines import append_requests, landed_ids
from tests.transforms.memory_log import MemoryLog
from transforms.lake import LakeLockedError
from transforms.lander import Round, run
from transforms.landing import land_once
from transforms.locallake import LocalLake
from transforms.retention import remove_old

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def lake(tmp_path: Path) -> LocalLake:
    """A lake whose folder does not exist yet."""
    return LocalLake(tmp_path / "lake")


def test_old_days_go_and_sentinels_stay(lake: LocalLake) -> None:
    """Days before today minus keep_days go, whole; an emptied table still answers."""
    log = MemoryLog()
    for day in range(-2, 1):
        append_requests(log, [day + 10], day=day)
    land_once(log, lake, file_rows=10)
    assert remove_old(lake, 1, date(2026, 11, 20)) == ["router/2026-11-18"]
    assert landed_ids(lake.path) == [9, 10]
    assert remove_old(lake, 1, date(2027, 1, 1)) == ["router/2026-11-19", "router/2026-11-20"]
    assert landed_ids(lake.path) == []
    assert list((lake.path / ".tmp").rglob("*.tmp")) == []


def test_rows_that_retention_removed_do_not_come_back(lake: LocalLake) -> None:
    """Late rows of a removed day land; the removed ones stay removed."""
    log = MemoryLog()
    append_requests(log, [1])
    land_once(log, lake, file_rows=10)
    remove_old(lake, 1, date(2027, 1, 1))
    append_requests(log, [2])
    land_once(log, lake, file_rows=10)
    assert landed_ids(lake.path) == [2]


def test_one_process_at_a_time_removes(lake: LocalLake) -> None:
    """A second one that would sweep away what the first is removing is told to wait."""
    log = MemoryLog()
    append_requests(log, [1])
    land_once(log, lake, file_rows=10)
    with lake._lock("retention"), pytest.raises(LakeLockedError):
        remove_old(LocalLake(lake.path), 1, date(2027, 1, 1))
    assert landed_ids(lake.path) == [1]


def test_senseless_keep_days_is_refused(lake: LocalLake) -> None:
    """Zero days would remove what was just landed."""
    with pytest.raises(ValueError, match="keep_days is 0"):
        remove_old(lake, 0, date(2026, 11, 20))


def test_loop_reports_a_failure_and_tries_again(lake: LocalLake) -> None:
    """A failed landing is one sentence; the next round lands and retention follows."""
    log, stop = MemoryLog(), threading.Event()
    append_requests(log, [1], day=-9)
    append_requests(log, [2])
    log.fail_next("read")
    reports: list[str] = []
    rounds: list[Round] = []
    bites: list[tuple[str, int]] = []

    def ended(done: Round) -> None:
        rounds.append(done)
        if done.is_good:
            stop.set()

    run(
        log,
        lake,
        every_seconds=0,
        file_rows=10,
        keep_days=3,
        stop_event=stop,
        now=lambda: datetime(2026, 11, 20, 23, tzinfo=UTC),
        tell=lambda event, sentence, **_: reports.append(f"{event}: {sentence}"),
        on_progress=lambda table, rows: bites.append((table, rows)),
        on_round=ended,
    )
    assert reports == [
        "landing_failed: land: landing failed (read failed as the test asked); nothing is lost, next try in 0 s.",
        "days_removed: land: removed what is older than 3 days: 2026-11-11.",
        "landing_well: land: landing is well again, after 1 failed rounds.",
    ]
    assert landed_ids(lake.path) == [2]
    assert [(each.is_good, each.removed) for each in rounds] == [(False, ()), (True, ("router/2026-11-11",))]
    assert sum(rows for table, rows in bites if table == "router") == 2


def test_loop_reports_notices(lake: LocalLake) -> None:
    """What the operator should know about a lost lake reaches them."""
    log, stop = MemoryLog(), threading.Event()
    append_requests(log, [1])
    log.positions["router", "e0"] = 1
    reports: list[str] = []
    run(
        log, lake, every_seconds=0, file_rows=10, keep_days=None, stop_event=stop,
        tell=lambda event, *_, **__: reports.append(event), on_round=lambda _: stop.set(),
    )  # fmt: skip
    assert reports == ["notice"]
    assert landed_ids(lake.path) == [1]


def test_stopped_loop_does_not_land(lake: LocalLake) -> None:
    """Told to stop before it starts, the loop ends without touching the lake."""
    stop = threading.Event()
    stop.set()
    run(MemoryLog(), lake, every_seconds=60, file_rows=10, keep_days=None, stop_event=stop)
    assert not lake.path.exists()
