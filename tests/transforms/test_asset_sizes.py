"""The table `asset_sizes`: what is counted, when a day is made again, and what a kill leaves."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.transforms.minute_rows import NOON, add, asset, keep_killed
from transforms.asset_sizes import counting
from transforms.asset_sizes.keeping import keep
from transforms.lake import LakeLockedError, StaleOwnerError
from transforms.locallake import LocalLake
from transforms.objects import ObjectStore
from transforms.parquet import SCHEMAS
from transforms.s3lake import S3Lake

if TYPE_CHECKING:
    from pathlib import Path

    from tests.s3.fixtures import S3Server
    from transforms.lake import Lake

DATE = "2026-11-20"
NOW = NOON + timedelta(days=1)
HOUR = 3600


@pytest.fixture
def lake(tmp_path: Path) -> LocalLake:
    """A lake with two assets of a day, one of them in two hours."""
    lake = LocalLake(tmp_path / "lake")
    lake.prepare()
    add(lake, "router", [asset(1), asset(2), asset(HOUR, path="/b.js?v=1", bytes=50), asset(HOUR)])
    return lake


def rows_of(*rows: dict[str, Any]) -> pl.DataFrame:
    """Rows of the router, as they are read to be counted."""
    return pl.DataFrame(list(rows), schema=SCHEMAS["router"]).select(counting.COLUMNS)


def sizes(lake: Lake) -> pl.DataFrame:
    """All sizes that lie in the lake."""
    return pl.concat([counting.EMPTY, *(lake.read(file) for file in sorted(lake.listing("asset_sizes"), key=str))])


def counts(lake: Lake) -> list[tuple[Any, ...]]:
    """Hours behind noon, paths, sizes and responses."""
    hour = (pl.col("timestamp") - NOON).dt.total_hours()
    return sizes(lake).select(hour, "path", "bytes", "responses").rows()


def test_sizes_of_assets_and_all_rows_are_counted_by_the_hour(lake: LocalLake) -> None:
    """The query string is off, and each hour also has its rows of any kind."""
    assert keep(lake, NOW) == [DATE]
    assert counts(lake) == [
        (0, None, None, 2),
        (1, None, None, 2),
        (0, "/a.css", 100, 2),
        (1, "/a.css", 100, 1),
        (1, "/b.js", 50, 1),
    ]
    (first,) = sizes(lake).filter(pl.col("path") == "/a.css").head(1).to_dicts()
    assert (first["first_at"], first["last_at"]) == (NOON + timedelta(seconds=1), NOON + timedelta(seconds=2))


@pytest.mark.parametrize(
    "more",
    [
        {"source": "elb"},
        {"method": "HEAD"},
        {"status": 304},
        {"code": "H27"},
        {"bytes": 0},
        {"path": "/a"},
        {"path": "/a.png"},
        {"path": "/a?f=.css"},
        {"path": None},
    ],
    ids=str,
)
def test_other_responses_are_none_of_an_asset(more: dict[str, Any]) -> None:
    """They count among all rows only."""
    rows = rows_of(asset(1, **more))
    assert counting.counted(rows).select("path", "responses").rows() == [(None, 1)]


@pytest.mark.parametrize("path", ["/a.CSS", "/a%2ecss", "/a.%43s%73", "/a%20b.json?x", "/a.html#b", "/100%.css"])
def test_an_ending_may_be_in_capitals_and_percent_encoded(path: str) -> None:
    """What a question would find compressible when it is decoded."""
    rows = rows_of(asset(1, path=path))
    assert counting.counted(rows)["path"].to_list() == [None, path.split("?", maxsplit=1)[0].split("#", maxsplit=1)[0]]


@pytest.mark.parametrize(("protocol", "with_headers"), [(None, 1), ("http", 1), ("https", 1), ("http1.1", 0)])
def test_the_older_router_counts_headers(protocol: str | None, with_headers: int) -> None:
    """Its lines have no protocol, or http or https."""
    rows = rows_of(asset(1, protocol=protocol))
    assert counting.counted(rows)["with_headers"].to_list()[1] == with_headers


def test_a_day_is_made_again_when_its_files_change_and_not_before(lake: LocalLake) -> None:
    """A late line and an erased one change a file's stamp; a day that is as it was is left alone."""
    assert keep(lake, NOW) == [DATE]
    assert keep(lake, NOW) == []
    add(lake, "router", [asset(3)])
    add(lake, "router", [asset(4)], part="e1")
    assert keep(lake, NOW) == [DATE]
    assert (0, "/a.css", 100, 4) in counts(lake)


def test_today_is_not_made(lake: LocalLake) -> None:
    """Else it would be made again at each run, all of it."""
    assert keep(lake, NOON + timedelta(hours=11)) == []
    assert keep(lake, NOON + timedelta(hours=12)) == [DATE]


def test_of_dates_to_make_again_only_those_are_made_that_were(lake: LocalLake) -> None:
    """Who erases rows wants them out of what was made, and does not wait for what was not."""
    assert keep(lake, NOW, again=[DATE]) == []
    keep(lake, NOW)
    add(lake, "router", [asset(3)])
    assert keep(lake, NOW, again=["2026-11-19"]) == []
    assert keep(lake, NOW, again=[DATE]) == [DATE]


def test_what_retention_removes_is_not_made(lake: LocalLake) -> None:
    """A run between two removals would bring the day back."""
    assert keep(lake, NOW + timedelta(days=10), keep_days=10) == []
    assert keep(lake, NOW + timedelta(days=9), keep_days=10) == [DATE]


def test_a_day_of_too_many_sizes_has_none(lake: LocalLake) -> None:
    """And it is not tried again until its rows are others."""
    assert keep(lake, NOW, rows_max=4) == [DATE]
    assert counts(lake) == []
    assert keep(lake, NOW, rows_max=4) == []


@pytest.mark.parametrize("point", ["temporary written", "renamed"])
def test_a_kill_at_the_rename_leaves_what_the_next_run_mends(lake: LocalLake, point: str) -> None:
    """Killed before and after the rename, with sizes there already and without."""
    for step in range(2):
        add(lake, "router", [asset(HOUR * step)], sequence=7)
        before = sizes(lake)
        keep_killed("asset_sizes", lake, NOW, point)
        if point == "temporary written":
            assert_frame_equal(sizes(lake), before)
        keep(lake, NOW)
        assert sizes(lake).filter(pl.col("path").is_null())["responses"].sum() == 5 + step
    assert list((lake.path / ".tmp").rglob("*.tmp")) == []


def test_of_two_runs_at_once_one_is_refused(lake: LocalLake) -> None:
    """The second run does not get the lock; rows that came meanwhile are found by the next one."""
    refused = []

    def fault(point: str) -> None:
        if point == "temporary written" and not refused:
            add(lake, "router", [asset(5)], sequence=2)
            with pytest.raises(LakeLockedError):
                keep(LocalLake(lake.path), NOW)
            refused.append(point)

    keep(lake, NOW, fault=fault)
    assert refused
    assert keep(lake, NOW) == [DATE]
    assert (0, "/a.css", 100, 3) in counts(lake)


def test_on_s3_the_run_that_was_overtaken_writes_nothing(s3: S3Server, bucket: str) -> None:
    """Another run writes while one stands still: its write is refused, and the sizes are of the newest rows."""
    from tests.s3.fixtures import options_for

    def opened() -> S3Lake:
        return S3Lake(ObjectStore(options_for(s3, bucket)))

    opened().prepare()
    add(opened(), "router", [asset(1)])
    overtaken = []

    def fault(point: str) -> None:
        if point == "temporary written" and not overtaken:
            overtaken.append(point)
            add(opened(), "router", [asset(5)], sequence=2)
            assert keep(opened(), NOW) == [DATE]

    with pytest.raises(StaleOwnerError):
        keep(opened(), NOW, fault=fault)
    assert keep(opened(), NOW) == []
    assert counts(opened()) == [(0, None, None, 2), (0, "/a.css", 100, 2)]
