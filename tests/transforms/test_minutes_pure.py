"""What minutes are counted by: peaks, histograms, and the rule of whether the log was there."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from datetime import timedelta
from itertools import pairwise
from typing import Any
from unittest import mock

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tests.transforms.minute_rows import NOON, request
from transforms import parquet
from transforms.minutes import counting
from transforms.minutes.counting import narrowed
from transforms.minutes.coverage import DAY, covered
from transforms.minutes.flights import HOUR_US, MINUTE_US, in_flight_at, unit_peaks
from transforms.minutes.latency import buckets_of, values_of
from transforms.minutes.numbers import compact
from transforms.minutes.ranks import ranked
from transforms.minutes.requests import counted
from transforms.minutes.sides import of_side

# Few instants, most of them at borders of minutes and of the hour, so that ties are the rule.
INSTANTS = st.builds(
    lambda minute, us: minute * MINUTE_US + us, st.sampled_from([-1, 0, 1, 2, 5, 58, 59, 60]), st.integers(-2, 2)
)
FLIGHTS = st.lists(st.tuples(st.integers(0, 2), INSTANTS, INSTANTS).filter(lambda flight: flight[1] < flight[2]))


@given(flights=FLIGHTS)
def test_peaks_equal_brute_force(flights: list[tuple[int, int, int]]) -> None:
    """In each minute the most at once is that of counting at each instant at which something begins."""
    group, start, end = (np.array([flight[at] for flight in flights], np.int64) for at in range(3))
    found, _, _ = unit_peaks(group, start, end)
    peaks = dict(zip(zip(found.group.tolist(), found.minute.tolist(), strict=True), found.peak.tolist(), strict=True))
    expected = {}
    for one in {flight[0] for flight in flights}:
        spans = [(begin, stop) for number, begin, stop in flights if number == one]
        for minute in range(60):
            low = minute * MINUTE_US
            at = {low, *(begin for begin, _ in spans if low <= begin < low + MINUTE_US)}
            expected[one, minute] = max(sum(begin <= t < stop for begin, stop in spans) for t in at)
    assert peaks == {cell: peak for cell, peak in expected.items() if peak}


@given(flights=FLIGHTS, marks=st.lists(st.booleans(), min_size=40, max_size=40))
def test_tops_equal_brute_force(flights: list[tuple[int, int, int]], marks: list[bool]) -> None:
    """Each group's top of the hour is the first ended of the hour's arrivals at which it has its most, if there is one,
    and is marked if a marked interval is in flight then."""
    group, start, end = (np.array([flight[at] for flight in flights], np.int64) for at in range(3))
    marked = np.resize(np.array(marks), group.size)
    peaks, tops, _ = unit_peaks(group, start, end)
    late = in_flight_at(tops, group[marked], start[marked], end[marked])
    found = {of: told for of, *told in zip(*(each.tolist() for each in (*tops, late)), strict=True)}
    expected = {}
    for one in {flight[0] for flight in flights}:
        spans = [
            (begin, stop, mark) for (of, begin, stop), mark in zip(flights, marked.tolist(), strict=True) if of == one
        ]
        arrivals = [(stop, begin) for begin, stop, _ in spans if 0 <= begin < HOUR_US]
        flying = {begin: [mark for low, high, mark in spans if low <= begin < high] for _, begin in arrivals}
        most = max(peaks.peak[peaks.group == one], default=0)
        if at := [(stop, begin) for stop, begin in arrivals if len(flying[begin]) == most]:
            stop, begin = min(at)
            expected[one] = [begin, stop, most, any(flying[begin])]
    assert found == expected


@given(flights=FLIGHTS)
def test_time_at_each_level_equals_brute_force(flights: list[tuple[int, int, int]]) -> None:
    """Each group's microseconds of the hour with so many in flight are those of adding up the stretches between all
    starts and ends, and it is told since when and until when any was."""
    group, start, end = (np.array([flight[at] for flight in flights], np.int64) for at in range(3))
    _, _, levels = unit_peaks(group, start, end)
    held = [part.tolist() for part in np.split(levels.held_us, levels.offsets[1:-1])]
    told = zip(levels.group.tolist(), levels.first_us.tolist(), levels.last_us.tolist(), held, strict=False)
    found = {of: (first, last, times) for of, first, last, times in told}
    expected = {}
    for one in {flight[0] for flight in flights}:
        spans = [(max(low, 0), min(high, HOUR_US)) for of, low, high in flights if of == one]
        edges = sorted({0, HOUR_US, *(edge for span in spans for edge in span if 0 <= edge <= HOUR_US)})
        times: Counter[int] = Counter()
        for low, high in pairwise(edges):
            times[sum(begin <= low < stop for begin, stop in spans)] += high - low
        if most := max(times):
            first, last = (
                choose(span[at] for span in spans if span[0] < span[1]) for at, choose in enumerate([min, max])
            )
            expected[one] = (first, last, [times[level] for level in range(1, most + 1)])
    assert found == expected


REQUESTS = st.lists(
    st.builds(
        lambda minute, ms, **more: request(60 * minute + ms / 1000, **more),
        st.sampled_from([0, 4, 5, 10, 15, 29, 30, 55, 59, 60]),
        st.integers(-1, 1),
        took_ms=st.sampled_from([0, 1, 999, 30_000, 300_000, 3_000_000]),
        app=st.sampled_from(["shop", "blog"]),
        route=st.sampled_from(["/a", "/b", None]),
        dyno=st.sampled_from(["web.1", "web.2", None]),
        status=st.sampled_from([200, 503, 101, None]),
        code=st.sampled_from([None, None, "H12"]),
    ),
    max_size=30,
)


@settings(max_examples=40)
@example(rows=[request(100), request(2000), request(2000)], seconds=[], share=1)  # the second part's top is higher
@example(  # twice two at once: the one that ended first began in a later part
    rows=[request(200, 200_000), request(2000, 1_900_000), request(750, 50_000)], seconds=[], share=1
)
@example(  # both ended at once: the first begun
    rows=[request(200, 200_000), request(2000, 1_900_000), request(2000, 1_300_000)], seconds=[], share=1
)
@example(rows=[request(100, 300_000), request(110, 300_000), request(2000)], seconds=[], share=1)  # before the hour
@given(rows=REQUESTS, seconds=st.lists(st.integers(0, 3599), max_size=5), share=st.sampled_from([1, 9, 20, 35, 59]))
def test_an_hour_counted_in_parts_is_the_hour(rows: list[dict[str, Any]], seconds: list[int], share: int) -> None:
    """However few requests are counted at once, each minute is the same, and so is where the hour had its most; the
    hour's time at each level is the sum of what its parts tell."""
    noon = int(NOON.timestamp()) // 3600
    requests = narrowed(pl.DataFrame(rows, schema=parquet.SCHEMAS["router"]), pl.lit(value=True))
    lines = [{"timestamp": NOON + timedelta(seconds=second), "app": "shop"} for second in seconds]
    told = of_side("lines", pl.DataFrame(lines, schema=parquet.SCHEMAS["lines"]))
    whole = pl.concat(counting.of_hours(requests, told, range(noon, noon + 1)))
    with mock.patch.object(counting, "HOUR_ROWS_MAX", len(rows) * share // 60):
        parts = pl.concat(counting.of_hours(requests, told, range(noon, noon + 1)))
    assert_frame_equal(parts.drop(LEVELS), whole.drop(LEVELS))
    assert level_times(parts) == level_times(whole)


LEVELS = ("in_flight_from", "in_flight_until", "level_us", "has_timeout")


def level_times(minutes: pl.DataFrame) -> dict[Any, Any]:
    """Of what is counted apart since when and until when any was in flight, the time at each level, and whether some of
    it timed out; the last level of each row is reached."""
    told = minutes.filter(pl.col("level_us").is_not_null()).select("per", "app", "key", *LEVELS)
    groups: dict[Any, list[Any]] = defaultdict(list)
    for *key, first, last, level_us, has_timeout in told.iter_rows():
        assert level_us[-1] > 0
        groups[tuple(key)].append((first, last, Counter(dict(enumerate(level_us, 1))), has_timeout))
    times = {}
    for key, rows in groups.items():
        firsts, lasts, levels, timeouts = zip(*rows, strict=True)
        times[key] = (min(firsts), max(lasts), sum(levels, Counter()), any(timeouts))
    return times


@given(st.lists(st.integers(0, 9) | st.integers(0, 2_000)))
def test_numbers_are_told_apart_in_order(values: list[int]) -> None:
    """By a table or by sorting: the same numbers, and the same place of each."""
    found, place = compact(np.array(values, np.int64))
    assert found.tolist() == sorted(set(values))
    assert found[place].tolist() == values


NAMES = st.lists(st.none() | st.text(max_size=3))


@given(names=NAMES)
def test_names_are_numbered_in_their_order_as_text(names: list[str | None]) -> None:
    """No name comes first, and each number leads back to its name."""
    found = ranked(pl.Series(names, dtype=pl.String))
    assert found.names.to_list() == [None, *sorted({name for name in names if name is not None})]
    assert [found.names[number] for number in found.of_row.tolist()] == names


TIMES = st.lists(st.one_of(st.integers(0, 40), st.integers(0, 30_000), st.integers(0, 2**31 - 1)), min_size=1)


@given(times=TIMES, share=st.sampled_from([0.01, 0.5, 0.95, 0.99, 1.0]))
def test_percentiles_of_a_histogram_are_within_one_percent(times: list[int], share: float) -> None:
    """Of the real nearest-rank percentile, whatever the times are."""
    rank = math.ceil(share * len(times))
    exact = sorted(times)[rank - 1]
    buckets = buckets_of(np.array(times, np.int64))
    assert values_of(np.sort(buckets))[rank - 1] == pytest.approx(exact, rel=0.01, abs=0)


@given(one=TIMES, other=TIMES)
def test_histograms_add_up(one: list[int], other: list[int]) -> None:
    """Those of two minutes together are that of both minutes' requests."""

    def histogram(times: list[int]) -> Counter[int]:
        return Counter(buckets_of(np.array(times, np.int64)).tolist())

    assert histogram(one) + histogram(other) == histogram(one + other)


def every(minutes: int, lines: int, total: int) -> list[int]:
    """So many lines in one of so many minutes."""
    return [0 if at % minutes else lines for at in range(total)]


OFFICE = ([0] * 480 + [30] * 600 + [0] * 360) * 3
QUIET = ([60] * 1260 + every(90, 1, 180)) * 3
# What came before, the silent minutes, what comes after, and whether the silence is a hole.
SILENCES: dict[str, tuple[list[int], int, list[int], bool]] = {
    "busy, a minute": ([600] * 60, 1, [500] * 60, True),
    "measured every 20 s, a minute may be late": ([6] * 60, 1, [6] * 60, False),
    "measured every 20 s, two minutes": ([6] * 60, 2, [6] * 60, True),
    "a line in two minutes, an hour": (every(2, 1, 600), 60, every(2, 1, 600), True),
    "a line in two minutes, ten minutes": (every(2, 1, 600), 10, every(2, 1, 600), False),
    "two requests an hour, two hours": (every(30, 2, 1440), 120, every(30, 2, 1440), False),
    "two requests an hour, a day": (every(30, 2, 1440), 1440, every(30, 2, 1440), True),
    "a cron job with 1,000 lines an hour": (every(60, 1000, 1440), 59, every(60, 1000, 1440), False),
    "the same, missing for ten hours": (every(60, 1000, 1440), 600, every(60, 1000, 1440), True),
    "an hour of work a day": ([30] * 60 + [0] * 1380 + [30] * 60, 1380, [30] * 60 + [0] * 1380, False),
    "quiet at night": ([60] * 900 + every(5, 1, 300), 20, every(5, 1, 180) + [60] * 900, False),
    "an hour at noon, nights without a line": (OFFICE[:2160], 60, OFFICE[2220:], True),
    "three minutes at noon, nights without a line": (OFFICE[:2160], 3, OFFICE[2163:], True),
    "the nights of an office": (OFFICE[:2520], 840, OFFICE[3360:], False),
    "a night that is quieter than others": (QUIET[:2700], 180, QUIET[2880:], False),
    "the last lines of a steady app": ([6] * 600, 30, [], True),
    "too little to know": ([5] * 4, 600, [5] * 4, False),
    "after another hole": ([6] * 300 + [0] * 120 + [6] * 300, 4, [6] * 300, True),
}


@pytest.mark.parametrize(("before", "silent", "after", "is_hole"), SILENCES.values(), ids=SILENCES)
def test_silence_is_told_from_quiet(before: list[int], silent: int, after: list[int], is_hole: bool) -> None:
    """By the app's own pace around the silence."""
    lines = np.array([*before, *([0] * silent), *after], np.int64)
    flags = covered(lines, np.zeros_like(lines))
    assert flags[len(before) : len(before) + silent].tolist() == [not is_hole] * silent
    assert flags[lines > 0].all()


@pytest.mark.parametrize(
    ("lines", "lost", "is_covered"), [(100, 0, True), (100, 5, True), (100, 6, False), (0, 9, False)]
)
def test_a_minute_that_lost_lines_is_not_covered(lines: int, lost: int, is_covered: bool) -> None:
    """More than 5 % of them, by Heroku's own count."""
    flags = covered(np.array([9, lines, 9], np.int64), np.array([0, lost, 0], np.int64))
    assert flags.tolist() == [True, is_covered, True]


def test_random_lines_have_no_holes() -> None:
    """At any pace of lines that come at random, 80 days of minutes, no minute is taken for a hole."""
    generator = np.random.default_rng(5)
    for pace in (0.02, 0.1, 0.5, 2.0, 8.0):
        lines = generator.poisson(pace, 1440 * 80)
        lines = lines[np.flatnonzero(lines)[0] :].astype(np.int64)
        assert covered(lines, np.zeros_like(lines)).all(), pace


@pytest.mark.parametrize("night", [0.0, 0.001, 0.01, 0.1, 1.0])
def test_nights_are_no_holes(night: float) -> None:
    """200 lines a minute by day that fade out over hours to few or none, 20 days: each night is like the others."""
    share = (1 + np.cos((np.arange(DAY * 20) % DAY / DAY - 0.6) * 2 * np.pi)) / 2
    lines = np.random.default_rng(6).poisson(night + (200 - night) * share**3).astype(np.int64)
    lines = lines[np.flatnonzero(lines)[0] :]
    assert covered(lines, np.zeros_like(lines))[DAY:-DAY].all()


@given(st.lists(st.tuples(st.integers(0, 11), st.booleans(), st.booleans(), st.integers(-1, 1100)), max_size=120))
def test_requests_are_counted_as_one_by_one(rows: list[tuple[int, bool, bool, int]]) -> None:
    """The counts, the histogram and the step's percentile of each cell are those of its requests, taken one by one."""
    cell, is_failed, is_timed, bucket = (
        (np.array(column) for column in zip(*rows, strict=True)) if rows else [_NONE] * 4
    )
    counts = counted(cell, is_failed.astype(bool), cell + 1, is_timed.astype(bool), bucket.astype(np.int16))
    assert counts.cells.tolist() == sorted({row[0] for row in rows})
    for at, one in enumerate(counts.cells.tolist()):
        mine = [row for row in rows if row[0] == one]
        assert (counts.requests[at], counts.bytes[at]) == (len(mine), len(mine) * (one + 1))
        assert counts.failed[at] == sum(row[1] for row in mine)
        part = slice(counts.offsets[at], counts.offsets[at + 1])
        histogram = Counter(row[3] for row in mine if row[2])
        assert list(zip(counts.buckets[part], counts.counts[part], strict=True)) == sorted(histogram.items())
        step = sorted(row[3] for row in rows if row[2] and row[0] // 5 == one // 5)
        expected = values_of(np.array(step[-(-95 * len(step) // 100) - 1 :][:1])) if len(step) >= 20 else [np.nan]
        assert np.array_equal(counts.step_p95_ms[at : at + 1], expected, equal_nan=True)


_NONE = np.array([], np.int64)
