"""A connection that sees a few days of a lake: what is left out is never silently missing."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import duckdb
import pytest

from queries import database, reach
from queries.catalog import questions
from queries.few_days import FewDays
from queries.reach import Reach
from queries.views import VIEWS
from tests.queries.facts import FACTS, every_hour
from tests.queries.lakes import ALL, write_lake, write_rows
from transforms.asset_sizes.keeping import keep
from transforms.locallake import LocalLake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Opened = Callable[[Path], duckdb.DuckDBPyConnection]

SINCE = datetime(2026, 11, 15, 12, tzinfo=UTC)
UNTIL = SINCE + timedelta(days=1)
LEFT_OUT = "left out: "
DAYS = "SELECT DISTINCT date::VARCHAR FROM router ORDER BY ALL"


def make_lake(folder: Path) -> Path:
    """Twelve days of every table."""
    return write_lake(folder / "lake", every_hour({name: FACTS.get(name, [{}]) for name in ALL}))


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to all of them, for tests that change no file."""
    folder = tmp_path_factory.mktemp("days")
    with database.connect(str(make_lake(folder)), folder / "lake.duckdb") as opened:
        yield opened


def hiding(
    connection: duckdb.DuckDBPyConnection, since: datetime | None = SINCE, until: datetime | None = UNTIL
) -> FewDays:
    """The days of a window alone, however few the others are."""
    return FewDays(connection, Reach(((since, until),)), left_out_least=1)


def hiding_others(connection: duckdb.DuckDBPyConnection, question: str, **given: datetime | int) -> FewDays:
    """The days that a question looks at alone."""
    return FewDays(connection, reach.reach(question, given, UNTIL), left_out_least=1)


def files_planned(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    """Of how many files DuckDB chooses those that it reads."""
    plan = connection.execute(f"EXPLAIN {query}").fetchall()[0][1]
    return sum(int(found) for found in re.findall(r"Scanning Files: \d+/(\d+)", plan))


@pytest.mark.parametrize("table", VIEWS)
def test_only_the_files_of_the_window_are_planned_with(table: str, connection: duckdb.DuckDBPyConnection) -> None:
    """Of twelve days there are those that the window touches, and the empty files that tell the columns."""
    query = f"FROM {table}_between(TIMESTAMPTZ '{SINCE}', TIMESTAMPTZ '{UNTIL}', NULL)"
    rows = connection.execute(query).fetchall()
    assert files_planned(connection, query) == 13
    with hiding(connection):
        assert files_planned(connection, query) == 3
        assert connection.execute(query).fetchall() == rows


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) FROM router",
        "SELECT max(date) FROM router",
        "SELECT max(status) FROM router WHERE app = 'shop' AND status > 100",
        "SELECT count(*) FROM router WHERE status IS NULL",
        "SELECT count(*) FROM router WHERE date = '2026-11-10'",
        "SELECT count(*) FROM router WHERE timestamp < '2026-11-11' AND date < '2026-11-12' AND app = 'no such app'",
        "SELECT EXISTS(FROM router WHERE code = 'no such code')",
        "SELECT count(*) FROM router_between('2026-11-21T12:00:00Z', NULL, 'shop')",
        "SELECT count(*) FROM router JOIN (VALUES ('no such app')) AS apps (app) USING (app)",
        "SELECT count(*) FROM router JOIN minutes USING (date, app) WHERE date > '2026-11-19' AND requests = 1",
        "SELECT sum(len(latency_buckets)) FROM minutes WHERE latency_buckets IS NOT NULL",
        "SELECT app FROM router WHERE date < '2026-11-12' GROUP BY app HAVING count(*) > 10",
        "SELECT timestamp FROM router ORDER BY timestamp LIMIT 1",
    ],
)
def test_whoever_looks_at_another_day_is_told(query: str, connection: duckdb.DuckDBPyConnection) -> None:
    """Whatever of the rows is wanted, an answer without those of a day that is left out is an error, and is mended."""
    expected = connection.execute(query).fetchall()
    with hiding(connection) as few_days:
        with pytest.raises(duckdb.ConversionException, match=LEFT_OUT):
            connection.execute(query).fetchall()
        assert few_days.answer(lambda: connection.execute(query).fetchall()) == expected
        with pytest.raises(duckdb.ConversionException, match=LEFT_OUT):  # it was for that question only
            connection.execute(query).fetchall()


@pytest.mark.parametrize("hour", [0, 12])
def test_every_question_answers_as_with_all_days(hour: int, connection: duckdb.DuckDBPyConnection) -> None:
    """Whatever a question looks at besides its window, its answer is the same, also if nobody knew that it would."""
    since = SINCE.replace(hour=hour)
    window = {"since": since, "until": since + timedelta(days=1)}
    for question in questions():
        query = f"FROM {question.name}(since := $since, until := $until)"
        expected = connection.execute(query, window).fetchall()
        with hiding(connection, **window) as few_days:
            assert few_days.answer(lambda query=query: connection.execute(query, window).fetchall()) == expected


EARLIER = {"before_since": SINCE - timedelta(days=3)}
TWO_HOURS = {"since": SINCE, "until": SINCE + timedelta(hours=2)}
ASKED: list[tuple[str, dict[str, datetime]]] = [
    *((question.name, {"since": SINCE, "until": UNTIL}) for question in questions()),
    *((name, TWO_HOURS) for name in sorted(reach.OF_OTHER_DAYS)),
    ("compare_periods", {**TWO_HOURS, **EARLIER}),
    ("compare_periods", {**TWO_HOURS, **EARLIER, "before_until": SINCE - timedelta(days=2)}),
    ("compare_periods", {"since": SINCE - timedelta(days=2), "until": UNTIL + timedelta(days=8)}),
    ("compare_periods", {"until": UNTIL}),
    ("migration_diff", {**TWO_HOURS, **EARLIER}),
    ("migration_diff", {**TWO_HOURS, **EARLIER, "before_until": SINCE - timedelta(days=2)}),
    ("uncompressed_assets", {**TWO_HOURS, "balancer_since": SINCE - timedelta(days=3)}),
    ("load_test_verdict", {**TWO_HOURS, "plan_since": SINCE - timedelta(days=3)}),
    ("load_test_verdict", {**TWO_HOURS, "plan_until": SINCE - timedelta(days=2)}),
]


@pytest.mark.parametrize(("name", "given"), ASKED)
def test_no_question_is_asked_twice(
    name: str, given: dict[str, datetime], connection: duckdb.DuckDBPyConnection
) -> None:
    """Which days one looks at is known: to ask it once more with all days would cost more than to ask it so at once."""
    call = ", ".join(f"{parameter} := ${parameter}" for parameter in given)
    expected = connection.execute(f"FROM {name}({call})", given).fetchall()
    with hiding_others(connection, name, **given):
        assert connection.execute(f"FROM {name}({call})", given).fetchall() == expected


def test_a_gap_between_two_stretches_is_left_out(connection: duckdb.DuckDBPyConnection) -> None:
    """Of the days between a period and the one that it is compared with no file is planned with."""
    periods = {"since": SINCE + timedelta(days=5), "until": UNTIL + timedelta(days=5), **EARLIER}
    with hiding_others(connection, "compare_periods", **periods):
        on = "SELECT count(*) > 0 FROM router WHERE date = DATE '2026-11-{day}'"
        for day in (12, 13, 20, 21):
            assert connection.execute(on.format(day=day)).fetchall() == [(True,)]
        for day in (11, 15, 18):
            with pytest.raises(duckdb.ConversionException, match=LEFT_OUT):
                connection.execute(on.format(day=day)).fetchall()


@pytest.mark.parametrize("question", ["compare_periods", "load_test_verdict", "uncompressed_assets"])
def test_a_window_at_the_end_of_time_reaches_all(question: str) -> None:
    """No date lies beyond it, and none before the first: nobody's window is refused for that."""
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    assert reach.reach(question, {"since": first, "until": last}, last).is_open


class TestLookingBack:
    """A question that looks at some days before its window, and for a load balancer's rows of any day before."""

    ASK = f"FROM uncompressed_assets(TIMESTAMPTZ '{SINCE}', TIMESTAMPTZ '{UNTIL}', look_back_days := 1)"
    BALANCED = f"SELECT min(date)::VARCHAR FROM router_between(NULL, '{UNTIL}', NULL) WHERE source IN ('elb', 'alb')"
    ROW = FACTS["router"][0]

    @pytest.fixture(autouse=True)
    def one_day(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A month would be all days of a small lake."""
        monkeypatch.setattr(reach, "LOOK_BACK_DAYS", 1)

    def lake(self, folder: Path, *more: tuple[str, str]) -> Path:
        """Twelve days of requests with their sizes, and rows of some hours by others, as (hour, source)."""
        lake = write_lake(folder / "lake", every_hour({"router": [self.ROW]}))
        added = [{**self.ROW, "app": "shop", "timestamp": hour, "source": source} for hour, source in more]
        write_rows(lake, {"router": added}, 2)
        keep(LocalLake(lake), datetime(2026, 11, 22, tzinfo=UTC))
        return lake

    def hiding(self, connection: duckdb.DuckDBPyConnection) -> FewDays:
        """The days that it looks at."""
        return hiding_others(connection, "uncompressed_assets", since=SINCE, until=UNTIL)

    def planned(self, connection: duckdb.DuckDBPyConnection) -> int:
        """How many of the router's files are chosen from: one is the empty one."""
        return files_planned(connection, f"FROM router WHERE date = '{SINCE.date()}'") - 1

    def test_days_of_heroku_alone_are_left_out(self, tmp_path: Path, opened: Opened) -> None:
        """A balancer has nothing there, which needs no look; Heroku's rows of that day are missed by nobody."""
        connection = opened(self.lake(tmp_path))
        expected = connection.execute(self.ASK).fetchall()
        assert self.planned(connection) == 12
        with self.hiding(connection):
            assert self.planned(connection) == 2
            assert connection.execute(self.ASK).fetchall() == expected != []
            assert connection.execute(self.BALANCED).fetchall() == [(None,)]
            with pytest.raises(duckdb.ConversionException, match=LEFT_OUT):
                connection.execute("SELECT min(date) FROM router WHERE source = 'heroku'").fetchall()

    @pytest.mark.parametrize("source", ["elb", "alb"])
    def test_a_day_before_that_a_balancer_logged_is_there(self, source: str, tmp_path: Path, opened: Opened) -> None:
        """One after the window is not, which nobody looks at."""
        lake = self.lake(tmp_path, ("2026-11-11T10:00:00Z", source), ("2026-11-20T10:00:00Z", source))
        connection = opened(lake)
        expected = connection.execute(self.ASK).fetchall()
        with self.hiding(connection):
            assert self.planned(connection) == 4  # its two files are there
            assert connection.execute(self.BALANCED).fetchall() == [("2026-11-11",)]
            assert connection.execute(self.ASK).fetchall() == expected

    @pytest.mark.parametrize("source", ["heroku", "elb"])
    def test_a_day_is_there_that_has_more_than_is_known(self, source: str, tmp_path: Path, opened: Opened) -> None:
        """Its new rows may be anybody's."""
        lake = self.lake(tmp_path)
        more = {**self.ROW, "app": "shop", "timestamp": "2026-11-11T10:00:00Z", "source": source}
        write_rows(lake, {"router": [more]}, 3)
        connection = opened(lake)
        with self.hiding(connection):
            assert self.planned(connection) == 4
            balanced = [(None if source == "heroku" else "2026-11-11",)]
            assert connection.execute(self.BALANCED).fetchall() == balanced

    def test_a_balancers_days_that_are_not_looked_at_are_left_out(self, tmp_path: Path, opened: Opened) -> None:
        """Whoever looks at one all the same is told."""
        connection = opened(self.lake(tmp_path, ("2026-11-10T10:00:00Z", "elb"), ("2026-11-12T10:00:00Z", "elb")))
        since = datetime(2026, 11, 12, tzinfo=UTC)
        ask = f"{self.ASK[:-1]}, balancer_since := '2026-11-12')"
        expected = connection.execute(ask).fetchall()
        window = {"since": SINCE, "until": UNTIL}
        with hiding_others(connection, "uncompressed_assets", **window, balancer_since=since):
            assert self.planned(connection) == 4
            assert connection.execute(ask).fetchall() == expected
            with pytest.raises(duckdb.ConversionException, match=LEFT_OUT):
                connection.execute(self.BALANCED).fetchall()

    @pytest.mark.parametrize("known", [True, False])
    def test_the_requests_of_a_day_without_sizes_are_read(self, known: bool, tmp_path: Path, opened: Opened) -> None:
        """What a file had the day before the window proves that it is not compressed now, wherever that is kept."""
        file = {**self.ROW, "app": "shop", "method": "GET", "path": "/site.css", "status": 200, "code": None}
        before = [{**file, "timestamp": SINCE - timedelta(days=1), "bytes": 2000}] * 3
        rows = [*before, *({**file, "timestamp": SINCE + timedelta(hours=hour), "bytes": 9000} for hour in range(20))]
        lake = write_lake(tmp_path / "lake", every_hour({"router": [self.ROW]}))
        write_rows(lake, {"router": rows}, 2)
        keep(LocalLake(lake), datetime(2026, 11, 22, tzinfo=UTC))
        if not known:
            write_rows(lake, {"router": before[:1]}, 3)
        connection = opened(lake)
        ask = f"SELECT evidence {self.ASK[:-1]}, balancer_since := TIMESTAMPTZ '{SINCE}') WHERE path = '/site.css'"
        with hiding_others(connection, "uncompressed_assets", since=SINCE, until=UNTIL, balancer_since=SINCE):
            assert connection.execute(ask).fetchall() == [("strong",)]
            days = connection.execute("SELECT DISTINCT date::VARCHAR FROM drainlake_unsized").fetchall()
            assert days == ([] if known else [("2026-11-14",)])
            assert self.planned(connection) == 4  # of two days two each

    def test_where_nothing_is_known_all_before_are_there(self, tmp_path: Path, opened: Opened) -> None:
        """As before the first report made the sizes."""
        connection = opened(write_lake(tmp_path / "lake", every_hour({"router": [self.ROW]})))
        with self.hiding(connection):
            assert self.planned(connection) == 7


@pytest.mark.parametrize(("since", "until", "planned"), [(SINCE, None, 8), (None, UNTIL, 8), (None, None, 13)])
def test_a_side_may_be_open(
    since: datetime | None, until: datetime | None, planned: int, connection: duckdb.DuckDBPyConnection
) -> None:
    """Of that side no day is left out."""
    query = "SELECT * FROM router_between($since, $until, NULL) ORDER BY ALL"
    window = {"since": since, "until": until}
    rows = connection.execute(query, window).fetchall()
    with hiding(connection, since, until):
        assert files_planned(connection, "FROM router WHERE date > '1970-01-01' AND timestamp IS NOT NULL") == planned
        assert connection.execute(query, window).fetchall() == rows != []


def test_an_answer_that_is_still_being_read_is_whole(connection: duckdb.DuckDBPyConnection) -> None:
    """Where it needed other days they stay there until it is read; then all are there anyway."""
    rows = connection.execute("FROM router ORDER BY ALL").fetchall()
    with hiding(connection) as few_days:

        def begin() -> list[object]:
            cursor = connection.execute("FROM router ORDER BY ALL")
            return [cursor.fetchone(), cursor]

        first, cursor = few_days.answer(begin, stays=True)
        assert [first, *cursor.fetchall()] == rows
        assert len(connection.execute(DAYS).fetchall()) == 12


def test_afterwards_all_days_are_there(connection: duckdb.DuckDBPyConnection) -> None:
    """Nothing of it stays in the connection."""
    names = "SELECT count(*) FROM duckdb_views() WHERE database_name = 'temp'"
    before = connection.execute(names).fetchall()
    with hiding(connection):
        assert connection.execute(names).fetchall() > before
    assert connection.execute(names).fetchall() == before
    assert connection.execute("SELECT count(*) FROM duckdb_tables() WHERE temporary").fetchall() == [(0,)]
    assert len(connection.execute(DAYS).fetchall()) == 12


def test_few_other_days_stay(connection: duckdb.DuckDBPyConnection) -> None:
    """Of eleven files to leave out none is: to see that nothing of them is wanted would take longer."""
    window = Reach(((SINCE, UNTIL),))
    with FewDays(connection, window):
        assert len(connection.execute(DAYS).fetchall()) == 12
    with FewDays(connection, window, left_out_least=10):
        assert files_planned(connection, f"FROM router WHERE date = '{SINCE.date()}'") == 3
    with FewDays(connection, window, left_out_least=11):
        assert files_planned(connection, f"FROM router WHERE date = '{SINCE.date()}'") == 13


def test_cursors_see_all_days(connection: duckdb.DuckDBPyConnection) -> None:
    """Others who look at the same lake have nothing to do with it."""
    with hiding(connection), connection.cursor() as other:
        assert len(other.execute(DAYS).fetchall()) == 12


def test_of_two_at_once_both_answer_right(connection: duckdb.DuckDBPyConnection) -> None:
    """The later one hides the days of the earlier one, which is then answered with all days."""
    days = "SELECT DISTINCT date::VARCHAR FROM router WHERE date = '{day}'"

    def found(few_days: FewDays, day: str) -> list[tuple[str]]:
        return few_days.answer(lambda: connection.execute(days.format(day=day)).fetchall())

    with hiding(connection) as one:
        with hiding(connection, SINCE + timedelta(days=3), UNTIL + timedelta(days=3)) as other:
            assert found(one, "2026-11-15") == [("2026-11-15",)]
            assert found(other, "2026-11-18") == [("2026-11-18",)]
        assert found(one, "2026-11-15") == [("2026-11-15",)]
        assert found(one, "2026-11-18") == [("2026-11-18",)]


def test_a_file_that_goes_meanwhile_is_no_error(tmp_path: Path, opened: Opened) -> None:
    """Retention can remove a day while a report is made: it is asked with what is there then."""
    lake = make_lake(tmp_path)
    connection = opened(lake)
    with hiding(connection) as few_days:
        [file] = (lake / "router" / "date=2026-11-15").iterdir()
        file.unlink()
        rows = few_days.answer(lambda: connection.execute(DAYS).fetchall())
        assert len(rows) == 11
        assert few_days.answer(lambda: connection.execute(DAYS).fetchall()) == rows


def test_a_torn_file_is_told_by_the_question(tmp_path: Path, opened: Opened) -> None:
    """What is wrong with a file is an error of what reads it, and of nothing else."""
    lake = make_lake(tmp_path)
    connection = opened(lake)
    (lake / "router" / "date=2026-11-15" / "e0-000002.parquet").write_bytes(b"torn")
    with hiding(connection) as few_days:
        with pytest.raises(duckdb.Error, match="too small to be a Parquet file"):
            few_days.answer(lambda: connection.execute(DAYS).fetchall())
        assert few_days.answer(lambda: connection.execute("SELECT count(*) FROM php").fetchall()) == [(72,)]


def test_an_error_of_the_question_is_its_own(connection: duckdb.DuckDBPyConnection) -> None:
    """A question that refuses a parameter does so, and the days stay as they are."""
    with hiding(connection) as few_days:
        with pytest.raises(duckdb.InvalidInputException, match="step_minutes"):
            few_days.answer(lambda: connection.execute("FROM series(step_minutes := 0)").fetchall())
        assert files_planned(connection, f"FROM router WHERE date = '{SINCE.date()}'") == 3


@pytest.mark.parametrize("until", ["0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59.999999+00:00"])
def test_any_window_will_do(until: str, connection: duckdb.DuckDBPyConnection) -> None:
    """Also one that begins before the first day there is, or ends after the last."""
    moment = datetime.fromisoformat(until)
    with hiding(connection, min(SINCE, moment), moment) as few_days:
        assert len(few_days.answer(lambda: connection.execute(DAYS).fetchall())) == 12


def test_an_empty_lake_has_no_days_to_leave_out(tmp_path: Path, opened: Opened) -> None:
    """Nothing is hidden where nothing is."""
    connection = opened(tmp_path / "none")
    with hiding(connection) as few_days:
        assert few_days.answer(lambda: connection.execute(DAYS).fetchall()) == []
