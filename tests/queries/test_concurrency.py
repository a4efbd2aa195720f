"""The questions about requests in flight against the plainest possible counting."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from queries import database
from tests.queries.flights import (
    FIRST,
    KEYS,
    MIDNIGHT,
    Span,
    fill,
    flights,
    instants,
    left_out,
    micros,
    minutes,
    requests,
)
from tests.queries.lakes import write_lake, write_rows

if TYPE_CHECKING:
    from pathlib import Path

    from tests.queries.lakes import Row

# Steps before and after a border, near each other and further apart than the steps that are filled.
SECONDS = (0, 0, 1, 2, 61, 63)
LONGEST_MS = (12, 12, 1000, 2006, 61_000)
# At borders of hours. What is logged more than ten minutes after a window is not looked for.
HOURS = (0, 1800, 3600, 3601, 7200, 10_800)
NOT_TO_BE_MISSED_MS = (12, 1000, 599_000)
FIVE_MINUTES = 300_000_000


@given(
    rows=st.one_of(st.lists(requests(), max_size=25), st.lists(requests(SECONDS, LONGEST_MS), max_size=25)),
    since=instants(SECONDS),
    until=instants(SECONDS),
    per=KEYS,
)
@settings(max_examples=150, deadline=None)
def test_peak_equals_brute_force(
    memory: Any, rows: list[Row], since: datetime | None, until: datetime | None, per: str
) -> None:
    """For any requests and window, peak, instant and H12 mark equal counting at each start."""
    fill(memory, rows)
    answer = memory.execute("FROM peak_concurrency(?, ?, NULL, ?)", [since, until, per]).fetchall()
    expected = {group: highest(spans) for group, spans in flights(rows, since, until, per).items()}
    assert {(app, key): [peak, micros(at), mark] for app, key, peak, at, mark in answer} == expected


def fated(*kinds: str) -> st.SearchStrategy[list[tuple[Row, str]]]:
    """Requests, each with what became of it: kept in minutes, logged later than these were made, or gone since. In one
    lake the fates are letters of one kind."""
    return st.sampled_from(kinds).flatmap(
        lambda fates: st.lists(st.tuples(requests(HOURS, NOT_TO_BE_MISSED_MS), st.sampled_from(fates)), max_size=25)
    )


def fill_fated(memory: Any, rows: list[tuple[Row, str]]) -> list[Row]:
    """Fill lake and minutes by the fates; gives the requests that are in the lake."""
    there = [row for row, fate in rows if fate != "g"]
    fill(memory, there, kept=[row for row, fate in rows if fate != "l"])
    return there


@given(
    rows=fated("kkkkl", "kkkkg"),
    since=instants(HOURS),
    until=instants(HOURS),
    per=KEYS,
)
@settings(max_examples=150, deadline=None)
def test_peak_by_minutes_equals_brute_force(
    memory: Any, rows: list[tuple[Row, str]], since: datetime | None, until: datetime | None, per: str
) -> None:
    """It is the same if some requests came later than the minutes were made, and if some are gone since."""
    there = fill_fated(memory, rows)
    answer = memory.execute("FROM peak_concurrency(?, ?, NULL, ?)", [since, until, per]).fetchall()
    expected = {group: highest(spans) for group, spans in flights(there, since, until, per).items()}
    assert {(app, key): [peak, micros(at), mark] for app, key, peak, at, mark in answer} == expected


@given(rows=fated("kkkkl"), balanced=st.sets(st.integers(0, 24)), since=instants(HOURS), per=KEYS)
@settings(max_examples=60, deadline=None)
def test_peak_of_heroku_alone_leaves_out_what_a_load_balancer_logged(
    memory: Any, rows: list[tuple[Row, str]], balanced: set[int], since: datetime | None, per: str
) -> None:
    """Whatever a load balancer logs at the same time, which minutes do not know of, a move's peaks are of Heroku's
    requests."""
    sources = ("alb" if at in balanced else "heroku" for at in range(len(rows)))
    there = fill_fated(memory, [({**row, "source": of}, fate) for (row, fate), of in zip(rows, sources, strict=True)])
    answer = memory.execute("FROM peaks_between(?, NULL, NULL, ?, true)", [since, per]).fetchall()
    own = [row for row in there if row["source"] == "heroku"]
    expected = {group: highest(spans) for group, spans in flights(own, since, None, per).items()}
    assert {(app, key): [peak, micros(at), mark] for app, key, peak, at, mark in answer} == expected


def test_no_request_of_a_day_is_read_whose_minutes_are_whole(tmp_path: Path) -> None:
    """Minutes of as many requests as the day has rows tell all of it: its requests may be bytes that nobody can read,
    until one more comes."""
    day, later = ({**FINE, "timestamp": MIDNIGHT + timedelta(hours=hour), "connect_ms": 0} for hour in (1, 49))
    lake = write_lake(tmp_path / "lake", {"router": [day, later], "minutes": minutes([day]).drop("date").to_dicts()})
    asked = "FROM hours_between(NULL, NULL, NULL) ORDER BY ALL"
    with database.connect(str(lake), tmp_path / "lake.duckdb") as connection:
        expected = connection.execute(asked).fetchall()
        spoil_data(lake / "router" / "date=2026-11-23" / "e0-000001.parquet")
        assert connection.execute(asked).fetchall() == expected != []
        write_rows(lake, {"router": [{**day, "timestamp": day["timestamp"] + timedelta(seconds=1)}]}, 2)
        with pytest.raises(duckdb.Error):
            connection.execute(asked)


def spoil_data(file: Path) -> None:
    """Leave of a Parquet file only the footer readable."""
    whole = file.read_bytes()
    footer_begin = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    file.write_bytes(b"PAR1".ljust(footer_begin, b"?") + whole[footer_begin:])


@pytest.mark.parametrize(
    ("service_ms", "connect_ms"),
    [(4 * 3_600_000, 0), (12, 4 * 3_600_000), (3_000_000, 3_000_000), (26 * 3_600_000, None)],
)
@pytest.mark.parametrize("since", [None, MIDNIGHT + timedelta(minutes=30)])
def test_what_runs_for_hours_is_in_flight_where_it_began(
    memory: Any, since: datetime | None, service_ms: int, connect_ms: int | None
) -> None:
    """A request that is logged hours later counts at the window's begin and in the hours that minutes cannot tell of,
    also where minutes tell all of the day on which it is logged."""
    began_at = MIDNIGHT + timedelta(minutes=20)
    longest = {**FINE, "service_ms": service_ms, "connect_ms": connect_ms}
    longest["timestamp"] = began_at + timedelta(milliseconds=service_ms + (connect_ms or 0))
    rows = [longest, {**FINE, "timestamp": MIDNIGHT + timedelta(minutes=31), "service_ms": 10_000}]
    fill(memory, rows, kept=rows)
    [(peak,)] = memory.execute("SELECT peak FROM peak_concurrency(?, NULL)", [since]).fetchall()
    levels = memory.execute("FROM concurrency_levels(?, NULL)", [since]).fetchall()
    assert peak == 2
    assert levels == sorted(all_levels(flights(rows, since, None, "app"), None), key=in_order)


def test_minutes_of_before_1970_are_of_their_hour(memory: Any) -> None:
    """Division rounds to the greater hour there; a peak that minutes tell would be looked for in the wrong one."""
    row = {"timestamp": datetime(1969, 12, 31, 22, 30, 30, tzinfo=UTC), "app": "shop", "source": "heroku"}
    rows: list[Row] = [{**row, "dyno": "web.1", "service_ms": 100, "status": 200}]
    fill(memory, rows, kept=rows)
    assert memory.execute("SELECT peak FROM peak_concurrency()").fetchall() == [(1,)]


PATHS = st.sampled_from(["/a", "/a", "/a.css", "/a?f=b.css", "/A.CSS?v=1", None])
# Many at once within a few minutes, so that it matters in which of them all requests are looked at.
CROWDED = st.builds(
    lambda row, seconds, seconds_long: {
        **row,
        "timestamp": MIDNIGHT + timedelta(seconds=3600 + seconds),
        "app": "shop",
        "dyno": row["dyno"] or "web.2",
        "service_ms": 1000 * seconds_long,
        "status": 200,
    },
    requests(),
    st.sampled_from([5, 15, 65, 85, 130, 150, 185, 205, 600]),
    st.sampled_from([0, 15, 30, 60, 130]),
)


@given(
    rows=st.tuples(
        st.sampled_from(["k", "k", "kkkkl", "kkkkg"]),
        st.sampled_from([CROWDED, CROWDED, CROWDED, requests(HOURS, NOT_TO_BE_MISSED_MS)]),
    ).flatmap(lambda kind: st.lists(st.tuples(kind[1], PATHS, st.sampled_from(kind[0])), min_size=5, max_size=25)),
    since=instants((0, 3600)),
    until=instants((3700, 10_800)),
)
@settings(max_examples=150, deadline=None)
def test_peaks_of_php_equal_brute_force(
    memory: Any, rows: list[tuple[Row, str | None, str]], since: datetime | None, until: datetime | None
) -> None:
    """Of any requests those to PHP are compared at each start, whatever the minutes know of all requests."""
    there = fill_fated(memory, [({**row, "path": path}, fate) for row, path, fate in rows])
    dynamic = [row for row in there if row["path"] not in {"/a.css", "/A.CSS?v=1"}]
    answer = memory.execute(
        "SELECT app, peak, peak_at, dynos_then, busiest_dyno, busiest_peak, busiest_at, is_lower_bound"
        " FROM php_capacity(?, ?) WHERE of_type = 'standard-1x'",
        [since, until],
    ).fetchall()
    assert [tuple(micros(v) if isinstance(v, datetime) else v for v in row) for row in answer] == [
        capacity(app, spans, flights(dynamic, since, until, "dyno"))
        for (app, _), spans in sorted(flights(dynamic, since, until, "app").items())
    ]


def test_what_runs_through_the_busiest_minute_and_who_was_busiest_in_another_are_seen(memory: Any) -> None:
    """The app has its peak of six in one minute, one dyno has its own of three in another, each with a request that
    began in the minute before and ends in the one after."""
    even = [("web.1", 75, 15), ("web.2", 75, 15), ("web.3", 75, 15), ("web.2", 74, 13), ("web.3", 74, 13)]
    uneven = [("web.1", 615, 15), ("web.1", 614, 13), ("web.2", 614, 14)]
    rows = [flight(*each) for each in [*even, ("web.1", 121, 62), *uneven, ("web.1", 661, 62)]]
    fill(memory, rows, kept=rows)
    answer = "SELECT DISTINCT peak, busiest_dyno, busiest_peak FROM php_capacity()"
    assert memory.execute(answer).fetchall() == [(6, "web.1", 3)]


def flight(dyno: str, end_seconds: int, seconds: int) -> Row:
    """A request of PHP that ended so many seconds after one o'clock."""
    at = MIDNIGHT + timedelta(seconds=3600 + end_seconds)
    row = {"timestamp": at, "app": "shop", "source": "heroku", "dyno": dyno, "service_ms": 1000 * seconds}
    return {**row, "path": "/a", "status": 200}


def capacity(app: str, spans: list[Span], of_dynos: dict[Any, list[Span]]) -> tuple[Any, ...]:
    """What php_capacity tells of the peak of an app and of its dynos."""
    dynos = {dyno: spans for (of_app, dyno), spans in of_dynos.items() if of_app == app}
    peak, at = first_most(spans)
    busiest = min(dynos, key=lambda dyno: (-first_most(dynos[dyno])[0], first_most(dynos[dyno])[1], dyno))
    near = [
        dyno
        for dyno, each in dynos.items()
        if any(abs(s.start // FIVE_MINUTES - at // FIVE_MINUTES) <= 1 for s in each)
    ]
    return app, peak, at, len(near), busiest, *first_most(dynos[busiest]), any(span.timed_out for span in spans)


def first_most(spans: list[Span]) -> tuple[int, int]:
    """The most spans at one instant, and the first such instant."""
    levels = {at: sum(span.start <= at < span.end for span in spans) for at in starts(spans)}
    peak = max(levels.values())
    return peak, min(at for at, level in levels.items() if level == peak)


def test_more_at_once_than_a_counter_holds_are_counted(memory: Any) -> None:
    """A hundred thousand requests in flight at one instant are all counted, and those before them do not matter."""
    fill(memory, [])
    many = """INSERT INTO rows BY NAME
      SELECT DATE '2026-11-23' AS date, TIMESTAMPTZ '2026-11-23 12:00:00+00' + to_milliseconds(range) AS timestamp,
        'shop' AS app, 'heroku' AS source, 'web.1' AS dyno, 200 AS status, 0 AS connect_ms,
        CASE WHEN range < 200000 THEN 5 ELSE range - 200000 END AS service_ms
      FROM range(300000)"""
    memory.execute(many)
    [(peak, at)] = memory.execute("SELECT peak, peak_at FROM peak_concurrency('2026-11-23')").fetchall()
    assert (peak, at) == (100_000, MIDNIGHT + timedelta(hours=12, seconds=200))


def highest(spans: list[Span]) -> list[Any]:
    """The most spans at one instant, that instant, and whether a timed-out one is among them.

    Of several such instants, the one at which a span begins that ends before those of the others.
    """
    flying = {at: [span.timed_out for span in spans if span.start <= at < span.end] for at in starts(spans)}
    peak = max(map(len, flying.values()))
    at = min((span.end, span.start) for span in spans if len(flying[span.start]) == peak)[1]
    return [peak, at, any(flying[at])]


def starts(spans: list[Span]) -> set[int]:
    """The instants at which a span begins."""
    return {span.start for span in spans}


@given(
    rows=st.lists(requests((0, 0, 0, 2), (12, 12, 2006)), max_size=20),
    since=instants((0, 2)),
    until=instants((0, 2)),
    per=KEYS,
)
@settings(max_examples=80, deadline=None)
def test_levels_equal_brute_force(
    memory: Any, rows: list[Row], since: datetime | None, until: datetime | None, per: str
) -> None:
    """For any requests and window, the time at or above each level equals adding up the stretches between all starts
    and ends."""
    fill(memory, rows)
    answer = memory.execute("FROM concurrency_levels(?, ?, NULL, ?)", [since, until, per]).fetchall()
    assert answer == sorted(all_levels(flights(rows, since, until, per), until), key=in_order)


FINE: Row = {
    **dict.fromkeys(["route", "connect_ms", "code"]),
    "timestamp": MIDNIGHT,
    "app": "shop",
    "source": "heroku",
    "dyno": "web.1",
    "service_ms": 9,
    "status": 200,
}
TIMED_OUT: Row = {**FINE, "timestamp": MIDNIGHT + timedelta(hours=1, minutes=5), "status": 503, "code": "H12"}


@given(
    rows=fated("kkkkl", "kkkkg", "k"),
    since=instants(HOURS) | st.sampled_from([MIDNIGHT, MIDNIGHT + timedelta(hours=1)]),
    until=instants(HOURS) | st.sampled_from([MIDNIGHT + timedelta(hours=2), MIDNIGHT + timedelta(hours=3)]),
    per=KEYS,
)
@example(rows=[(TIMED_OUT, "k"), (FINE, "k")], since=None, until=None, per="app")
@settings(max_examples=150, deadline=None)
def test_levels_by_minutes_equal_brute_force(
    memory: Any, rows: list[tuple[Row, str]], since: datetime | None, until: datetime | None, per: str
) -> None:
    """The time at each level is the same if minutes tell of some hours, whatever came later or is gone since."""
    there = fill_fated(memory, rows)
    answer = memory.execute("FROM concurrency_levels(?, ?, NULL, ?)", [since, until, per]).fetchall()
    assert answer == sorted(all_levels(flights(there, since, until, per), until), key=in_order)


def test_minutes_of_an_older_version_tell_nothing_of_requests_in_flight(memory: Any) -> None:
    """Minutes that lack the time at each level do not stand for the requests, which are read instead."""
    fill(memory, [FINE, TIMED_OUT], kept=[FINE, TIMED_OUT])
    memory.execute("UPDATE made SET level_us = NULL, in_flight_from = NULL, in_flight_until = NULL, has_timeout = NULL")
    answer = memory.execute("SELECT level, is_lower_bound FROM concurrency_levels()").fetchall()
    assert answer == [(0, True), (1, True)]


def all_levels(groups: dict[Any, list[Span]], until: datetime | None) -> list[tuple[Any, ...]]:
    """The rows of concurrency_levels, in any order."""
    rows = []
    for (app, key), spans in groups.items():
        edges = [edge for (other, _), some in groups.items() if other == app for edge in borders(some, until)]
        looked_at = max(edges) - min(edges)
        held = [looked_at, *held_at_least(spans, until)]
        mark = any(span.timed_out for span in spans)
        for level, (here, above) in enumerate(zip(held, [*held[1:], 0], strict=True)):
            rows.append((app, key, level, here / 1e6, here / looked_at, 1 - above / looked_at, mark))
    return rows


def borders(spans: list[Span], until: datetime | None) -> list[int]:
    """All starts, and all ends cut at the window's, in order."""
    high = max(span.end for span in spans) if until is None else micros(until)
    return sorted({edge for span in spans for edge in (span.start, min(span.end, high))})


def held_at_least(spans: list[Span], until: datetime | None) -> list[int]:
    """Microseconds with one or more in flight, two or more, and so on up to the most."""
    edges = borders(spans, until)
    stretches = [(end - start, sum(span.start <= start < span.end for span in spans)) for start, end in pairwise(edges)]
    peak = max(level for _, level in stretches)
    return [sum(length for length, level in stretches if level >= least) for least in range(1, peak + 1)]


def in_order(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """By app, key (NULL last) and what follows."""
    return (row[0], row[1] is None, row[1] or "", row[2])


@given(
    rows=st.lists(requests(SECONDS, LONGEST_MS), max_size=12),
    since=instants(SECONDS),
    until=instants(SECONDS),
    per=KEYS,
    width=st.sampled_from([1, 1, 2, 60, 86_400]),
)
@settings(max_examples=60, deadline=None)
def test_steps_equal_brute_force(
    memory: Any, rows: list[Row], since: datetime | None, until: datetime | None, per: str, width: int
) -> None:
    """For any requests, window and step, each row equals counting within its step alone, and no row is missing."""
    fill(memory, rows)
    call = "FROM concurrency_over_time(?, ?, NULL, ?, ?)"
    answer = memory.execute(call, [since, until, per, width]).fetchall()
    expected = all_steps(rows, since, until, per, width * 1_000_000)
    assert answer == sorted(expected, key=in_order)


def all_steps(
    rows: list[Row], since: datetime | None, until: datetime | None, per: str, width: int
) -> list[tuple[Any, ...]]:
    """The rows of concurrency_over_time, in any order."""
    groups, others = flights(rows, since, until, per), left_out(rows, since, until, per)
    answer = []
    for app, key in groups.keys() | others.keys():
        spans, apart = groups.get((app, key), []), others.get((app, key), [])
        for step in shown(spans, [at for at, _ in apart], until, width):
            low = max(step * width, step * width if since is None else micros(since))
            high = min((step + 1) * width, (step + 1) * width if until is None else micros(until))
            sockets = [is_socket for at, is_socket in apart if at // width == step]
            begins = FIRST + timedelta(microseconds=step * width)
            within = figures(spans, low, high)
            answer.append((app, key, begins, *within[:-1], sum(sockets), len(sockets) - sum(sockets), within[-1]))
    return answer


def shown(spans: list[Span], others: list[int], until: datetime | None, width: int) -> list[int]:
    """The steps that something reaches, and those of gaps of up to 60 steps."""
    reached = {at // width for at in others}
    for span in spans:
        end = span.end if until is None else min(span.end, micros(until))
        reached |= set(range(span.start // width, (end - 1) // width + 1))
    gaps = pairwise(sorted(reached))
    return sorted(reached | {step for one, two in gaps if two - one <= 61 for step in range(one, two)})


def figures(spans: list[Span], low: int, high: int) -> tuple[Any, ...]:
    """Peak, its first instant, mean, arrivals and mark of the stretch [low, high)."""
    here = [span for span in spans if span.start < high and span.end > low]
    flying = {at: sum(span.start <= at < span.end for span in here) for at in {low} | starts(here) if at >= low}
    peak = max(flying.values())
    at = FIRST + timedelta(microseconds=min(at for at, level in flying.items() if level == peak)) if peak else None
    held = sum(min(span.end, high) - max(span.start, low) for span in here)
    arrivals = sum(span.arrived and span.start >= low for span in here)
    return peak, at, held / (high - low), arrivals, any(span.timed_out for span in here)


def test_too_many_steps_are_refused(memory: Any) -> None:
    """Requests a minute apart for 12 days make a million steps of a second each: refused; of a minute they are few."""
    memory.execute("TRUNCATE rows")
    memory.execute(
        "INSERT INTO rows BY NAME SELECT timestamp, 'shop' AS app, 'heroku' AS source, timestamp::DATE AS date"
        " FROM (SELECT TIMESTAMPTZ '2026-11-01 00:00Z' + n * INTERVAL 1 MINUTE AS timestamp FROM range(16669) AS t (n))"
    )
    for question in ("throughput", "concurrency_over_time"):
        with pytest.raises(duckdb.Error, match="over 1,000,000 rows; try a longer step"):
            memory.execute(f"FROM {question}(step_seconds := 1)")
        (steps,) = memory.execute(f"SELECT count(*) FROM {question}(step_seconds := 60)").fetchone()
        assert steps == 16669
