"""Which dynos are up when, and which one the router picks for each request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ingest.simulator.shop.script import DAY, WEB, WORKERS, Day, Start, starts

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Run:
    """One life of a dyno, from up to down, with the id that Heroku's metrics give it."""

    dyno: str
    begins: int
    ends: int
    uuid: str

    def holds(self, at: np.ndarray) -> np.ndarray:
        """Which of the times lie in this life."""
        return (at >= self.begins) & (at < self.ends)


def runs(day: Day) -> list[Run]:
    """All lives of all dynos during the day, those before midnight beginning at 0."""
    random = day.random("dynos")
    found = []
    for dyno in (*WEB, *WORKERS):
        for begins, ends in _lives(dyno, starts()):
            text = random.bytes(16).hex()
            found.append(Run(dyno, begins, ends, f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"))
    return found


def _lives(dyno: str, all_starts: tuple[Start, ...]) -> Iterator[tuple[int, int]]:
    mine = [start for start in all_starts if start.dyno == dyno]
    begins = None if mine and mine[0].down is None else 0
    for start in mine:
        if begins is not None and start.down is not None:
            yield begins, start.down
        begins = start.up
    yield begins or 0, DAY


def dispatch(random: np.random.Generator, at: np.ndarray, lives: list[Run]) -> tuple[np.ndarray, np.ndarray]:
    """For each arrival the dyno (index into WEB), picked at random among those that are up, and the
    microseconds the router waits for it: only while all of them boot is that more than a moment."""
    up = np.zeros((len(WEB), len(at)), dtype=bool)
    for run in lives:
        if run.dyno in WEB:
            up[WEB.index(run.dyno)] |= (at >= run.begins) & (at < run.ends)
    count = up.sum(axis=0)
    rank = (random.random(len(at)) * np.maximum(count, 1)).astype(np.int64)
    dyno = np.argmax(np.cumsum(up, axis=0) > rank, axis=0)
    none = np.flatnonzero(count == 0)
    dyno[none] = random.integers(0, len(WEB), len(none))
    connect = (random.random(len(at)) ** 3 * 1900).astype(np.int64)
    connect[none] += _next_up(at[none], dyno[none], lives) - at[none]
    return dyno, connect


def _next_up(at: np.ndarray, dyno: np.ndarray, lives: list[Run]) -> np.ndarray:
    found = np.full(len(at), DAY)
    for number, name in enumerate(WEB):
        begins = np.array(sorted(run.begins for run in lives if run.dyno == name))
        mine = dyno == number
        found[mine] = begins[np.searchsorted(begins, at[mine], side="right").clip(max=len(begins) - 1)]
    return found
