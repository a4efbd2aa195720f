"""The minutes are a function of the lake's rows, whatever happens to those who make them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from queries import database
from tests.transforms.minute_rows import NOON, add, keep, keep_killed, kept, request
from transforms import pieces
from transforms.lake import LakeFile, LakeLockedError, StaleOwnerError
from transforms.locallake import LocalLake
from transforms.minutes import filling, making, runs
from transforms.minutes.spilling import Spill
from transforms.objects import ObjectStore
from transforms.retention import remove_old
from transforms.s3lake import S3Lake

if TYPE_CHECKING:
    from tests.s3.fixtures import S3Server

NOW = NOON + timedelta(days=1)
HOUR = 3600


@pytest.fixture
def lake(tmp_path: Path) -> LocalLake:
    """A day with requests of two apps, measurements, and lines."""
    lake = LocalLake(tmp_path / "lake")
    fill(lake)
    return lake


def fill(lake: Any) -> None:
    """Requests from noon to four, one in 20 s, and what the other tables say."""
    lake.prepare()
    add(lake, "router", (request(20 * i, i % 900, app="shop" if i % 3 else "blog") for i in range(720)))
    add(lake, "lines", ({"timestamp": NOON + timedelta(seconds=i), "app": "shop"} for i in range(0, 9000, 9)))
    samples = [("memory_total", 300 << 20), ("memory_quota", 512 << 20), ("load_avg_1m", 1)]
    measured = {"app": "shop", "source": "web.1", "kind": "dyno", "timestamp": NOON + timedelta(seconds=90)}
    add(lake, "samples", [{**measured, "metric": metric, "value": value} for metric, value in samples])


def anew(lake: LocalLake, now: Any = NOW) -> pl.DataFrame:
    """What the minutes are when all of them are made at once."""
    other = LocalLake(lake.path.with_name("anew"))
    shutil.rmtree(other.path, ignore_errors=True)
    shutil.copytree(lake.path, other.path)
    shutil.rmtree(other.path / "minutes")
    keep(other, now)
    return kept(other.path)


def test_a_run_without_changes_writes_nothing(lake: LocalLake) -> None:
    """Days that are over stay as they are; of today only the minutes that went by are added."""
    assert keep(lake, NOW).written == ("2026-11-20", "2026-11-21")
    before = lake.listing("minutes")
    assert keep(lake, NOW).written == ()
    assert lake.listing("minutes") == before
    assert keep(lake, NOW + timedelta(minutes=1)).written == ("2026-11-21",)
    assert_frame_equal(kept(lake.path), anew(lake, NOW + timedelta(minutes=1)))


def test_a_run_without_changes_reads_a_footer_a_day(lake: LocalLake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports and alarm checks make one each time: of a year of days that are over it must be nearly for nothing."""
    add(lake, "router", (request(HOUR * i) for i in range(-72, 0, 5)))
    keep(lake, NOW)
    read: list[LakeFile] = []
    monkeypatch.setattr(lake, "footer", lambda file: read.append(file) or LocalLake.footer(lake, file))
    for name in ("read", "pieces"):
        monkeypatch.setattr(lake, name, None)
    assert keep(lake, NOW).written == ()
    assert Counter(read) == dict.fromkeys(lake.listing("minutes"), 1)


LATE: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "an hour of the same day": [("router", request(2.5 * HOUR))],
    "a request that began an hour before": [("router", request(2.5 * HOUR, 80 * 60_000))],
    "over midnight": [("router", request(12 * HOUR + 5, 60_000))],
    "the first line of an app": [("lines", {"timestamp": NOON - timedelta(hours=30), "app": "new"})],
    "an earlier first line": [("lines", {"timestamp": NOON - timedelta(hours=30), "app": "shop"})],
    "lost lines": [("platform", {"timestamp": NOON + timedelta(hours=1), "app": "shop", "lines_dropped": 900})],
    "a day between": [("lines", {"timestamp": NOON + timedelta(hours=18), "app": "blog"})],
    "a load balancer's": [("router", request(HOUR, source="elb"))],
}


@pytest.mark.parametrize("late", LATE.values(), ids=LATE)
@pytest.mark.parametrize("sequence", [1, 2], ids=["tail", "new file"])
def test_late_lines_change_what_they_touch(lake: LocalLake, late: Any, sequence: int) -> None:
    """After late lines the minutes are those that all rows give at once, and few hours were made again."""
    keep(lake, NOW)
    for table, row in late:
        add(lake, table, [row], sequence=sequence)
    assert keep(lake, NOW).hours <= 3
    assert_frame_equal(kept(lake.path), anew(lake))


def test_rows_that_are_named_anew_are_counted_anew(lake: LocalLake) -> None:
    """New rules of routes change no number of rows, and the minutes follow all the same."""
    keep(lake, NOW)
    date_ = "2026-11-20"
    with lake.own("router", "e0"):
        (file,) = lake.files("router", date_, "e0")
        from transforms.parquet import Origin

        rows = lake.read(file)
        lake.publish(file, rows.with_columns(route=rows["path"].fill_null("/b")), Origin("log", 720, 0, routes="new"))
    keep(lake, NOW)
    assert kept(lake.path).filter(per="route")["key"].unique().to_list() == ["/b"]
    assert_frame_equal(kept(lake.path), anew(lake))


def work_in_small_pieces() -> None:
    """Count each hour by itself, and hold a few rows at a time."""
    making.SPAN_ROWS = making.HELD_ROWS = 1
    runs.BATCH_BYTES, runs.PIECE_BATCHES = 1_000, 1
    filling.CUT_ROWS = 100
    pieces.GROUP_BYTES = 10_000


def test_minutes_are_the_same_however_the_work_is_cut(lake: LocalLake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hours that are counted at once, batches, pieces and row groups change no row, also of what was held."""
    add(lake, "router", (request(3_700 * i, 4_000_000, route=f"/{i % 5}", dyno=f"web.{i}") for i in range(4)))
    add(lake, "lines", ({"timestamp": NOON + timedelta(minutes=i), "app": f"app-{i % 9}"} for i in range(90)))
    add(lake, "router", (request(100 * i, app=None) for i in range(9)))
    expected = anew(lake)
    for module, name in SIZES:
        monkeypatch.setattr(module, name, getattr(module, name))  # put back at the end
    work_in_small_pieces()
    keep(lake, NOW)
    assert_frame_equal(kept(lake.path), expected)
    for file in lake.listing("minutes"):
        assert len([*lake.pieces(file)]) > 9
        rows = lake.read(file)
        assert_frame_equal(rows, rows.sort("per", "app", "key", "timestamp"))
    add(lake, "router", [request(2.5 * HOUR)])
    assert keep(lake, NOW).hours == 1
    monkeypatch.undo()
    assert_frame_equal(kept(lake.path), anew(lake))


def test_rows_wait_in_memory_where_no_file_can_be_written(tmp_path: Path) -> None:
    """A container may have no room for temporary files: that costs memory, and not the minutes."""
    for folder in (tmp_path, tmp_path / "missing"):
        spill = Spill(folder)
        rows = [pl.DataFrame({"app": ["shop"] * 3, "minute": [number] * 3}) for number in range(3)]
        places = [spill.add(each) for each in rows]
        for each, place in reversed([*zip(rows, places, strict=True)]):
            assert_frame_equal(spill.rows(place), each)
    assert not (tmp_path / "missing").exists()


SIZES = [
    (making, "SPAN_ROWS"),
    (making, "HELD_ROWS"),
    (runs, "BATCH_BYTES"),
    (runs, "PIECE_BATCHES"),
    (filling, "CUT_ROWS"),
    (pieces, "GROUP_BYTES"),
]


@pytest.mark.parametrize("point", ["temporary written", "renamed"])
def test_a_kill_at_the_rename_leaves_what_the_next_run_mends(lake: LocalLake, point: str) -> None:
    """Killed before and after the rename, with minutes there already and without."""
    for step in range(2):
        add(lake, "router", [request(HOUR * step)], sequence=7)
        keep_killed("minutes", lake, NOW, point)
        keep(lake, NOW)
        assert_frame_equal(kept(lake.path), anew(lake))
    assert list((lake.path / ".tmp").rglob("*.tmp")) == []


WRITER = """
import os, sys
from datetime import datetime
from tests.transforms.test_minutes import work_in_small_pieces
from transforms.locallake import LocalLake
from transforms.minutes import days
from transforms.minutes.keeping import keep
work_in_small_pieces()
written = []
def complete(*given, whole=days.complete):
    written.append(whole(*given))
    if len(written) == 3:
        os.kill(os.getpid(), 9)
    return written[-1]
days.complete = complete
keep(LocalLake(sys.argv[1]), datetime.fromisoformat(sys.argv[2]))
"""


def test_a_kill_between_two_pieces_leaves_the_old_file_and_no_other(lake: LocalLake) -> None:
    """Killed while the day is written: readers see the minutes from before, and no temporary file stays."""
    keep(lake, NOW)
    before = kept(lake.path)
    add(lake, "router", [request(HOUR)])
    command = [sys.executable, "-c", WRITER, str(lake.path), NOW.isoformat()]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], check=False, timeout=60)
    assert done.returncode == -9
    assert_frame_equal(kept(lake.path), before)
    assert len(list((lake.path / ".tmp").rglob("*.*"))) == 1  # what was written of the day; the rest had no name
    keep(lake, NOW)
    assert_frame_equal(kept(lake.path), anew(lake))
    assert list((lake.path / ".tmp").rglob("*.tmp")) == []


def test_of_two_runs_at_once_one_is_refused(lake: LocalLake) -> None:
    """The second run does not get the lock; rows that came meanwhile are found by the next one."""
    refused = []

    def fault(point: str) -> None:
        if point == "temporary written" and not refused:
            add(lake, "router", [request(5)], sequence=2)
            with pytest.raises(LakeLockedError):
                keep(LocalLake(lake.path), NOW)
            refused.append(point)

    keep(lake, NOW, fault=fault)
    assert refused
    keep(lake, NOW)
    assert_frame_equal(kept(lake.path), anew(lake))


def test_on_s3_the_run_that_was_overtaken_writes_nothing(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    """Another run writes while one stands still: its write is refused, and all ends as on a local folder."""
    from tests.s3.fixtures import options_for

    def opened() -> S3Lake:
        return S3Lake(ObjectStore(options_for(s3, bucket)))

    fill(opened())
    overtaken = []

    def fault(point: str) -> None:
        if point == "temporary written" and not overtaken:
            overtaken.append(point)
            add(opened(), "router", [request(5)], sequence=2)
            keep(opened(), NOW)

    with pytest.raises(StaleOwnerError):
        keep(opened(), NOW, fault=fault)
    assert keep(opened(), NOW).written == ()
    add(opened(), "router", [request(9)], sequence=2)
    assert keep(opened(), NOW).hours == 1
    local = LocalLake(tmp_path / "lake")
    fill(local)
    add(local, "router", [request(5), request(9)], sequence=2)
    keep(local, NOW)
    found = [opened().read(file) for file in opened().listing("minutes")]
    whole = pl.concat(found).sort("per", "app", "key", "timestamp")
    assert_frame_equal(whole, kept(local.path))


def test_on_s3_landing_goes_on_meanwhile(s3: S3Server, bucket: str) -> None:
    """A tail that is replaced between the listing and the reading stops no run; the next one has all rows."""
    from tests.s3.fixtures import options_for

    landed: list[int] = []

    class Landing(S3Lake):
        def listing(self, table: str) -> dict[LakeFile, str]:
            found = super().listing(table)
            if table == "router":
                landed.append(1)
                add(S3Lake(ObjectStore(options_for(s3, bucket))), "router", [request(60 * len(landed))])
            return found

    lake = Landing(ObjectStore(options_for(s3, bucket)))
    fill(lake)
    for _ in range(2):
        keep(lake, NOW)
    opened = S3Lake(ObjectStore(options_for(s3, bucket)))
    keep(opened, NOW)
    counted = [opened.read(file).filter(per="app")["requests"].sum() for file in opened.listing("minutes")]
    assert sum(counted) == 720 + len(landed)


def test_retention_takes_minutes_as_it_takes_rows(lake: LocalLake) -> None:
    """A day that is removed stays away, also when the run looks at it before its last rows went."""
    keep(lake, NOW)
    lake.remove_date("router", "2026-11-20")
    today = date(2026, 11, 23)
    keep(lake, NOW + timedelta(days=2), keep_days=1)
    assert "minutes/2026-11-20" in remove_old(lake, 1, today)
    keep(lake, NOW + timedelta(days=2), keep_days=1)
    assert "2026-11-20" not in lake.dates("minutes")


def test_an_app_that_ends_has_rows_for_a_week(lake: LocalLake) -> None:
    """Its minutes go on, uncovered, until now; a week after its last line they end."""
    keep(lake, NOON + timedelta(hours=30))
    rows = kept(lake.path).filter(per="app", app="shop")
    assert rows["timestamp"][-1] == NOON + timedelta(hours=30, minutes=-3)
    assert rows.height == 30 * 60 - 2
    assert not rows["is_covered"][-60:].any()
    keep(lake, NOON + timedelta(days=20))
    last = kept(lake.path).filter(per="app", app="shop")["timestamp"][-1]
    assert timedelta(days=6) < last - NOON < timedelta(days=8)


def test_what_the_tables_say_stands_in_the_minute(lake: LocalLake) -> None:
    """Memory of the dyno and of the app, in MB and in percent of the quota; the samples of a line are one line."""
    keep(lake, NOW)
    at = NOON + timedelta(minutes=1)
    rows = kept(lake.path).filter(timestamp=at, app="shop")
    app, dyno = (rows.filter(per=per).row(0, named=True) for per in ("app", "dyno"))
    for row in (app, dyno):
        assert (row["memory_mb"], row["memory_percent"]) == (300.0, pytest.approx(58.59375))
    assert (app["requests"], app["lines"]) == (2, 2 + 7 + 1)
    assert (dyno["lines"], dyno["lines_lost"]) == (None, None)


def test_a_loss_told_by_several_tries_counts_once(lake: LocalLake) -> None:
    """Of the notices of one app, code, instant and hour the largest counts, also when another file has it."""
    lost = {"app": "shop", "event": "error", "code": "L10"}
    told = "Error L10 (output buffer overflow): {} messages dropped since 2026-11-20T12:29:00+00:00."
    for sequence, (seconds, count) in enumerate([(1800, 12), (1860, 15), (1920, 15), (3600, 16)]):
        row = {**lost, "timestamp": NOON + timedelta(seconds=seconds), "lines_dropped": count}
        add(lake, "platform", [{**row, "message": told.format(count)}], sequence=sequence)
        add(lake, "platform", [{**row, "message": None}], sequence=sequence)
    keep(lake, NOW)
    rows = kept(lake.path).filter(pl.col("lines_lost") > 0)
    assert [(at.minute, lost) for at, lost in rows.select("timestamp", "lines_lost").rows()] == [
        (30, 12), (31, 30), (32, 15), (0, 32)
    ]  # fmt: skip
    with database.connect(str(lake.path), lake.path / "lake.duckdb") as connection:
        assert connection.execute("SELECT dropped FROM coverage()").fetchall() == [(57,), (32,)]


def test_days_to_come_are_made_when_they_come(lake: LocalLake) -> None:
    """A line of next week or of the year 9999 stops nobody, and is not the newest minute before its day."""
    later = NOON + timedelta(days=7)
    for at in (later, later.replace(year=9999, month=12, day=31)):
        add(lake, "lines", [{"timestamp": at, "app": "shop"}])
    keep(lake, NOW)
    assert kept(lake.path)["timestamp"].max() < NOW
    keep(lake, later + timedelta(days=1))
    assert kept(lake.path).filter(app="shop", timestamp=later)["lines"].to_list() == [1]
    assert_frame_equal(kept(lake.path), anew(lake, later + timedelta(days=1)))


def test_absurd_numbers_stay_numbers(tmp_path: Path) -> None:
    """Times, sizes and losses as large as a column holds, or below zero, overflow nothing."""
    lake = LocalLake(tmp_path / "lake")
    lake.prepare()
    most = {"took_ms": 2**31 - 1, "connect_ms": 2**31 - 1, "bytes": 2**63 - 1}
    least = {"took_ms": -(2**31), "connect_ms": -(2**31), "bytes": -(2**63)}
    add(lake, "router", [request(1, **most), request(2, **most), request(3, **least)])
    add(lake, "platform", [{"timestamp": NOON, "app": "shop", "lines_dropped": count} for count in (2**63 - 1, -9)])
    keep(lake, NOW)
    (row,) = kept(lake.path).filter(per="app", timestamp=NOON).rows(named=True)
    assert (row["requests"], row["bytes"], row["lines_lost"]) == (3, 2 * 10**12, 10**12)
    assert row["peak_in_flight"] == 2


FAILED = [
    ({"status": 500}, 1, "500"),
    ({"status": 503, "code": "H12"}, 1, "H12"),
    ({"status": 499, "code": "H27"}, 0, "H27"),
    ({"status": 503, "code": "H28"}, 0, "H28"),
    ({"status": 400, "code": "H21"}, 1, "H21"),
    ({"status": 404}, 0, None),
    ({"status": None, "code": None}, 0, None),
]


@pytest.mark.parametrize(("row", "failed", "code"), FAILED, ids=str)
def test_what_counts_as_failed(tmp_path: Path, row: dict[str, Any], failed: int, code: str | None) -> None:
    """Errors of the server and of the router, but for those that the client makes; each under its code."""
    lake = LocalLake(tmp_path / "lake")
    lake.prepare()
    add(lake, "router", [request(0, **row)])
    keep(lake, NOW)
    rows = kept(lake.path)
    assert rows.filter(per="app")["failed"].sum() == failed
    assert rows.filter(per="code").select("key", "requests", "failed").rows() == ([(code, 1, failed)] if code else [])


def test_a_lake_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller gets one sentence and goes on; another process that makes minutes is waited for."""
    from drainlake import derived
    from drainlake.derived import keep_minutes
    from drainlake.settings import parse

    (tmp_path / "file").write_text("")
    told = keep_minutes(parse({"DRAINLAKE_HOME": str(tmp_path), "DRAINLAKE_LAKE": str(tmp_path / "file/lake")}), NOW)
    assert told is not None
    assert told.startswith("The one-minute series of ")
    assert told.count(". ") == 0
    good = parse({"DRAINLAKE_HOME": str(tmp_path)})
    assert keep_minutes(good, NOW) is None
    with ExitStack() as owned:
        owned.enter_context(LocalLake(tmp_path / "lake").own("minutes", "all"))
        monkeypatch.setattr(derived, "WAIT_SECONDS", 0.0)
        assert "Another process" in str(keep_minutes(good, NOW))
        monkeypatch.setattr(derived, "WAIT_SECONDS", 30.0)
        monkeypatch.setattr("time.sleep", lambda _: owned.close())  # while we wait, the other one ends
        assert keep_minutes(good, NOW) is None
