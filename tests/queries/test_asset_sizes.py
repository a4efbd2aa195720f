"""`uncompressed_assets` is the same whether `asset_sizes` were made or not, and reads them where they fit."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from tests.queries.flights import fill
from transforms.asset_sizes import counting
from transforms.parquet import SCHEMAS

if TYPE_CHECKING:
    from tests.queries.lakes import Row

MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)
NAMES = ["/a.css", "/b.js?v=1", "/c%2ejson", "/%64.SVG", "/e.txt", "/f.html#g", "/page", "/h.png", "/i%ff.map", None]
DAYS = 4
WINDOWS = [
    (None, None),
    (24, 48),
    (24, None),
    (48.5, 72.25),
    (None, 30.5),
    (49, 49.5),
    (49.25, 49.75),
    (24.01, 47.99),
]


def traffic(seed: int) -> list[Row]:
    """Four days of paths that go out in one size up to some hour and in another one from then on, in bursts, with
    responses among them that do not count."""
    chance = Random(seed)
    rows = [{**asset(at, 3000), "source": "elb"} for at in (0, 24 * DAYS - 0.001)]
    for app, name in itertools.product(["shop", "blog"], NAMES):
        small, switch = chance.randint(600, 1600), chance.choice([0, 24, 30, 49.5, 72, 96])
        sizes = chance.choice([(small, 4 * small), (4 * small, small), (2 * small, 9 * small)])
        for hour in [47, 49, *chance.sample(range(24 * DAYS), 20)]:
            for _ in range(chance.choice([1, 1, 30])):
                at = hour + chance.choice([0, 0.25, 0.5, 0.999, chance.random()])
                row = asset(at, chance.choice([*[sizes[at >= switch]] * 30, 3 * small]), name)
                rows.append({**row, "app": app, **chance.choice(OTHERS)})
    return rows


OTHERS: list[Row] = [
    *[{}] * 20,
    {"protocol": "http"},
    {"protocol": None},
    {"source": "elb"},
    {"method": "HEAD"},
    {"status": 304},
    {"code": "H27"},
    {"bytes": 0},
]


def put(memory: Any, rows: list[Row], kept: list[Row]) -> None:
    """Put these requests, and the sizes made of others, in the place of the ones before."""
    fill(memory, rows)
    made = counting.counted(pl.DataFrame(kept, schema=SCHEMAS["router"]).select(counting.COLUMNS))
    replacement = made.with_columns(date=pl.col("timestamp").dt.date()).to_arrow()
    memory.execute("TRUNCATE sized")
    memory.execute("INSERT INTO sized BY NAME SELECT * FROM replacement")
    del replacement


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_answers_are_those_without_sizes(memory: Any, window: tuple[float | None, float | None]) -> None:
    """Also where requests came after the sizes were made, or are gone since, and in windows that part an hour."""
    rows = traffic(2)
    bounds = [None if each is None else MIDNIGHT + timedelta(hours=each) for each in window]
    asks = [
        f"FROM uncompressed_assets(?, ?, {more})"
        for more in ("NULL", "'shop', look_back_days := 1", "NULL, look_back_days := 0")
    ]

    def answers(kept: list[Row]) -> list[Any]:
        put(memory, rows, kept)
        return [memory.execute(ask, bounds).fetchall() for ask in asks]

    expected = answers([])
    assert all(expected)
    of_second = [row for row in rows if row["timestamp"].date() == date(2026, 11, 21)]
    without_late = [row for row in rows if row not in of_second[::9]]
    assert answers(rows) == answers(without_late) == answers([*rows, asset(30, 9000)]) == expected


def asset(hours: float, octets: int, path: str = "/a.css") -> Row:
    """A response so many hours after midnight."""
    at = MIDNIGHT + timedelta(hours=hours)
    row = {"timestamp": at, "app": "shop", "source": "heroku", "method": "GET", "status": 200, "protocol": "http1.1"}
    return {**row, "path": path, "bytes": octets}


def test_sizes_are_read_in_the_place_of_requests_where_they_are_of_as_many(memory: Any) -> None:
    """Here sizes of as many other requests are put beside them, so that it shows which were read."""
    requests, others = [asset(1, 2000), asset(25, 5000)], [asset(1, 3000), asset(25, 6000)]
    ask = "SELECT bytes_each, evidence FROM uncompressed_assets('2026-11-21')"
    put(memory, requests, others)
    assert memory.execute(ask).fetchall() == [(6000, "likely")]
    put(memory, [*requests, asset(2, 2000, "/c")], others)  # the first day has one more
    assert memory.execute(ask).fetchall() == [(6000, "strong")]
    put(memory, [*requests, asset(26, 5000)], others)  # the second day has one more
    assert memory.execute(ask).fetchall() == [(5000, "likely")]


def test_hours_that_a_window_parts_are_read_from_the_requests(memory: Any) -> None:
    """Sizes are of whole hours; the other hours of the day come from them."""
    at = (1.25, 2.5, 3.25)
    put(memory, [asset(hours, 2000, "/r.css") for hours in at], [asset(hours, 2000, "/k.css") for hours in at])
    begins, ends = MIDNIGHT + timedelta(hours=1, minutes=10), MIDNIGHT + timedelta(hours=3, minutes=30)
    ask = "SELECT path, requests FROM uncompressed_assets(?, ?) ORDER BY ALL"
    assert memory.execute(ask, [begins, ends]).fetchall() == [("/k.css", 1), ("/r.css", 2)]
    assert memory.execute(ask, [begins, None]).fetchall() == [("/k.css", 2), ("/r.css", 1)]


def test_the_days_before_are_looked_at_from_midnight_on(memory: Any) -> None:
    """So that sizes of whole days tell of them."""
    put(memory, [asset(0.5, 2000), asset(36.5, 6000)], [])
    ask = "SELECT evidence FROM uncompressed_assets('2026-11-21 12:00', look_back_days := ?)"
    assert [memory.execute(ask, [days]).fetchall() for days in (0, 1)] == [[("likely",)], [("strong",)]]
