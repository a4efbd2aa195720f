"""Landing onto S3: each row once through failures, and through owners that were replaced and do not know it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.s3.fixtures import options_for
from tests.transforms.lines import append_requests, requests
from tests.transforms.memory_log import MemoryLog
from transforms.landing import land_once
from transforms.objects import ObjectStore
from transforms.retention import remove_old
from transforms.s3lake import S3Lake

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from tests.s3.fixtures import S3Server

POINTS = ("read", "tail read", "temporary written", "renamed", "before commit", "committed")


class DiedError(Exception):
    """The fault that a test injected."""


@pytest.fixture
def open_lake(s3: S3Server, bucket: str) -> Callable[[], S3Lake]:
    """The same lake for several landers; each has its own connection and memory."""
    return lambda: S3Lake(ObjectStore(options_for(s3, bucket)))


def landed(lake: S3Lake, table: str = "router") -> list[int]:
    """The ids of all rows in the lake, sorted; a row that is there twice is there twice."""
    files = [file for date in lake.dates(table) for part in ("e0",) for file in lake.files(table, date, part)]
    return sorted(int(i) for file in files for i in lake.read(file)["request_id"])


def at(point: str, nth: int, act: Callable[[], None]) -> Callable[[str], None]:
    """A fault that does something at the nth visit of a point."""
    visits = 0

    def fault(reached: str) -> None:
        nonlocal visits
        visits += reached == point
        if reached == point and visits == nth:
            act()

    return fault


def die() -> None:
    """Sudden death, as far as a single process can have it."""
    raise DiedError


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("nth", [1, 3])
def test_failure_at_any_point_then_landing_again_gives_each_row_once(
    open_lake: Callable[[], S3Lake], point: str, nth: int
) -> None:
    """Over two dates and tails that exist already, with files that fill up."""
    log = MemoryLog()
    append_requests(log, [0, 1])
    land_once(log, open_lake(), file_rows=4)
    for i in range(2, 12, 2):
        append_requests(log, [i, i + 1], day=i % 4 // 2)
    with contextlib.suppress(DiedError):  # some points are passed less often
        land_once(log, open_lake(), file_rows=4, fault=at(point, nth, die))
    append_requests(log, [12])
    land_once(log, open_lake(), file_rows=4)
    assert landed(open_lake()) == list(range(13))


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize(("stale_rows", "new_rows"), [(4, 4), (100, 4), (4, 100)], ids=["alike", "grows", "goes on"])
def test_an_owner_that_was_replaced_cannot_double_a_row(
    open_lake: Callable[[], S3Lake], point: str, stale_rows: int, new_rows: int
) -> None:
    """While one lander stands still at a point, another lands the same and more, by other limits; then it goes on."""
    log = MemoryLog()
    append_requests(log, [0, 1])
    land_once(log, open_lake(), file_rows=4)
    append_requests(log, [2])
    append_requests(log, [3, 4, 5])
    append_requests(log, [6], day=1)

    def another_lands() -> None:
        append_requests(log, [7, 8])
        append_requests(log, [9], day=1)
        land_once(log, open_lake(), file_rows=new_rows)
        append_requests(log, [10, 11])
        land_once(log, open_lake(), file_rows=new_rows)

    land_once(log, open_lake(), file_rows=stale_rows, fault=at(point, 1, another_lands))
    land_once(log, open_lake(), file_rows=new_rows)
    assert landed(open_lake()) == list(range(12))


@pytest.mark.parametrize("point", ["tail read", "temporary written"])
def test_a_replaced_owner_leaves_the_partition_and_says_so(open_lake: Callable[[], S3Lake], point: str) -> None:
    """What it would have written is refused, whether its next step is a tail or a new file."""
    for first in ([], [0, 1]):
        log = MemoryLog()
        if first:
            append_requests(log, first, day=2)
            land_once(log, open_lake(), file_rows=9)
        append_requests(log, [2, 3], day=2)

        def another_lands(log: MemoryLog = log) -> None:
            append_requests(log, [4], day=2)  # the very same rows would be the very same file: no harm, no refusal
            land_once(log, open_lake(), file_rows=9)

        landed_here = land_once(log, open_lake(), file_rows=9, fault=at(point, 1, another_lands))
        assert landed_here.busy == ("router e0",)


def test_retention_removes_whole_days(open_lake: Callable[[], S3Lake], today: date) -> None:
    """Sentinels stay, and what was removed does not come back."""
    log = MemoryLog()
    for day in range(-2, 1):
        append_requests(log, [day + 2], day=day)
    lake = open_lake()
    land_once(log, lake, file_rows=10)
    assert remove_old(lake, 1, today) == ["router/2026-11-18"]
    land_once(log, open_lake(), file_rows=10)
    assert landed(open_lake()) == [1, 2]
    assert open_lake().totals() is not None


@pytest.fixture
def today() -> date:
    """The day of the rows of day 0."""
    from datetime import date

    return date(2026, 11, 20)


def test_a_removed_lake_is_filled_again(open_lake: Callable[[], S3Lake]) -> None:
    """The position is not believed without the sentinel, as on a local folder."""
    log = MemoryLog()
    log.append([requests([1, 2])])
    lake = open_lake()
    land_once(log, lake, file_rows=10)
    lake._store.delete([found.key for found in lake._store.below("")])
    again = land_once(log, open_lake(), file_rows=10)
    assert landed(open_lake()) == [1, 2]
    assert [notice for notice in again.notices if notice.startswith("router: ")]
