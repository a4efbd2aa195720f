"""Arrays of whole numbers: which of them are there, in order, and where equal ones lie together. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Whole = NDArray[np.int64]

_TABLE_SHARE: Final = 8  # a table of so many places for each number is filled and read in less time than a sort takes


def run_begins(values: Whole) -> Whole:
    """Where each run of equal values begins."""
    return np.flatnonzero(np.r_[values.size > 0, values[1:] != values[:-1]])


def run_lengths(begins: Whole, size: int) -> Whole:
    """How long the runs are that begin there, of ``size`` values in all."""
    return np.append(begins[1:], size)[: begins.size] - begins


def union(*numbers: Whole) -> Whole:
    """All numbers that there are, in order."""
    found = np.sort(np.concatenate(numbers))
    return found[run_begins(found)]


def compact(numbers: Whole) -> tuple[Whole, Whole]:
    """All numbers that there are, in order, and of each row its number's place among them. None is below 0."""
    end = int(numbers.max(initial=-1)) + 1
    if end <= _TABLE_SHARE * numbers.size:
        is_there = np.zeros(end, np.bool_)
        is_there[numbers] = True
        return np.flatnonzero(is_there), (np.cumsum(is_there) - 1)[numbers]
    order = np.argsort(numbers)
    found = numbers[order]
    begins = run_begins(found)
    place = np.empty(numbers.size, np.int64)
    place[order] = np.repeat(np.arange(begins.size), run_lengths(begins, numbers.size))
    return found[begins], place
