"""A lake on a real S3 server: chains of conditional writes, readers of old footers, failures as sentences."""

from __future__ import annotations

import dataclasses
import threading
import time
from io import BytesIO
from typing import TYPE_CHECKING

import polars as pl
import pyarrow.parquet as pq
import pytest

from tests.s3.fixtures import options_for
from tests.transforms.lines import NOON
from transforms import parquet, rewriting
from transforms.lake import SENTINEL_DATE, LakeError, LakeFile, StaleOwnerError, Totals
from transforms.objects import ObjectStore, Patience, S3Options
from transforms.parquet import Origin
from transforms.s3lake import S3Lake

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.s3.faults import FaultProxy
    from tests.s3.fixtures import S3Server

DATE = "2026-11-20"
FIRST = LakeFile("router", DATE, "e0", 1)
PATIENCE = Patience(connect_seconds=1, read_seconds=1, write_seconds=2, retry_seconds=5)
STEP_SECONDS = rewriting.KEPT_SECONDS + 1


@pytest.fixture
def options(s3: S3Server, bucket: str) -> S3Options:
    """Where the lake is; nothing is there yet."""
    return options_for(s3, bucket, "the lake/v=1")


@pytest.fixture
def store(options: S3Options) -> ObjectStore:
    """The lake's objects."""
    return ObjectStore(options, PATIENCE)


@pytest.fixture
def lake(store: ObjectStore) -> S3Lake:
    """One lander's lake."""
    return S3Lake(store)


@pytest.fixture
def other(store: ObjectStore) -> S3Lake:
    """The same lake, as another lander has it."""
    return S3Lake(store)


def requests(count: int) -> pl.DataFrame:
    """Router rows that compress badly, known by `request_id`."""
    ids = [str(number) for number in range(count)]
    hashes = [f"/{hash((number, count)):x}{hash((count, number)):x}" for number in range(count)]
    frame = pl.DataFrame({"request_id": ids, "path": hashes})
    full = frame.with_columns(timestamp=pl.lit(NOON).cast(pl.Datetime("us", "UTC")), app=pl.lit("shop"))
    schema = parquet.SCHEMAS["router"]
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in schema.items() if name not in full.columns]
    return full.with_columns(missing).select(schema.names())


def origin(offset: int, *, sealed: bool = False) -> Origin:
    """An origin in one log."""
    return Origin("log", offset, 1000, sealed=sealed)


def tail(lake: S3Lake) -> LakeFile:
    """The newest file, with its version."""
    return lake.files("router", DATE, "e0")[0]


def ids(rows: pl.DataFrame) -> list[str]:
    """The rows by their ids."""
    return rows["request_id"].to_list()


def test_empty_lake_has_typed_sentinels(lake: S3Lake, store: ObjectStore) -> None:
    """Each table has a 0-row object with its schema; preparing again writes nothing."""
    assert lake.totals() is None
    lake.prepare()
    versions = store.below("")
    lake.prepare()
    assert store.below("") == versions
    assert [found.key for found in versions] == sorted(
        f"{table}/date=1970-01-01/empty-0.parquet" for table in parquet.SCHEMAS
    )
    for found in versions:
        footer = parquet.read_footer(BytesIO(store.get(found.key).data))
        assert (footer.rows, footer.schema) == (0, parquet.SCHEMAS[found.key.split("/")[0]])
    assert lake.totals() == Totals(0, 0, 0)
    assert lake.dates("router") == []
    assert lake.files("router", DATE, "e0") == []


@pytest.mark.parametrize("broken", ["torn", "older"])
def test_a_sentinel_that_does_not_fit_is_replaced(broken: str, lake: S3Lake, store: ObjectStore) -> None:
    """A torn sentinel and one of an older schema are written anew; the landed logs of the latter stay."""
    metadata = {"drainlake.landed": '["log e0"]'}
    older = parquet.encode(pl.DataFrame(schema={"app": pl.String()}), metadata)
    store.put_new(f"router/date={SENTINEL_DATE}/empty-0.parquet", older if broken == "older" else b"torn")
    lake.prepare()
    assert lake.landed_logs("router") == ({"log e0"} if broken == "older" else set())
    lake.add_landed_log("router", "log e1")
    assert "log e1" in lake.landed_logs("router")


def test_files_are_created_replaced_and_read(lake: S3Lake, other: S3Lake) -> None:
    """What one lander publishes another one lists, newest first, and reads: rows, schema and origin."""
    lake.publish(FIRST, requests(3), origin(1))
    lake.publish(tail(lake), requests(5), origin(2))
    lake.publish(LakeFile("router", DATE, "e0", 2), requests(1), origin(3))
    lake.publish(LakeFile("router", DATE, "e00", 7), requests(1), origin(3))
    files = other.files("router", DATE, "e0")
    assert [file.sequence for file in files] == [2, 1]
    assert None not in {file.version for file in files}
    assert other.dates("router") == [DATE]
    for reader in (lake, other):
        footer = reader.footer(files[1])
        assert (footer.rows, footer.schema, footer.origin) == (5, parquet.SCHEMAS["router"], origin(2))
        assert reader.read(files[1]).equals(requests(5))
    assert other.totals() == Totals(3, sum(found.size_bytes for found in other._store.below("router")), 1)


def test_a_large_footer_is_read_whole(lake: S3Lake, other: S3Lake) -> None:
    """A footer that is larger than the first read of the file's end is fetched once more."""
    lake.publish(FIRST, requests(3), Origin("log" * 40_000, 1, 0))
    found = other.footer(tail(other)).origin
    assert found is not None
    assert len(found.identity) == 120_000


def test_footers_that_are_foreseen_are_fetched_side_by_side(
    lake: S3Lake, options: S3Options, proxy: FaultProxy
) -> None:
    """Each answer waits until all three are asked for; afterwards the footers are there without a request."""
    for sequence in (1, 2, 3):
        lake.publish(dataclasses.replace(FIRST, sequence=sequence), requests(sequence), origin(sequence))
    reader = S3Lake(ObjectStore(dataclasses.replace(options, endpoint=proxy.endpoint), PATIENCE))
    files = reader.files("router", DATE, "e0")
    together = threading.Barrier(len(files), timeout=10)
    proxy.before_answer = lambda *_: together.wait()
    reader.foresee(files)
    proxy.seen.clear()
    assert [reader.footer(file).rows for file in files] == [3, 2, 1]
    assert proxy.seen == []


def test_what_is_foreseen_and_not_there_fails_when_it_is_asked_for(lake: S3Lake, store: ObjectStore) -> None:
    """A file that was replaced since it was listed, and one that is torn, stop nobody who does not read them."""
    lake.publish(FIRST, requests(1), origin(1))
    listed = tail(lake)
    lake.publish(listed, requests(2), origin(2))
    store.put_new(f"router/date={DATE}/e0-000002.parquet", b"torn, and long enough to have a footer")
    [torn, there] = lake.files("router", DATE, "e0")
    reader = S3Lake(store)
    reader.foresee([listed, torn])
    reader.foresee([there])
    assert reader.footer(there).rows == 2
    with pytest.raises(StaleOwnerError):
        reader.footer(listed)
    with pytest.raises(LakeError, match="no whole Parquet file"):
        reader.footer(torn)


def test_a_store_that_fails_is_not_asked_for_each_footer(options: S3Options, proxy: FaultProxy) -> None:
    """The first error ends it, or a year of days would wait for hours."""
    reader = S3Lake(ObjectStore(dataclasses.replace(options, endpoint=proxy.endpoint), PATIENCE))
    files = [dataclasses.replace(FIRST, sequence=sequence, version="1") for sequence in range(1, 400)]
    proxy.answer(403, times=1_000, delay_seconds=0.05)  # time to see the first error, also on a busy machine
    with pytest.raises(LakeError):
        reader.foresee(files)
    assert len(proxy.seen) < 100


def test_known_footers_are_not_fetched(options: S3Options, proxy: FaultProxy) -> None:
    """A lander that rewrites its own tail lists, reads the rows once, and writes."""
    lake = S3Lake(ObjectStore(dataclasses.replace(options, endpoint=proxy.endpoint)))
    lake.publish(FIRST, requests(3), origin(1))
    proxy.seen.clear()
    file = tail(lake)
    assert lake.footer(file).rows == 3
    lake.publish(file, lake.read(file), origin(2))
    assert lake.footer(tail(lake)).origin == origin(2)
    assert [request.method for request in proxy.seen] == ["GET", "GET", "PUT", "GET"]


def seal(lake: S3Lake, file: LakeFile) -> None:
    """As landing does it."""
    lake.seal(file)


def extend(lake: S3Lake, file: LakeFile) -> None:
    """Replace a tail."""
    lake.publish(file, requests(9), origin(9))


@pytest.mark.parametrize("step", [seal, extend])
@pytest.mark.parametrize("faster", [seal, extend])
@pytest.mark.parametrize("has_read", [True, False])
def test_a_stale_owner_cannot_write(
    step: Callable[[S3Lake, LakeFile], None],
    faster: Callable[[S3Lake, LakeFile], None],
    has_read: bool,
    lake: S3Lake,
    other: S3Lake,
) -> None:
    """Once another lander replaced or sealed the tail, whoever saw the version before can do neither."""
    lake.publish(FIRST, requests(3), origin(1))
    seen = tail(lake)
    if has_read:
        lake.read(seen)
    faster(other, tail(other))
    now = other._store.below("router")
    with pytest.raises(StaleOwnerError, match="written by another process; start again"):
        step(lake, seen)
    assert other._store.below("router") == now


def test_a_sequence_that_exists_cannot_be_created(lake: S3Lake, other: S3Lake) -> None:
    """Two landers begin the same sequence: the second one is refused and nothing of it is seen."""
    other.publish(FIRST, requests(3), origin(1))
    with pytest.raises(StaleOwnerError):
        lake.publish(FIRST, requests(4), origin(1))
    assert ids(other.read(tail(other))) == ["0", "1", "2"]


def test_an_older_version_cannot_be_read(lake: S3Lake, other: S3Lake) -> None:
    """Rows and footers are those of the version asked for, or none; the same for a file that is gone."""
    lake.publish(FIRST, requests(3), origin(1))
    seen = tail(other)
    lake.publish(tail(lake), requests(4), origin(2))
    for ask in (other.read, other.footer):
        with pytest.raises(StaleOwnerError):
            ask(seen)
    current = tail(other)
    lake.remove_date("router", DATE)
    for ask in (other.read, other.footer):
        with pytest.raises(StaleOwnerError):
            ask(current)


def test_a_sealed_file_has_the_same_rows(lake: S3Lake) -> None:
    """Sealing keeps rows and origin, says so in the footer, and writes once."""
    lake.publish(FIRST, requests(3), origin(1))
    lake.seal(tail(lake))
    sealed = tail(lake)
    assert lake.footer(sealed).origin == origin(1, sealed=True)
    assert lake.read(sealed).equals(requests(3))
    lake.seal(sealed)
    assert tail(lake).version == sealed.version


def test_landers_add_logs_at_the_same_time(store: ObjectStore) -> None:
    """No lander's note is lost, however they interleave."""
    S3Lake(store).prepare()
    names = [[f"log {lander} {number}" for number in range(8)] for lander in range(2)]

    def add(mine: list[str]) -> None:
        lake = S3Lake(store)
        for name in mine:
            lake.add_landed_log("router", name)

    threads = [threading.Thread(target=add, args=(mine,)) for mine in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert S3Lake(store).landed_logs("router") == {*names[0], *names[1]}


def read_with(footer: pq.FileMetaData, store: ObjectStore) -> pl.DataFrame:
    """What a reader sees that has its footer and asks the object for ranges only now."""
    data = store.get("router/date=2026-11-20/e0-000001.parquet").data
    with pq.ParquetFile(BytesIO(data), metadata=footer) as file:
        return pl.DataFrame(file.read())


def footer_now(store: ObjectStore) -> pq.FileMetaData:
    """The footer as a reader has it."""
    return pq.read_metadata(BytesIO(store.get("router/date=2026-11-20/e0-000001.parquet").data))


def test_readers_of_old_footers_find_their_rows(lake: S3Lake, store: ObjectStore) -> None:
    """After each replacement, and after a seal, whoever holds a footer from before it reads that version's rows."""
    lake.publish(FIRST, requests(2000), origin(1))
    held = [(footer_now(store), requests(2000))]
    for offset in range(2, 5):
        lake.publish(tail(lake), requests(2000 * offset), origin(offset))
        held.append((footer_now(store), requests(2000 * offset)))
    lake.seal(tail(lake))
    for footer, rows in held:
        assert read_with(footer, store).equals(rows)


@pytest.mark.parametrize("versions", [1, 2, 3, 6])
def test_settling_takes_the_dead_space_out(
    versions: int, lake: S3Lake, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In steps at least 15 s apart the file becomes compact; each step keeps the footer before it good."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    for version in range(1, versions + 1):
        lake.publish(FIRST if version == 1 else tail(lake), requests(3000 * version), origin(version))
    lake.seal(tail(lake))
    rows = requests(3000 * versions)
    writes = 0
    for _ in range(8):
        before, held = tail(lake).version, footer_now(store)
        lake.settle("router", "e0", now + STEP_SECONDS / 2)
        assert tail(lake).version == before
        now += STEP_SECONDS
        lake.settle("router", "e0", now)
        writes += tail(lake).version != before
        assert read_with(held, store).equals(rows)
        assert lake.read(tail(lake)).equals(rows)
        assert lake.footer(tail(lake)).origin == origin(versions, sealed=True)
    assert 0 < writes <= 4
    data = store.get("router/date=2026-11-20/e0-000001.parquet").data
    assert rewriting.kept_regions(BytesIO(data)) == []
    assert len(data) == len(parquet.encode(rows, origin(versions, sealed=True).metadata()))


def test_settling_carries_on_where_a_process_before_ended(
    lake: S3Lake, other: S3Lake, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lander that comes later finds the files with dead space; one that is written meanwhile is left alone."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    lake.publish(FIRST, requests(3000), origin(1))
    lake.publish(tail(lake), requests(6000), origin(2))
    for _ in range(6):
        now += STEP_SECONDS
        other.settle("router", "e0", now)
    assert rewriting.kept_regions(BytesIO(store.get("router/date=2026-11-20/e0-000001.parquet").data)) == []
    lake.publish(tail(lake), requests(9000), origin(3))
    assert ids(other.read(tail(other))) == ids(requests(9000))


def test_a_date_is_removed_for_good(lake: S3Lake, store: ObjectStore) -> None:
    """All files of the date go, other dates and the sentinel stay; the sentinel's date is refused."""
    lake.prepare()
    for sequence, date in ((1, DATE), (2, DATE), (1, "2026-11-21")):
        lake.publish(LakeFile("router", date, "e0", sequence), requests(1), origin(sequence))
    lake.remove_date("router", DATE)
    assert lake.dates("router") == ["2026-11-21"]
    assert len(store.below("router")) == 2
    with pytest.raises(ValueError, match="never removed"):
        lake.remove_date("router", SENTINEL_DATE)


WHOLE = parquet.encode(requests(1000), origin(1).metadata())


@pytest.mark.parametrize("data", [b"PAR1", b"x" * 100, WHOLE[:-9], WHOLE[:4] + bytes(9999) + WHOLE[10_003:]])
def test_a_damaged_file_is_named(data: bytes, lake: S3Lake, store: ObjectStore) -> None:
    """A file that is not whole is an error that says which one, and what to do."""
    store.put_new(f"router/date={DATE}/e0-000001.parquet", data)
    want = r"e0-000001\.parquet is no whole Parquet file; move it out of the lake"
    with pytest.raises(LakeError, match=want):
        lake.read(tail(lake))
    if not data.endswith(WHOLE[-8:]):
        with pytest.raises(LakeError, match=want):
            lake.footer(tail(lake))


def test_lost_answers_are_no_stale_owner(options: S3Options, proxy: FaultProxy) -> None:
    """A write that the store did though its answer was lost counts, and the lander goes on with what it wrote."""
    lake = S3Lake(ObjectStore(dataclasses.replace(options, endpoint=proxy.endpoint), PATIENCE))
    proxy.answer(500, method="PUT", passes_on=True)
    lake.publish(FIRST, requests(3), origin(1))
    proxy.reset(method="PUT", passes_on=True)
    lake.publish(tail(lake), requests(4), origin(2))
    proxy.answer(503, method="PUT", passes_on=True)
    lake.seal(tail(lake))
    assert lake.footer(tail(lake)).origin == origin(2, sealed=True)


@pytest.mark.parametrize("trouble", ["bucket", "denied", "503", "slow"])
def test_trouble_is_one_sentence(trouble: str, options: S3Options, proxy: FaultProxy) -> None:
    """Whatever a lander asks, trouble with the store is an error of the lake, and never a stale owner."""
    S3Lake(ObjectStore(options)).publish(FIRST, requests(3), origin(1))
    file = tail(S3Lake(ObjectStore(options)))
    changed = {"endpoint": proxy.endpoint}
    changed |= {"bucket": {"bucket": "no-bucket-here"}, "denied": {"secret_key": "wrong"}}.get(trouble, {})
    if trouble == "503":
        proxy.answer(503, times=1000)
    if trouble == "slow":
        proxy.delay(20, times=1000)
    patience = dataclasses.replace(PATIENCE, retry_seconds=1, write_seconds=1, read_seconds=0.5)
    lake = S3Lake(ObjectStore(dataclasses.replace(options, **changed), patience))
    want = {"bucket": "no bucket", "denied": "is denied", "503": "answers with 503", "slow": "cannot be reached"}
    for ask in (
        lake.prepare,
        lambda: lake.files("router", DATE, "e0"),
        lambda: lake.read(file),
        lambda: lake.publish(dataclasses.replace(file, version=None), requests(1), origin(1)),
        lake.totals,
    ):
        with pytest.raises(LakeError, match=want[trouble]) as caught:
            ask()
        assert type(caught.value) is LakeError
        assert "\n" not in str(caught.value)


def test_a_note_is_changed_by_one_at_a_time(lake: S3Lake, other: S3Lake, store: ObjectStore) -> None:
    """Who was overtaken makes the change again of what the other left, from nothing and from a version."""
    assert lake.note("_note") is None
    for name in ("a", "b"):
        overtaken = []

        def change(before: bytes | None, name: str = name, overtaken: list[None] = overtaken) -> bytes:
            if not overtaken:
                overtaken.append(None)
                other.change_note("_note", lambda held: (held or b"") + name.upper().encode())
            return (before or b"") + name.encode()

        lake.change_note("_note", change)
    assert other.note("_note") == b"AaBb"
    (version,) = [found.version for found in store.below("") if found.key == "_note"]
    assert lake.change_note("_note", lambda same: same or b"") == b"AaBb"
    assert [found.version for found in store.below("") if found.key == "_note"] == [version]
    assert lake.totals() is None
