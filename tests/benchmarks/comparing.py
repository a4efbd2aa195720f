"""Runs of benchmarks, gathered and compared: pure, so that tests can hold it.

What is compared is a ratio: a value to its baseline, both of one run on one machine. Absolute times are shown and never
compared.

**The band of noise.** A measure counts as worse when two things hold. Every run of now is worse than every recorded
run: if nothing changed, the chance of that is one in C(n + m, n), whatever the noise looks like: 1 in 56 for five
recorded runs and three of now. And the medians differ by more than :data:`SMALLEST`, since two sessions on a shared
machine differ by some per cent in ways that runs a minute apart do not show. So the band is as wide as the runs spread.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from drainlake.documents.measures import Measure, goal, number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SMALLEST: Final = 0.10
BAD: Final = ("worse", "missing")


def gather(runs: Sequence[Sequence[Mapping[str, Any]]]) -> list[Measure]:
    """The measures of runs of one bench, in their order; each run is what ``measure.record`` left.

    Raises ValueError for a name that stands twice in a run: which of the two would be compared, nobody could say.
    """
    found: dict[str, list[Mapping[str, Any]]] = {}
    for run in runs:
        names = [line["name"] for line in run]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"recorded twice in a run: {', '.join(sorted(twice))}")
        for line in run:
            found.setdefault(line["name"], []).append(line)
    return [_measure(lines) for lines in found.values()]


def _measure(lines: Sequence[Mapping[str, Any]]) -> Measure:
    last = lines[-1]
    values = tuple(float(line["value"]) for line in lines)
    baselines = tuple(float(line["baseline"]) for line in lines if line["baseline"])
    if len(baselines) != len(values):  # without one in a run it has none
        baselines = ()
    return Measure(last["name"], last["unit"], values, baselines, last["reach"], last["reach_ratio"])


@dataclass(frozen=True)
class Finding:
    """What became of a measure: better, worse, same, new, missing, or not compared; with its medians."""

    name: str
    what: str
    before: float | None = None
    now: float | None = None

    @property
    def is_bad(self) -> bool:
        """Whether a check fails for it."""
        return self.what in BAD

    @property
    def change(self) -> float | None:
        """Now to before, less one."""
        return self.now / self.before - 1 if self.before and self.now is not None else None


def compare(recorded: Sequence[Measure], current: Sequence[Measure]) -> list[Finding]:
    """A finding for each measure of either side."""
    before = {each.name: each for each in recorded}
    now = {each.name: each for each in current}
    missing = [Finding(name, "missing") for name in before if name not in now]
    return [_finding(before.get(name), each) for name, each in now.items()] + missing


def _finding(before: Measure | None, now: Measure) -> Finding:
    if before is None:
        return Finding(now.name, "new")
    if not before.compared or not now.compared:
        return Finding(now.name, "not compared")
    old, new = median(before.compared), median(now.compared)
    what = "same"
    if min(now.compared) > max(before.compared) and new > old * (1 + SMALLEST):
        what = "better" if now.is_more_better else "worse"
    elif max(now.compared) < min(before.compared) and new < old / (1 + SMALLEST):
        what = "worse" if now.is_more_better else "better"
    return Finding(now.name, what, old, new)


def results_table(measures: Sequence[Measure]) -> list[str]:
    """Lines for a terminal: value, ratio, spread, and what is to be reached."""
    lines = [f"{'':58}{'median':>12} {'unit':12}{'ratio':>8}{'spread':>8}  to reach"]
    for each in measures:
        ratio = f"{each.ratio:.3g}" if each.ratio is not None else ""
        spread = f"{each.spread:.0%}" if each.spread is not None and len(each.values) > 1 else ""
        mark = {True: "reached", False: "NOT reached", None: ""}[each.is_reached]
        lines.append(f"{each.name:58}{number(each.value):>12} {each.unit:12}{ratio:>8}{spread:>8}  {goal(each)} {mark}")
    return lines


def findings_table(findings: Sequence[Finding]) -> list[str]:
    """Lines for a terminal, the bad ones first."""
    lines = [f"{'':58}{'':14}{'recorded':>10}{'now':>10}{'change':>9}"]
    for each in sorted(findings, key=lambda finding: not finding.is_bad):
        figures = "".join(f"{'' if value is None else f'{value:.3g}':>10}" for value in (each.before, each.now))
        change = "" if each.change is None else f"{each.change:+.0%}"
        lines.append(f"{each.name:58}{each.what:14}{figures}{change:>9}")
    return lines
