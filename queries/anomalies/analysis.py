"""Series with all that is computed of them: what is expected, how far they are off, and by which check they ring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from queries.anomalies import blocks
from queries.anomalies.checks import ratio, step_risk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from queries.anomalies.checks import Check
    from queries.anomalies.grid import Grid
    from queries.anomalies.model import Series

    Array = NDArray[np.float64]


@dataclass(frozen=True)
class Analysis:
    """One series. Per step: what was (of shares the share), what was expected, and the deviation in about its spread.

    The deviation is 0 where unknown. ``ratio`` is (checks, steps); a check rings where its is 1 or more. ``decades`` is
    how rare that is at one step.
    """

    actual: Array
    expected: Array
    deviation: Array
    checks: Sequence[Check]
    ratio: Array
    decades: float


def analyses(
    series: Sequence[Series], grid: Grid, per_week: Array, since_step: int = 0
) -> Iterator[tuple[int, Analysis]]:
    """Analyses of those of some series of one kind that may ring from the day of a step on, with their places.

    ``per_week`` is how often each may ring falsely a week.
    """
    block = blocks.block(series, grid)
    checks = block.checks()
    counts = np.sum([np.broadcast_to(check.is_asked, len(series)) for check in checks], 0)
    risk = step_risk(counts, per_week, grid)
    days = slice((grid.lead + since_step) // grid.per_day, None)
    ringing = np.any([check.reaches(check.least(risk), block.known_days)[:, days].any(1) for check in checks], 0)
    if not ringing.any():
        return
    checks = [check.of(ringing) for check in checks]
    by = counts[ringing], per_week[ringing], block.known_days[ringing], grid
    flat = [grid.flat(ratio(check, *by)) for check in checks]
    course = [grid.flat(part[ringing]) for part in block.course()]
    decades = -np.log10(risk[ringing])
    for at, place in enumerate(np.flatnonzero(ringing)):
        actual, expected, deviation = (part[at] for part in course)
        of_checks = np.stack([one[at] for one in flat])
        yield int(place), Analysis(actual, expected, np.nan_to_num(deviation), checks, of_checks, float(decades[at]))


def course(series: Series, grid: Grid) -> tuple[Array, Array]:
    """What was and what was expected of each step, as in an analysis, for a quarter of its cost."""
    actual, expected, _ = blocks.block([series], grid).course()
    return grid.flat(actual)[0], grid.flat(expected)[0]
