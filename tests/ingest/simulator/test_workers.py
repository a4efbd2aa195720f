"""The queue before the PHP workers, against an obviously right one."""

from __future__ import annotations

from datetime import date

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingest.simulator.shop import script, traffic, workers
from ingest.simulator.shop.catalogue import Catalogue
from ingest.simulator.shop.dynos import runs
from ingest.simulator.shop.visitors import Visitors


def plain_queue(at: list[int], held: list[int]) -> list[tuple[int, int]]:
    """Each request in turn takes the worker that is free first."""
    free = [0] * script.WORKERS_PER_DYNO
    found = []
    for arrival, holding in zip(at, held, strict=True):
        worker = free.index(min(free))
        begin = max(arrival, free[worker])
        free[worker] = begin + holding
        found.append((begin, begin + holding))
    return found


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 60)), max_size=80))
def test_requests_are_served_first_come_first_served_by_the_first_free_worker(
    pairs: list[tuple[int, int]],
) -> None:
    """Waiting in the made-up day is a consequence, so the queue itself must be right."""
    at = np.cumsum([gap for gap, _ in pairs], dtype=int).tolist()
    held = [holding for _, holding in pairs]
    begins, ends, _ = workers._queue(at, held)
    assert list(zip(begins, ends, strict=True)) == plain_queue(at, held)


def small_day() -> tuple[traffic.Requests, workers.Served]:
    """80,000 requests and what became of them."""
    day = script.Day(5, date(2026, 3, 1), 200_000)
    catalogue, visitors = Catalogue(), Visitors(day)
    requests = traffic.requests(day, catalogue, visitors, 80_000)
    return requests, workers.serve(day, requests, runs(day))


def test_timeouts_are_exactly_the_requests_that_waited_and_worked_over_30_seconds() -> None:
    """No H12 is written that the queue did not cause, none that it caused is missing."""
    requests, served = small_day()
    took = served.ended - served.dispatched
    timed_out = served.code == workers.H12
    assert timed_out.any()
    assert (took[timed_out] > 29.99 * script.SECOND).all()
    assert (took[~timed_out & (served.code != workers.H27)] <= script.ROUTER_TIMEOUT).all()
    assert set(served.service_ms[timed_out].tolist()) <= {30_000, 30_001}
    innocent = timed_out & (requests.work < 5 * script.SECOND)
    assert innocent.sum() > 20


def test_only_one_request_at_a_time_holds_a_worker() -> None:
    """Per worker the works follow each other; a restart gives fresh workers."""
    requests, served = small_day()
    for dyno in range(2):
        for worker in range(script.WORKERS_PER_DYNO):
            mine = requests.php & (served.dyno == dyno) & (served.worker == worker)
            mine &= script.Window(script.clock(4, 30), script.clock(19, 0)).holds(served.dispatched)
            order = np.argsort(served.worked[mine], kind="stable")
            assert (served.worked[mine][order][1:] >= served.ended[mine][order][:-1]).all()


def test_no_request_reaches_a_dyno_that_is_down() -> None:
    """While all dynos boot after the deploy the router waits, and its connect time says so."""
    requests, served = small_day()
    lives = runs(script.Day(5, date(2026, 3, 1), 200_000))
    up = np.zeros(len(requests.at), dtype=bool)
    for run in lives:
        if run.dyno in script.WEB:
            mine = served.dyno == script.WEB.index(run.dyno)
            up |= mine & (served.dispatched >= run.begins) & (served.dispatched < run.ends + 10_000)
    assert up.all()
    booting = (requests.at > script.DEPLOY + script.SECOND) & (requests.at < script.DEPLOY + 5 * script.SECOND)
    assert booting.any()
    assert (served.connect_ms[booting] > 1000).all()
