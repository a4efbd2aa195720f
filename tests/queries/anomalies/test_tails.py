"""The binomial tail against an implementation of another kind."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from queries.anomalies.tails import share_tail

SHARE = 0.05


@st.composite
def failing(draw: st.DrawFn) -> tuple[int, int]:
    """So many requests of which more than the share failed."""
    requests = draw(st.integers(1, 20_000))
    return draw(st.integers(int(requests * SHARE) + 1, requests)), requests


@given(st.lists(failing(), max_size=20))
def test_the_binomial_tail_is_the_incomplete_beta_function(cases: list[tuple[int, int]]) -> None:
    """Of few and of many requests, with one failure too many as with all of them failed.

    Where there are hardly smaller floats the function is off by 2e-8: there the sum itself is what is compared to.
    """
    failed, requests = np.array(cases, float).reshape(-1, 2).T
    expected = special.betainc(failed, requests - failed + 1, SHARE)
    for place in np.flatnonzero((expected > 0) & (expected < 1e-250)):
        expected[place] = summed(*cases[place])
    assert share_tail(failed, requests, SHARE) == pytest.approx(expected, rel=1e-8, abs=1e-290)


def summed(failed: int, requests: int) -> float:
    """The tail in fractions; from the 500th term on, none is a billionth of a billionth of the sum."""
    one_in = round(1 / SHARE)
    most = min(requests, failed + 500)
    ways = sum(comb(requests, i) * (one_in - 1) ** (requests - i) for i in range(failed, most + 1))
    return float(Fraction(ways, one_in**requests))


@pytest.mark.parametrize(("failed", "requests"), [(242, 266), (210, 250), (100, 100), (9, 12), (300, 2000)])
def test_the_binomial_tail_is_the_sum_of_its_fractions(failed: int, requests: int) -> None:
    """Exactly, far out too."""
    found = share_tail(np.array([float(failed)]), np.array([float(requests)]), SHARE)
    assert found == pytest.approx([summed(failed, requests)], rel=1e-10, abs=0)


def test_what_sums_over_windows_leave_behind_the_point_does_not_count() -> None:
    """Sums of a window are differences of long ones, and so off by a billionth; more failures than requests are all."""
    near = share_tail(np.array([6.0 - 1e-9, 5.0 + 1e-9]), np.array([40.0 + 1e-9, 5.0 - 1e-9]), SHARE)
    assert near.tolist() == share_tail(np.array([6.0, 5.0]), np.array([40.0, 5.0]), SHARE).tolist()
    assert share_tail(np.array([7.0]), np.array([5.0]), SHARE) == pytest.approx(SHARE**7)
