"""Benchmarks are compared by ratios, and noise is told from a change by the spread of the runs themselves."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drainlake.documents.benchmarks import RECORDED, table
from drainlake.documents.measures import Measure
from tests.benchmarks import measure, scale
from tests.benchmarks.comparing import compare, findings_table, gather, results_table

ROOT = Path(__file__).parent.parent
SPEED, TIME, SIZE = "lines/CPU-s", "CPU s", "bytes/row"

# What was recorded, what is measured now (ratios to a baseline of 1), the unit, and what to find.
CASES: list[tuple[list[float], list[float], str, str]] = [
    ([2.0, 2.1, 1.9], [1.0, 1.1, 1.2], SPEED, "worse"),
    ([2.0, 2.1, 1.9], [1.0, 1.1, 1.2], TIME, "better"),
    ([2.0, 2.1, 1.9], [3.0, 3.1, 3.2], SPEED, "better"),
    ([2.0, 2.1, 1.9], [3.0, 3.1, 3.2], TIME, "worse"),
    ([2.0, 2.1, 1.9], [2.15, 2.16, 2.17], TIME, "same"),  # all worse, but by less than two sessions differ by
    ([2.0, 2.1, 1.9], [2.05, 3.1, 3.2], TIME, "same"),  # one run was as good as ever: the others had bad luck
    ([1.0, 2.0, 3.0], [2.9, 2.9, 2.9], TIME, "same"),  # what spread so far then can say no more now
    ([2.0], [2.5], TIME, "worse"),
]


def measured(unit: str, ratios: list[float], speed: float = 1.0, name: str = "it") -> Measure:
    """A measure with these ratios, on a machine of some speed."""
    return Measure(name, unit, tuple(speed * ratio for ratio in ratios), (speed,) * len(ratios))


@pytest.mark.parametrize(("before", "now", "unit", "what"), CASES)
def test_worse_is_what_is_worse_in_every_run_and_by_enough(
    before: list[float], now: list[float], unit: str, what: str
) -> None:
    """Otherwise it is noise."""
    [found] = compare([measured(unit, before)], [measured(unit, now)])
    assert (found.what, found.is_bad) == (what, what == "worse")


@given(
    st.lists(st.floats(0.01, 100), min_size=1, max_size=8),
    st.lists(st.floats(0.01, 100), min_size=1, max_size=8),
    st.floats(0.01, 100),
    st.sampled_from([SPEED, TIME]),
)
def test_the_speed_of_the_machine_is_no_finding(before: list[float], now: list[float], speed: float, unit: str) -> None:
    """A machine of another speed gives the same ratios; and what is worse one way is better the other way."""
    swapped = {"worse": "better", "better": "worse", "same": "same"}
    [found] = compare([measured(unit, before)], [measured(unit, now)])
    [faster] = compare([measured(unit, before)], [measured(unit, now, speed=2.0 ** round(speed))])
    [back] = compare([measured(unit, now)], [measured(unit, before)])
    assert (faster.what, back.what) == (found.what, swapped[found.what])


def test_noise_alone_is_seldom_found_worse() -> None:
    """Five recorded runs and three of now: by chance alone one measure in 56 is worse in all; far fewer by enough."""
    pick = random.Random(11)
    found = 0
    for _ in range(2_000):
        runs = [pick.lognormvariate(0, 0.05) for _ in range(8)]
        found += compare([measured(TIME, runs[:5])], [measured(TIME, runs[5:])])[0].is_bad
    assert 0 < found < 2_000 / 56


def test_a_size_is_compared_without_a_baseline_and_a_time_is_not() -> None:
    """Bytes a row depend on nobody else; seconds without a baseline say nothing."""
    size = compare([Measure("lake", SIZE, (28.0,))], [Measure("lake", SIZE, (35.0,))])
    time = compare([Measure("serve", "s", (1.0,))], [Measure("serve", "s", (9.0,))])
    assert [each.what for each in size + time] == ["worse", "not compared"]


def test_a_measure_that_is_gone_fails_and_a_new_one_does_not() -> None:
    """Else a bench that no longer measures would pass for ever."""
    kept, new = measured(TIME, [1.0], name="kept"), measured(TIME, [1.0], name="new")
    found = compare([kept, measured(TIME, [1.0], name="gone")], [kept, new])
    assert {each.name: (each.what, each.is_bad) for each in found} == {
        "kept": ("same", False), "new": ("new", False), "gone": ("missing", True),
    }  # fmt: skip
    assert "gone" in findings_table(found)[1]


def line(name: str, value: float, baseline: float | None = None, **more: Any) -> dict[str, Any]:
    """What `measure.record` leaves."""
    return {
        "name": name,
        "value": value,
        "unit": SPEED,
        "baseline": baseline,
        "reach": None,
        "reach_ratio": None,
    } | more


def test_runs_are_gathered_by_name_and_come_back_from_json() -> None:
    """What is kept is every run, and nothing is lost on the way."""
    runs = [
        [line("a", 30.0, 10.0, reach=25, reach_ratio=3), line("b", 1.0)],
        [line("a", 40.0, 10.0, reach=25, reach_ratio=3)],
    ]
    found = gather(runs)
    assert [(each.name, each.ratios, each.is_reached) for each in found] == [("a", (3.0, 4.0), True), ("b", (), None)]
    assert [Measure.of_json(json.loads(json.dumps(each.as_json()))) for each in found] == found


@pytest.mark.parametrize(
    ("unit", "reach", "reach_ratio", "reached"),
    [(SPEED, 9, None, True), (SPEED, 11, None, False), (TIME, 11, None, True), (TIME, 9, None, False),
     (SPEED, 9, 3, False), (SPEED, None, 2, True), (TIME, None, 1.5, False), (TIME, 11, 2.5, True)],
)  # fmt: skip
def test_what_is_to_be_reached_is_at_least_a_speed_and_at_most_a_time(
    unit: str, reach: float | None, reach_ratio: float | None, reached: bool
) -> None:
    """Where both a value and a ratio are to be reached, both count. Here 10, twice the baseline."""
    found = Measure("it", unit, (10.0,), (5.0,), reach, reach_ratio)
    assert found.is_reached == reached
    assert ("NOT reached" in results_table([found])[1]) == (not reached)


def test_a_name_twice_in_a_run_is_refused() -> None:
    """Nobody could say which of the two is compared."""
    with pytest.raises(ValueError, match="recorded twice in a run: a"):
        gather([[line("a", 1.0), line("a", 2.0)]])


def test_a_bench_leaves_lines_for_the_runner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run by hand it writes nothing anywhere."""
    monkeypatch.delenv(measure.RECORD_TO, raising=False)
    measure.record("a", 1.0, SPEED)
    monkeypatch.setenv(measure.RECORD_TO, str(tmp_path / "left"))
    measure.record("a", 1.0, SPEED, baseline=2.0, reach=3.0)
    measure.record("b", 1.0, SPEED)
    left = [json.loads(text) for text in (tmp_path / "left").read_text().splitlines()]
    assert [(each["name"], each["baseline"], each["reach"]) for each in left] == [("a", 2.0, 3.0), ("b", None, None)]


def test_an_unknown_bench_is_wrong_use() -> None:
    """The answer names those that there are."""
    found = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", "nothing"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert (found.returncode, "there is no bench nothing" in found.stderr) == (2, True)


def test_the_page_on_scale_shows_the_calculation_as_it_is() -> None:
    """After new rates run ``python -m tests.benchmarks.scale --write``; ``--record`` does it by itself."""
    kept = json.loads(RECORDED.read_text("utf-8")) if RECORDED.exists() else {}
    assert f"{scale.BEGIN}{scale.table(kept)}{scale.END}" in scale.PAGE.read_text("utf-8")


def test_a_recorded_rate_takes_the_place_of_an_older_one() -> None:
    """Twice the rate is half the machines."""
    faster = Measure("kafka, receiver, Kafka", SPEED, (170_000.0,)).as_json()
    kept = {"full": {"kafka": {"date": "2026-12-01", "machine": {}, "measures": [faster]}}}
    assert "| CPUs of receivers | 2 x L / R | 24 |" in scale.table({})
    assert "| CPUs of receivers | 2 x L / R | 12 |" in scale.table(kept)
    assert "170,000 lines/CPU-s | 2026-12-01 |" in scale.table(kept)


def test_the_table_shows_each_measure_with_machine_and_date() -> None:
    """For the README: what was recorded at full size, else nothing."""
    found = Measure("parsing, 1 MB", SPEED, (400_000.0, 500_000.0), (100_000.0,) * 2, reach=400_000, reach_ratio=3)
    entry = {"date": "2026-11-26", "machine": {"cpu": "EPYC | 9", "cores": 2}, "measures": [found.as_json()]}
    text = table({"full": {"parsing": entry}, "quick": {"x": entry}})
    assert "| parsing, 1 MB | 450,000 lines/CPU-s | 4.5 x | ± 11 % | ≥ 400,000, ≥ 3 x the baseline: reached |" in text
    assert "2026-11-26" in text
    assert "EPYC \\| 9" in text
    assert table({}) == "Nothing is recorded yet: `python -m tests.benchmarks --record`.\n"
