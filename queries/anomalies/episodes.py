"""Episodes: from steps over a threshold to stretches of time, each of which rings once.

An episode goes on while a score stays over a part of its threshold (hysteresis) and through short pauses (flicker).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

KEEP: Final = 0.6  # of the threshold keeps an episode alive
PAUSE_MINUTES: Final = 120


@dataclass(frozen=True)
class Episode:
    """Steps ``begins`` to ``ends``, both included, over a part of the threshold; from ``rings`` on over it."""

    begins: int
    rings: int
    ends: int


def episodes(ratio: Array, pause: int) -> list[Episode]:
    """Stretches in which the ratio of score to threshold reaches 1, with what is near it."""
    alive = np.flatnonzero(ratio >= KEEP)
    if not len(alive):
        return []
    cuts = np.flatnonzero(np.diff(alive) > pause) + 1
    found = []
    for part in np.split(alive, cuts):
        over = part[ratio[part] >= 1.0]
        if len(over):
            found.append(Episode(int(part[0]), int(over[0]), int(part[-1])))
    return found
