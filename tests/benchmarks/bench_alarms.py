"""Alarms: false ones on clean series by budget, found incidents with their delay, and the speed.

    python -m tests.benchmarks.bench_alarms [--quick | --speed] [--write docs/alarms.md]

``--write`` puts the tables between the marks of that page; ``--speed`` measures the speed alone.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from queries.anomalies.detection import detect
from queries.anomalies.incidents import incidents
from queries.anomalies.model import SeriesSet
from tests.benchmarks import measure
from tests.queries.anomalies import worlds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from queries.anomalies.model import Alarm
    from tests.queries.anomalies.worlds import Planted

BUDGETS = (0.5, 1.0, 2.0)
WEEKS = 52
SEED = 4101  # not one that a constant was chosen by
LEARNING_WEEKS = 2
TRIES = 20
RANG_MAX = 26  # twice the budget of the weeks whose speed is measured
SHARE_OF_BUDGET = 0.1  # what one app's series has of a budget of 1 among thirty
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"


def false_alarms(
    kinds: Sequence[str], count: int, budget: float, seed: int, weeks: int = WEEKS
) -> tuple[int, float, float]:
    """Incidents in so many weeks after the learning, per week, and the upper end of the exact 95 % interval."""
    series = worlds.clean(kinds, count, weeks + LEARNING_WEEKS, seed)
    alarms = detect(series, budget, LEARNING_WEEKS * worlds.WEEK)
    rang = len(incidents(series, alarms, ()))
    return rang, rang / weeks, float(stats.chi2.ppf(0.975, 2 * rang + 2) / 2 / weeks)


def recall(planted: Planted, kind: str, tries: int) -> tuple[float, float]:
    """Share of the incidents found while they last or a quarter of an hour after, and the median minutes to it."""
    delays = []
    for seed, at in enumerate(worlds.places(tries)):
        series = planted.into(kind, at, 9 if planted.steps <= worlds.DAY else 10, 1000 + seed)
        alarms = detect(SeriesSet(worlds.MONDAY, worlds.STEP_MINUTES, (series,)), SHARE_OF_BUDGET, at)
        if rings := [alarm.rings for alarm in alarms if alarm.rings < at + planted.steps + 3]:
            delays.append((rings[0] - at + 1) * worlds.STEP_MINUTES)
    return len(delays) / tries, median(delays) if delays else np.nan


def tables(*, is_quick: bool) -> Iterator[str]:
    """The page's tables, line by line."""
    weeks, tries = (26, 5) if is_quick else (WEEKS, TRIES)
    sets = [(kind, [kind], 10) for kind in worlds.KINDS]
    sets += [("bursty", ["bursty"], 30), ("all kinds mixed", list(worlds.KINDS), 33)]
    yield f"False alarms a week over sets of series in which nothing is wrong, in {weeks} weeks after"
    yield f"{LEARNING_WEEKS} of learning. In brackets the upper end of the exact 95 % interval."
    yield ""
    yield "| series | " + " | ".join(f"budget {budget:g}" for budget in BUDGETS) + " |"
    yield "|---|" + "---:|" * len(BUDGETS)
    for name, kinds, count in sets:
        found = [false_alarms(kinds, count, budget, SEED, weeks) for budget in BUDGETS]
        cells = (f"{rate:.2f} ({upper:.2f})" for _, rate, upper in found)
        yield f"| {count} series, {name} | {' | '.join(cells)} |"
    yield ""
    yield f"Incidents put into series at several hours on each weekday, {tries} of each, at the share of the budget"
    yield f"that the series of an app has among thirty ({SHARE_OF_BUDGET:g} a week): how many were found before they"
    yield "were over (or in the quarter of an hour after), and how soon after they began, in half of the cases at most."
    yield ""
    yield "| incident | series | found | minutes |"
    yield "|---|---|---:|---:|"
    for planted in worlds.PLANTED:
        for kind in planted.kinds:
            share, minutes = recall(planted, kind, tries)
            yield f"| {planted.name} | {kind} | {share:.0%} | {'' if np.isnan(minutes) else f'{minutes:.0f}'} |"


def speed() -> None:
    """Steps per CPU-second over 200 series of 91 days, and how many sorts of all their values take as long."""
    series = worlds.clean(list(worlds.KINDS), 200, 13, 1)
    found: list[list[Alarm]] = []
    seconds = measure.best_of(1, lambda: found.append(detect(series, 1.0)))
    sort = measure.best_of(3, lambda: [np.sort(one.values) for one in series.series])
    if (rang := len(incidents(series, found[0], ()))) > RANG_MAX:
        raise SystemExit(f"{rang} incidents in series where nothing is wrong: the figures are worth nothing")
    steps = len(series.series) * len(series.series[0].values)
    print(f"200 series of 91 days: {seconds:.1f} CPU-s, {steps / seconds:,.0f} steps per CPU-second, {rang} incidents")
    print(f"as long as {seconds / sort:,.0f} sorts of all values")
    measure.record("alarms, detection", steps / seconds, "steps/CPU-s", baseline=steps / sort)
    measure.record("alarms, peak memory", measure.peak_memory_mb(), "MB")
    print(f"peak memory {measure.peak_memory_mb():,.0f} MB, of it the series {steps * 8 / 1e6:,.0f} MB")


def main() -> None:
    """Print the tables, and write them."""
    if "--speed" in sys.argv:
        speed()
        return
    lines = []
    for line in tables(is_quick="--quick" in sys.argv):
        print(line, flush=True)
        lines.append(line)
    speed()
    if "--write" in sys.argv:
        page = Path(sys.argv[sys.argv.index("--write") + 1])
        before, rest = page.read_text("utf-8").split(BEGIN)
        page.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}" + rest.split(END)[1], "utf-8")


if __name__ == "__main__":
    main()
