"""The one knob: at most so many false alarms a week, over all series and all checks together.

Expected false alarms add up whatever depends on what, so that each check of each series gets its share and the sum of
the shares is the budget. Series of an app as a whole weigh more than those of a route, a dyno or a code, of which
there are many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from queries.anomalies.model import Series

    Array = NDArray[np.float64]

APP_WEIGHT: Final = 3.0
HOURS_A_WEEK: Final = 168
RESERVE: Final = 0.7  # of the budget is given out: tails that are learnt err, and an error to the wrong side costs more


def shares(series: Sequence[Series], budget_per_week: float) -> list[float]:
    """False alarms a week that each series may give; they add up to the budget."""
    if not budget_per_week > 0:
        raise ValueError("the alarm budget must be above 0 a week")
    weights = [APP_WEIGHT if one.per == "app" else 1.0 for one in series]
    total = sum(weights)
    return [budget_per_week * weight / total for weight in weights]


def risk(per_week: Array, checks: NDArray[np.int64], block_hours: float) -> Array:
    """Probability with which one of so many checks of a series may ring falsely in a block of hours, per series."""
    return RESERVE * per_week / checks * block_hours / HOURS_A_WEEK
