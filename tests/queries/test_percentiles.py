"""The percentiles of the questions against another implementation's."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.queries.flights import MIDNIGHT, fill


@given(values=st.lists(st.integers(0, 40), min_size=1, max_size=140))
@settings(max_examples=60, deadline=None)
def test_percentiles_are_nearest_rank(memory: Any, values: list[int]) -> None:
    """p50, p95 and p99 are the values at rank ceil(p * n), exactly, and p99 needs a hundred of them."""
    row = {"timestamp": MIDNIGHT, "app": "shop", "dyno": "web.1"}
    fill(memory, [{**row, "service_ms": value} for value in values])
    p50, p95, p99 = (sorted(values)[math.ceil(Fraction(p, 100) * len(values)) - 1] for p in (50, 95, 99))
    assert [p50, p95] == [np.quantile(values, p, method="inverted_cdf") for p in (0.5, 0.95)]
    answer = memory.execute("SELECT p50_ms, p95_ms, p99_ms, requests FROM latency()").fetchall()
    assert answer == [(p50, p95, p99 if len(values) >= 100 else None, len(values))]
    answer = memory.execute("SELECT p50_ms, p95_ms, timed, worker_seconds FROM routes()").fetchall()
    assert answer == [(p50, p95, len(values), sum(values) / 1000)]
