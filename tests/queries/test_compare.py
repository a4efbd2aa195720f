"""compare_periods against plain counting, against a bootstrap over blocks, and for how often it is wrong."""

from __future__ import annotations

import math
import random
import statistics
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.queries.lakes import Row, write_lake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import duckdb

    Opened = Callable[[Path], duckdb.DuckDBPyConnection]

LATER = datetime(2026, 11, 23, tzinfo=UTC)
WEEK = timedelta(days=7)
CALL = "compare_periods(since := '2026-11-23', until := '2026-11-24', at_least := 60)"


class Request(NamedTuple):
    """A request: its route, its period, its minute of the day, its time, whether it failed."""

    route: str
    later: bool
    minute: int
    ms: int
    failed: bool


def lake_of(requests: Iterable[Request], lake: Path) -> Path:
    """A lake with these requests, the earlier ones a week before the later."""
    rows: list[Row] = [
        {
            "timestamp": LATER + timedelta(minutes=request.minute) - (timedelta(0) if request.later else WEEK),
            "app": "shop",
            "source": "heroku",
            "method": "GET",
            "route": request.route,
            "service_ms": request.ms,
            "status": 500 if request.failed else 200,
        }
        for request in requests
    ]
    return write_lake(lake, {"router": rows})


def noisy(
    chance: random.Random, route: str, later: bool, requests: int, median_ms: float, minutes: int = 1440
) -> list[Request]:
    """Requests whose times depend on each other: each minute is slow or fast much as the minute before was."""
    level, levels = 0.0, []
    for _ in range(minutes):
        level = 0.8 * level + chance.gauss(0, 0.15)
        levels.append(level)
    drawn = [chance.randrange(minutes) for _ in range(requests)]
    times = [round(median_ms * math.exp(levels[minute] + chance.gauss(0, 0.6))) for minute in drawn]
    return [Request(route, later, minute, ms, False) for minute, ms in zip(drawn, times, strict=True)]


@pytest.mark.parametrize("seed", [1, 2])
def test_figures_equal_plain_counting(seed: int, tmp_path: Path, opened: Opened) -> None:
    """Percentiles, both ends of each interval and the error shares equal their definition, for each route and all."""
    chance = random.Random(seed)
    sizes = {"/a": (200, 300), "/b": (120, 60), "/c": (61, 400)}
    requests = [
        Request(route, later, chance.randrange(70), int(chance.expovariate(0.02)), chance.random() < 0.2)
        for route, counts in sizes.items()
        for later in (False, True)
        for _ in range(counts[later])
    ]
    figures = (
        "p50_before_ms, p50_after_ms, p50_low_ms, p50_high_ms, p95_before_ms, p95_after_ms, p95_low_ms, p95_high_ms, "
        "error_before_share, error_after_share"
    )
    connection = opened(lake_of(requests, tmp_path / "lake"))
    answer = connection.execute(f"SELECT route, {figures} FROM {CALL}").fetchall()
    total = sum(counts[1] for counts in sizes.values())
    mixes = {route: {route: 1.0} for route in sizes}
    mixes["all routes"] = {route: counts[1] / total for route, counts in sizes.items()}
    assert {
        route: [pytest.approx(rest[:8], abs=0.051), pytest.approx(rest[8:], abs=1e-6)] for route, *rest in answer
    } == {route: [times(requests, mix), shares(requests, mix)] for route, mix in mixes.items()}


def times(requests: list[Request], mix: dict[str, float]) -> list[float | None]:
    """The percentiles and the intervals of their differences, for routes weighted by ``mix``; an open end is None."""
    figures: list[float | None] = []
    for p in (0.5, 0.95):
        (before, low, high), (after, after_low, after_high) = (
            interval(side_of(requests, mix, later), mix, blocks_of(requests, later), p) for later in (False, True)
        )
        figures += [before, after]
        figures.append(None if high is None else after - before - math.hypot(after - after_low, high - before))
        figures.append(None if after_high is None else after - before + math.hypot(after_high - after, before - low))
    return figures


def shares(requests: list[Request], mix: dict[str, float]) -> list[float]:
    """The error shares of both periods, for routes weighted by ``mix``."""
    sides = (side_of(requests, mix, later) for later in (False, True))
    return [sum(mix[route] * sum(r.failed for r in rs) / len(rs) for route, rs in side.items()) for side in sides]


def side_of(requests: list[Request], mix: dict[str, float], later: bool) -> dict[str, list[Request]]:
    """A period's requests by route."""
    return {route: [r for r in requests if r.later is later and r.route == route] for route in mix}


def blocks_of(requests: list[Request], later: bool) -> dict[int, int]:
    """The block of each of a period's minutes: 48 blocks, or fewer of 5 minutes each, but 10."""
    minutes = sorted({request.minute for request in requests if request.later is later})
    blocks = max(10, min(48, len(minutes) // 5))
    return {minute: number * blocks // len(minutes) for number, minute in enumerate(minutes)}


def interval(
    side: dict[str, list[Request]], mix: dict[str, float], blocks: dict[int, int], p: float
) -> tuple[int, int, int | None]:
    """The percentile of a period and the 99 % interval of it."""

    def reached(ms: int) -> float:
        return sum(mix[route] * sum(r.ms <= ms for r in rs) / len(rs) for route, rs in side.items()) + 1e-9

    values = sorted({r.ms for rs in side.values() for r in rs})
    at = next(ms for ms in values if reached(ms) >= p)
    pulls: Counter[int] = Counter()
    for route, rs in side.items():
        share = sum(r.ms <= at for r in rs) / len(rs)
        for r in rs:
            pulls[blocks[r.minute]] += mix[route] * ((r.ms <= at) - share) / len(rs)
    degrees = len(pulls) - 1
    t = 2.5758 + 4.92 / degrees + 8.83 / degrees**2
    margin = t * math.sqrt(sum(pull**2 for pull in pulls.values()) * len(pulls) / degrees)
    low = next(ms for ms in values if reached(ms) >= p - margin)
    return at, low, next((ms for ms in values if reached(ms) >= p + margin), None) if p + margin < 1 else None


def test_intervals_are_those_of_a_bootstrap(tmp_path: Path, opened: Opened) -> None:
    """The interval of the median's difference is as wide as drawing whole blocks again many times makes it."""
    chance = random.Random(5)
    requests = [*noisy(chance, "/a", False, 3000, 200), *noisy(chance, "/a", True, 3000, 200)]
    connection = opened(lake_of(requests, tmp_path / "lake"))
    low, high = connection.execute(f"SELECT p50_low_ms, p50_high_ms FROM {CALL} WHERE route = '/a'").fetchall()[0]
    medians = []
    for later in (False, True):
        blocks = blocks_of(requests, later)
        values = [[r.ms for r in requests if r.later is later and blocks[r.minute] == block] for block in range(48)]
        drawn = [[ms for block in chance.choices(values, k=48) for ms in block] for _ in range(300)]
        medians.append([statistics.median_low(replicate) for replicate in drawn])
    spread = statistics.stdev(after - before for before, after in zip(*medians, strict=True))
    assert high - low == pytest.approx(2 * 2.68 * spread, rel=0.25)


def test_changes_are_seen_and_chance_is_not(tmp_path: Path, opened: Opened) -> None:
    """Of forty unchanged routes hardly one is called changed; of twenty 30 % longer ones most are called slower."""
    chance = random.Random(7)
    requests = [
        request
        for number in range(60)
        for later in (False, True)
        for request in noisy(chance, f"/{number}", later, 400, 100 * (1.3 if later and number >= 40 else 1))
    ]
    connection = opened(lake_of(requests, tmp_path / "lake"))
    said = dict(connection.execute(f"SELECT route, verdict FROM {CALL} WHERE route <> 'all routes'").fetchall())
    unchanged = Counter(said[f"/{number}"] for number in range(40))
    longer = Counter(said[f"/{number}"] for number in range(40, 60))
    assert unchanged["no difference shown"] >= 38
    assert longer["slower"] >= 14
