"""A lake on a real S3 server answers as a local one does, also while it is written, and tells what is wrong."""

from __future__ import annotations

import dataclasses
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import duckdb
import pytest

from drainlake import lake as front
from drainlake import settings
from drainlake.errors import Failure
from drainlake.reporting import make_report
from queries import database, remote
from queries.report.model import Window
from tests.queries.cases import FILES, case_id, comparable, load, statement
from tests.queries.lakes import write_lake
from tests.queries.report import calm
from tests.queries.report.hostile import hostile_tables
from tests.s3.fixtures import options_for
from tests.transforms.test_s3lake import FIRST, origin, requests, tail
from transforms import parquet
from transforms.lake import LakeFile
from transforms.objects import ObjectStore
from transforms.s3lake import S3Lake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from tests.queries.lakes import Row
    from tests.s3.faults import FaultProxy
    from tests.s3.fixtures import S3Server
    from transforms.objects import S3Options

    Holding = Callable[[Mapping[str, Iterable[Row]]], duckdb.DuckDBPyConnection]

# One question for each table; which of them are asked makes no difference to how files are read.
ASKED = (
    "coverage",
    "crawlers",
    "database_health",
    "php_errors",
    "r14_memory",
    "releases",
    "slowest",
    "unparsed_shapes",
)
ONE_EACH = [next(file for file in FILES if file.parent.name == name and load(file).get("rows")) for name in ASKED]
COUNT = "SELECT count(*), count(DISTINCT request_id), coalesce(max(request_id::BIGINT), -1) FROM router"


@pytest.fixture(params=["the lake/v=1", "", "[x]*?{a}"])
def options(request: pytest.FixtureRequest, s3: S3Server, bucket: str) -> S3Options:
    """A prefix in a fresh bucket, none, and one of glob characters."""
    return options_for(s3, bucket, request.param)


@pytest.fixture
def plain(s3: S3Server, bucket: str) -> S3Options:
    """A plain prefix in a fresh bucket."""
    return options_for(s3, bucket, "lake")


@pytest.fixture
def connected(tmp_path: Path) -> Iterator[Callable[[S3Options], duckdb.DuckDBPyConnection]]:
    """Connects to a lake on S3, and closes what it opened when the test is over."""
    connections: list[duckdb.DuckDBPyConnection] = []

    def connect(options: S3Options) -> duckdb.DuckDBPyConnection:
        objects = ObjectStore(options)
        connections.append(database.connect(options.place, tmp_path / "remote" / "lake.duckdb", objects))
        return connections[-1]

    yield connect
    for connection in connections:
        connection.close()


def upload(folder: Path, options: S3Options) -> None:
    """Put a local lake on S3 as it is."""
    store = ObjectStore(options)
    for file in folder.rglob("*.parquet"):
        store.put_new(file.relative_to(folder).as_posix(), file.read_bytes())


@pytest.mark.parametrize("file", ONE_EACH, ids=case_id)
def test_questions_answer_as_on_a_local_lake(
    file: Path,
    plain: S3Options,
    tmp_path: Path,
    connected: Callable[[S3Options], duckdb.DuckDBPyConnection],
    holding: Holding,
) -> None:
    """A question about each table gives the same rows from a folder and from S3."""
    case = load(file)
    upload(write_lake(tmp_path / "lake", case["tables"]), plain)
    local, distant = (
        [[comparable(value) for value in row] for row in connection.execute(statement(case)).fetchall()]
        for connection in (holding(case["tables"]), connected(plain))
    )
    assert distant == local == case["rows"]


@pytest.mark.parametrize("state", ["nothing", "sentinels"])
def test_an_empty_lake_answers_with_no_rows(
    state: str, options: S3Options, connected: Callable[[S3Options], duckdb.DuckDBPyConnection]
) -> None:
    """A prefix with no objects, or with sentinels only, answers every question with no rows."""
    if state == "sentinels":
        S3Lake(ObjectStore(options)).prepare()
    connection = connected(options)
    for name in ASKED:
        assert connection.execute(f"FROM {name}()").fetchall() == []


def test_new_files_are_seen(
    options: S3Options, connected: Callable[[S3Options], duckdb.DuckDBPyConnection], tmp_path: Path
) -> None:
    """Files that come later are seen: the first ones by the next connection, further ones at once."""
    assert connected(options).execute(COUNT).fetchall() == [(0, 0, -1)]
    lake = S3Lake(ObjectStore(options))
    lake.prepare()
    lake.publish(FIRST, requests(3), origin(1))
    connection = connected(options)
    assert connection.execute(COUNT).fetchall() == [(3, 3, 2)]
    lake.publish(dataclasses.replace(FIRST, date="2026-11-21"), requests(4), origin(2))
    assert connection.execute(COUNT).fetchall() == [(7, 4, 3)]
    for pattern in (
        "**/*.parquet",
        "router/**",
        "router/date=2026-11-2?/e0-*.parquet",
        "*/date=2026-11-2[01]/*.parquet",
    ):
        place = options.place.replace("[", "[[]").replace("*", "[*]").replace("?", "[?]")
        found = connection.execute(
            f"SELECT count(*) FILTER (file NOT LIKE '%/empty-0.parquet') FROM glob('{place}/{pattern}')"
        )
        assert found.fetchall() == [(2,)], pattern


def test_a_file_that_is_replaced_while_it_is_read(plain: S3Options) -> None:
    """Who opened a file before it was replaced reads that version: its end as fetched, its rows at their old places."""
    lake = S3Lake(ObjectStore(plain))
    lake.publish(FIRST, requests(9000), origin(1))
    files = remote.LakeFiles(ObjectStore(plain))
    (name,) = files.glob(f"{plain.place}/router/*/*.parquet")
    with files.open(name) as reader:
        lake.publish(tail(lake), requests(20000), origin(2))
        lake.publish(tail(lake), requests(30000), origin(3))
        assert parquet.read(reader).equals(requests(9000))
    assert files.glob(name) == [name]
    assert files.info(name)["size"] == len(ObjectStore(plain).get("router/date=2026-11-20/e0-000001.parquet").data)


def test_readers_and_a_lander_at_the_same_time(
    plain: S3Options, connected: Callable[[S3Options], duckdb.DuckDBPyConnection]
) -> None:
    """While a tail is rewritten and sequences begin, each query sees every row once, of some moment."""
    lake = S3Lake(ObjectStore(plain))
    lake.prepare()
    connection = connected(plain)
    wrong: list[object] = []
    done = threading.Event()

    def read() -> None:
        cursor = connection.cursor()
        while not done.is_set():
            rows, ids, highest = cursor.execute(COUNT).fetchall()[0]
            if not rows == ids == highest + 1:
                wrong.append((rows, ids, highest))

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        first = 0
        for sequence in range(1, 4):
            file = LakeFile("router", "2026-11-20", "e0", sequence)
            for step in range(1, 12):
                lake.publish(file, requests(first + 200 * step)[first:], origin(sequence * 100 + step))
                file = tail(lake)
            first += 200 * step
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert connection.execute(COUNT).fetchall() == [(6600, 6600, 6599)]


def test_the_database_holds_no_secret(
    plain: S3Options, connected: Callable[[S3Options], duckdb.DuckDBPyConnection], tmp_path: Path
) -> None:
    """The file names the lake's place and neither of the keys."""
    S3Lake(ObjectStore(plain)).prepare()
    connected(plain)
    held = (tmp_path / "remote" / "lake.duckdb").read_bytes()
    assert plain.place.encode() in held
    assert (plain.secret_key or "").encode() not in held
    assert (plain.access_key or "").encode() not in held


def test_the_secret_of_httpfs_is_for_the_lake_alone(plain: S3Options) -> None:
    """Keys, region, endpoint and style stand in one statement, quoted, with the lake as scope."""
    odd = dataclasses.replace(plain, secret_key="it's", session_token="token")
    said = remote.secret_statement(ObjectStore(odd))
    assert said.startswith(
        "CREATE OR REPLACE SECRET drainlake (TYPE s3, KEY_ID 'tester', SECRET 'it''s', REGION 'us-east-1'"
    )
    assert f"SCOPE '{odd.place}', SESSION_TOKEN 'token'" in said
    assert said.endswith(f"ENDPOINT '{(odd.endpoint or '').removeprefix('http://')}', URL_STYLE 'path', USE_SSL false)")
    amazon = remote.secret_statement(ObjectStore(dataclasses.replace(odd, endpoint=None)))
    assert "ENDPOINT" not in amazon


def test_the_lake_is_only_read(plain: S3Options, connected: Callable[[S3Options], duckdb.DuckDBPyConnection]) -> None:
    """SQL writes nothing into the lake and reads nothing beside it."""
    S3Lake(ObjectStore(plain)).prepare()
    connection = connected(plain)
    with pytest.raises(duckdb.Error, match="which only landing writes; write to a local file"):
        connection.execute(f"COPY (SELECT 1) TO '{plain.place}/x.parquet'")
    with pytest.raises(duckdb.Error, match="is not in the lake; read what is in"):
        connection.execute(f"FROM 's3://{plain.bucket}/other/*.parquet'")


def configured(plain: S3Options, tmp_path: Path, **changes: str) -> settings.Settings:
    """Settings for the lake as a user gives them."""
    names = {
        "DRAINLAKE_HOME": str(tmp_path / "home"),
        "DRAINLAKE_LAKE": plain.place,
        "AWS_ENDPOINT_URL": plain.endpoint or "",
        "AWS_ACCESS_KEY_ID": plain.access_key or "",
        "AWS_SECRET_ACCESS_KEY": plain.secret_key or "",
        "AWS_REGION": plain.region or "",
    }
    return settings.parse(names | changes)


def test_a_report_is_that_of_a_local_lake(plain: S3Options, tmp_path: Path) -> None:
    """It asks with two connections, of which the second has views of tables that the first report makes."""
    folder = write_lake(tmp_path / "lake", calm.tables() | hostile_tables())
    upload(folder, plain)
    window, now = Window(calm.DAY, calm.DAY + timedelta(days=1)), calm.DAY + timedelta(days=2)
    homes = [configured(plain, tmp_path), settings.parse({"DRAINLAKE_HOME": str(tmp_path)})]
    for _ in range(2):
        distant, local = (dataclasses.replace(make_report(home, window, now), previous_until=None) for home in homes)
        assert distant.findings != ()
        assert distant == local


TROUBLE = {
    "no bucket": ({"DRAINLAKE_LAKE": "s3://no-such-bucket/x"}, "There is no bucket no-such-bucket at ", "make it"),
    "denied": ({"AWS_SECRET_ACCESS_KEY": "s3cr3t"}, "Access to s3://", "check the AWS credentials"),
    "region": ({"AWS_REGION": "eu-west-9"}, "The bucket ", "set AWS_REGION to its own"),
    "away": ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "The store of s3://", "check http://127.0.0.1:1"),
}


@pytest.mark.parametrize("name", TROUBLE)
def test_trouble_is_one_sentence(name: str, plain: S3Options, tmp_path: Path) -> None:
    """A command that opens the lake says in one sentence what is wrong, and one thing to try."""
    changes, sentence, remedy = TROUBLE[name]
    with pytest.raises(Failure) as caught, front.open_lake(configured(plain, tmp_path, **changes)):
        pytest.fail("the lake was opened")
    assert caught.value.sentence.startswith(sentence)
    assert caught.value.remedy.startswith(remedy)
    assert "\n" not in caught.value.sentence
    assert "s3cr3t" not in caught.value.sentence + caught.value.remedy


def test_a_report_on_a_store_that_is_away_fails_with_one_sentence(plain: S3Options, tmp_path: Path) -> None:
    """Told once, whoever of the two that ask meets it first."""
    away = configured(plain, tmp_path, AWS_ENDPOINT_URL="http://127.0.0.1:1")
    with pytest.raises(Failure, match="The store of s3://"):
        make_report(away, Window(calm.DAY, calm.DAY + timedelta(days=1)), calm.DAY + timedelta(days=2))


def test_trouble_amid_a_query_is_one_sentence(plain: S3Options, tmp_path: Path, proxy: FaultProxy) -> None:
    """A store that fails after the lake was opened: the query ends with the store's sentence."""
    lake = S3Lake(ObjectStore(plain))
    lake.prepare()
    lake.publish(FIRST, requests(5000), origin(1))
    with front.open_lake(configured(plain, tmp_path, AWS_ENDPOINT_URL=proxy.endpoint)) as connection:
        proxy.answer(503, times=1000)
        with pytest.raises(Failure) as caught:
            front.interruptible(connection, lambda: connection.execute("SELECT max(path) FROM router").fetchall())
    assert caught.value.sentence == f"The store of {plain.place} answers with 503 again and again."
    assert caught.value.remedy == "try later"
