"""What is erased is gone from every reader and from the files, and everything else stays, exactly once."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from ingest.eventlog.embedded import EmbeddedLog
from tests.s3.fixtures import options_for
from tests.transforms.lines import NOON, append_requests, entry, landed_ids
from tests.transforms.memory_log import MemoryLog
from transforms import erasing, rewriting, settling
from transforms.addresses import Hasher
from transforms.erasure import Target, address_of, are_meant
from transforms.lake import LakeFile, LakeLockedError
from transforms.landing import land_once
from transforms.locallake import LocalLake
from transforms.minutes.keeping import keep
from transforms.objects import ObjectStore
from transforms.parquet import SCHEMAS
from transforms.s3lake import S3Lake

if TYPE_CHECKING:
    from collections.abc import Callable

    from ingest.eventlog.contract import EventLog
    from transforms.lake import Lake

JANE, OTHER = "203.0.113.7", "2001:db8::1"
TARGET = Target(frozenset({JANE}), frozenset({Hasher(b"k").token(JANE), "jane@example.com", "8601b555-6a83"}))

# Table, column, text, whether the row is meant.
CASES = (
    ("router", "client_ip", JANE, True),
    ("router", "client_ip", "203.0.113.70", False),
    ("router", "client_ip", f"::ffff:{JANE}", True),
    ("router", "client_ip", Hasher(b"k").token(JANE), True),
    ("router", "client_ip", Hasher(b"another").token(JANE), False),
    ("router", "forwarded_for", f"10.0.0.1, {JANE}:80", True),
    ("router", "forwarded_for", "::FFFF:CB00:7107", True),
    ("router", "request_id", "8601b555-6a83", True),
    ("router", "path", "/x?ip=203.000.113.007", True),
    ("router", "path", "/x?mail=Jane%40Example.com", True),
    ("router", "extra", f'{{"client_port":"{JANE}:51"}}', True),
    ("router", "dyno", f"{JANE}:80", False),
    ("access", "referrer", "https://e.com/?m=jane@example.com", True),
    ("php", "message", f"client: {JANE}, server: _", True),
    ("php", "message", "version 1203.0.113.7", False),
    ("php", "trace", "#0 mail('JANE@EXAMPLE.COM')", True),
    ("lines", "message", f"{Hasher(b'k').token(JANE)} logged in", True),
    ("lines", "message", "jane", False),
    ("releases", "actor", "jane@example.com", True),
    ("releases", "actor", None, False),
)


@pytest.mark.parametrize(("table", "column", "text", "is_meant"), CASES)
def test_rows_are_found_by_what_their_texts_hold(table: str, column: str, text: str | None, is_meant: bool) -> None:
    """In every spelling of an address, as its hash, percent-encoded, in any case."""
    row = {"timestamp": NOON, "app": "shop", column: text}
    assert are_meant(table, pl.DataFrame([row], schema=SCHEMAS[table]), TARGET).to_list() == [is_meant]


@pytest.mark.parametrize(
    ("wanted", "written", "is_meant"),
    [
        ("Jürgen Groß", "JÜRGEN GROß", True),
        ("Jürgen", "/x?n=J%C3%9CRGEN", True),
        ("jane+x@example.com", "/x?m=jane+x%40example.com", True),
        ("Pat O'Brien", "/x?n=pat%20o'brien", True),
        ("Pat O'Brien", "/x?n=Pat+O%27Brien", True),
        ("a.b|c(", "a.b|c(", True),
        ("a.b|c(", "axb|c(", False),
    ],
)
def test_a_text_is_found_in_any_case_and_however_much_of_it_is_encoded(
    wanted: str, written: str, is_meant: bool
) -> None:
    """Browsers, libraries and the app each leave other characters as they are; letters beyond ASCII have cases, too."""
    rows = pl.DataFrame([{"timestamp": NOON, "app": "shop", "message": written}], schema=SCHEMAS["lines"])
    assert are_meant("lines", rows, Target(texts=frozenset({wanted}))).to_list() == [is_meant]


@pytest.mark.parametrize("written", [OTHER, "2001:DB8:0::1", "[2001:db8::1]:443"])
def test_an_ipv6_address_is_found_in_every_spelling(written: str) -> None:
    """Whatever the router or the app made of it."""
    for column in ("client_ip", "path"):
        rows = pl.DataFrame([{"timestamp": NOON, "app": "shop", column: written}], schema=SCHEMAS["router"])
        assert are_meant("router", rows, Target(frozenset({OTHER}))).to_list() == [True]
        assert are_meant("router", rows, Target(frozenset({"2001:db8::2"}))).to_list() == [False]


def test_only_rows_of_the_app_and_the_time_are_meant() -> None:
    """`since` counts, `until` does not."""
    times = [NOON.replace(hour=hour) for hour in (11, 12, 13, 14)]
    rows = pl.DataFrame(
        [{"timestamp": at, "app": app, "client_ip": JANE} for at in times for app in ("shop", "blog")],
        schema=SCHEMAS["router"],
    )
    target = Target(frozenset({JANE}), app="shop", since=times[1], until=times[3])
    assert are_meant("router", rows, target).to_list() == [False, False, True, False, True, False, False, False]
    assert (target.may_have("2026-11-19"), target.may_have("2026-11-20"), target.may_have("2026-11-21")) == (
        False,
        True,
        False,
    )


@pytest.mark.parametrize(
    ("text", "address"), [("203.0.113.07", JANE), ("[2001:DB8::1]", OTHER), ("x", None), ("1.2.3", None)]
)
def test_an_address_that_a_person_writes_is_read_in_any_spelling(text: str, address: str | None) -> None:
    """And what is none is refused."""
    assert address_of(text) == address


REQUEST = {"path": "/a", "route": "/a", "status": 200, "service_ms": 9, "connect_ms": 0, "source": "heroku"}


def clients(ids: list[int], *, day: int = 0) -> list[dict[str, object]]:
    """Requests of two clients in turn, Jane's have the even ids."""
    return [
        {
            "timestamp": NOON.replace(day=20 + day, minute=i),
            "request_id": str(i),
            "client_ip": (JANE, OTHER)[i % 2],
            **REQUEST,
        }
        for i in ids
    ]


@pytest.fixture(params=["local", "s3"])
def open_lake(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Lake]:
    """The same lake for several processes, on a folder and on S3."""
    if request.param == "local":
        return lambda: LocalLake(tmp_path / "lake")
    s3, bucket = request.getfixturevalue("s3"), request.getfixturevalue("bucket")
    return lambda: S3Lake(ObjectStore(options_for(s3, bucket)))


def fill(log: EventLog, lake: Lake) -> None:
    """Two days in files of four rows: sealed ones, tails, and one file that is all Jane's."""
    for ids, day in (([0, 1, 2, 3], 0), ([4, 5, 6], 0), ([8, 10], 1)):
        log.append([entry("router", clients(ids, day=day))])
        land_once(log, lake, file_rows=4)


def ids_in(lake: Lake) -> list[int]:
    """The ids of all rows in the lake; a row that is there twice is there twice."""
    return sorted(int(i) for file in lake.listing("router") for i in lake.read(file)["request_id"])


def erase(lake: Lake, **more: object) -> int:
    """Step 1 over the whole lake; gives the erased rows."""
    found = [each.file for each in erasing.find(lake, TARGET)]
    return erasing.erase(lake, found, TARGET, **more).total()  # type: ignore[arg-type]


def later(monkeypatch: pytest.MonkeyPatch, seconds: float = rewriting.KEPT_SECONDS + 1) -> None:
    """Let so much time pass."""
    present = time.time
    monkeypatch.setattr(time, "time", lambda: present() + seconds)


def content(lake: Lake, file: LakeFile) -> bytes:
    """All bytes of a file."""
    name = f"{file.table}/date={file.date}/{file.name}"
    return lake._store.get(name).data if isinstance(lake, S3Lake) else (lake.path / name).read_bytes()  # type: ignore[attr-defined]


def old_bytes(lake: Lake, file: LakeFile) -> bytes:
    """What is left in a file of the versions before, apart from zeros."""
    current = next(each for each in lake.listing(file.table) if each == file)
    regions = rewriting.regions_in(lake.footer(current).metadata)
    return b"".join(content(lake, file)[region.start : region.end] for region in regions).strip(b"\0")


def test_erased_rows_are_gone_and_landing_goes_on_behind_them(open_lake: Callable[[], Lake]) -> None:
    """Sealed files and tails, a file that has no row left, and a position that the lake alone knows."""
    log, lake = MemoryLog(), open_lake()
    fill(log, lake)
    found = list(erasing.find(lake, TARGET))
    assert erasing.by_table(found) == {"router": 6}
    assert erase(lake) == 6
    assert ids_in(open_lake()) == [1, 3, 5]
    log.positions.clear()
    append_requests(log, [21], day=1)
    append_requests(log, [23])
    land_once(log, open_lake(), file_rows=4)
    assert ids_in(open_lake()) == [1, 3, 5, 21, 23]
    assert erase(open_lake()) == 0


def test_bytes_of_erased_rows_leave_the_files(open_lake: Callable[[], Lake], monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers in the middle of a scan get their time, then nothing of the old version is left, whoever erased."""
    lake = open_lake()
    fill(MemoryLog(), lake)
    erase(lake)
    files = list(erasing.erased_before(open_lake()))
    assert len(files) == 3
    before = [old_bytes(lake, file) for file in files]
    assert all(before)
    monkeypatch.setattr(erasing, "FORGET_SECONDS", 0.1)
    assert erasing.forget(open_lake(), files) == files
    later(monkeypatch)
    monkeypatch.setattr(erasing, "FORGET_SECONDS", 60)
    assert erasing.forget(open_lake(), files) == []
    # On S3 the rows that stay were written once more; the bytes of those that went are in neither.
    assert not any(old[:64] in content(open_lake(), file) for old, file in zip(before, files, strict=True))
    assert not any(old[-64:] in content(open_lake(), file) for old, file in zip(before, files, strict=True))
    assert ids_in(open_lake()) == [1, 3, 5]


def test_what_is_left_is_found_while_others_write_and_remove(
    open_lake: Callable[[], Lake], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the listing and a look at a footer a lander wrote on one file, and retention took another."""
    log, lake = MemoryLog(), open_lake()
    fill(log, lake)
    assert erase(lake) == 6
    lake = open_lake()  # as another process, which has looked at no footer yet
    listed = lake.listing("router")
    open_lake().remove_date("router", "2026-11-21")
    log.append([entry("router", clients([5]))])
    assert land_once(log, open_lake(), file_rows=4).files == 1
    monkeypatch.setattr(lake, "listing", lambda table: listed if table == "router" else {})
    assert sorted((file.date, file.sequence) for file in erasing.erased_before(lake)) == [
        ("2026-11-20", 1),
        ("2026-11-20", 2),
    ]


def test_rows_of_the_day_of_the_sentinels_are_erased_too(open_lake: Callable[[], Lake]) -> None:
    """A clock that was never set, or a line that claims that day: no listing shows its files."""
    log, lake = MemoryLog(), open_lake()
    log.append(
        [entry("router", [{**row, "timestamp": NOON.replace(year=1970, month=1, day=1)} for row in clients([0, 1])])]
    )
    land_once(log, lake, file_rows=4)
    assert erase(lake) == 1
    (file,) = lake.files("router", "1970-01-01", "e0")
    assert lake.read(file)["request_id"].to_list() == ["1"]
    assert [each.date for each in erasing.erased_before(lake)] == ["1970-01-01"]


def test_bytes_are_overwritten_where_the_disk_knows_no_holes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else they would stay for good there."""

    def refused(*_: object) -> None:
        raise OSError("this file system cannot make holes")

    monkeypatch.setattr(settling, "_punch", refused)
    lake = LocalLake(tmp_path / "lake")
    fill(MemoryLog(), lake)
    erase(lake)
    files = list(erasing.erased_before(lake))
    later(monkeypatch)
    assert erasing.forget(lake, files) == []
    assert not any(old_bytes(lake, file) for file in files)


def test_a_lander_that_writes_meanwhile_loses_nothing(open_lake: Callable[[], Lake]) -> None:
    """On a folder it is waited for, on S3 the slower one is refused and tries again."""
    log, lake = MemoryLog(), open_lake()
    fill(log, lake)
    append_requests(log, [23])
    visits = 0

    def lands(point: str) -> None:
        nonlocal visits
        visits += 1
        if visits == 1 and isinstance(lake, S3Lake):
            land_once(log, open_lake(), file_rows=4)
        elif visits == 1:
            with pytest.raises(LakeLockedError), open_lake().own("router", "e0"):
                raise AssertionError

    assert erase(lake, fault=lands) == 6
    land_once(log, open_lake(), file_rows=4)
    assert ids_in(open_lake()) == [1, 3, 5, 23]


def test_a_partition_that_stays_anothers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait has an end."""
    lake, other = LocalLake(tmp_path / "lake"), LocalLake(tmp_path / "lake")
    fill(MemoryLog(), lake)
    monkeypatch.setattr(erasing, "WAIT_SECONDS", 0.1)
    with other.own("router", "e0"), pytest.raises(LakeLockedError):
        erase(lake)
    assert ids_in(lake) == [0, 1, 2, 3, 4, 5, 6, 8, 10]


def test_minutes_are_made_again_also_where_as_many_rows_came_as_went(tmp_path: Path) -> None:
    """Their hours' counts are the same then, and only the count of erased rows tells them apart."""
    log, lake = MemoryLog(), LocalLake(tmp_path / "lake")
    log.append([entry("router", clients([0, 1]))])
    land_once(log, lake, file_rows=100)
    now = NOON.replace(day=21)
    keep(lake, now)
    erase(lake)
    log.append([entry("router", clients([5]))])
    land_once(log, lake, file_rows=100)
    keep(lake, now)
    (file,) = (file for file in lake.listing("minutes") if file.date == "2026-11-20")
    minutes = lake.read(file).filter((pl.col("per") == "app") & (pl.col("requests") > 0))
    assert [at.minute for at in minutes["timestamp"]] == [1, 5]


ERASER = """
import os, sys
from pathlib import Path
from transforms import erasing
from transforms.erasure import Target
from transforms.locallake import LocalLake
lake, deadly, nth = LocalLake(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])
target, visits = Target(frozenset({"203.0.113.7"})), 0
def fault(point):
    global visits
    visits += point == deadly
    if point == deadly and visits == nth:
        os.kill(os.getpid(), 9)
erasing.erase(lake, [each.file for each in erasing.find(lake, target)], target, fault)
erasing.forget(lake, list(erasing.erased_before(lake)), fault)
"""


@pytest.mark.parametrize(("point", "nth"), [("temporary written", 2), ("renamed", 1), ("forgetting", 1)])
def test_a_kill_leaves_whole_files_and_the_next_run_does_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, nth: int
) -> None:
    """With landing in between; nothing is left of what the first run erased, and nothing lands again."""
    log, lake = EmbeddedLog(tmp_path / "log.db"), LocalLake(tmp_path / "lake")
    fill(log, lake)
    command = [sys.executable, "-c", ERASER, str(lake.path), point, str(nth)]
    assert subprocess.run(command, check=False, cwd=Path(__file__).parents[2], timeout=60).returncode == -9
    assert {1, 3, 5} <= set(landed_ids(lake.path))
    append_requests(log, [23])
    land_once(log, lake, file_rows=4)
    erase(lake)
    files = list(erasing.erased_before(lake))
    later(monkeypatch)
    assert erasing.forget(lake, files) == []
    assert landed_ids(lake.path) == [1, 3, 5, 23]
    assert not any(old_bytes(lake, file) for file in files)
    assert land_once(log, lake, file_rows=4).files == 0
    log.close()
