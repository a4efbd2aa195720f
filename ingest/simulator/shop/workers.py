"""The PHP workers: where waiting comes from. And what router and nginx make of it.

Each dyno has a few workers and one first-come, first-served backlog before them; the router picks dynos
without knowing either. So a handful of slow requests lets innocent ones wait past the router's 30 seconds,
and the dyno still works through them afterwards, because nobody tells it that the client is gone.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ingest.simulator.shop import script
from ingest.simulator.shop.dynos import Run, dispatch
from ingest.simulator.shop.script import KILL_AFTER, NGINX_TIMEOUT, ROUTER_TIMEOUT, WEB, WORKERS_PER_DYNO, Day

if TYPE_CHECKING:
    from ingest.simulator.shop.traffic import Requests

NO_CODE: Final = 0
H12: Final = 1
H27: Final = 2


@dataclass(frozen=True, slots=True)
class Served:
    """What became of each request, in the order of the requests. Times in microseconds since midnight.

    ``worked`` and ``ended`` bound PHP's work, ``worker`` is which of the dyno's workers did it, ``cold`` whether it
    filled the dyno's file cache; ``router_*`` is the router's line, ``nginx_*`` nginx's; ``router_bytes`` is -1 where
    the router logs none.
    """

    dyno: np.ndarray
    dispatched: np.ndarray
    connect_ms: np.ndarray
    worked: np.ndarray
    ended: np.ndarray
    worker: np.ndarray
    killed: np.ndarray
    cold: np.ndarray
    code: np.ndarray
    router_at: np.ndarray
    service_ms: np.ndarray
    router_status: np.ndarray
    router_bytes: np.ndarray
    nginx_at: np.ndarray
    nginx_status: np.ndarray
    nginx_bytes: np.ndarray


def serve(day: Day, requests: Requests, lives: list[Run]) -> Served:
    """Sends all requests through the dynos."""
    random = day.random("workers")
    size = len(requests.at)
    dyno, connect = dispatch(random, requests.at, lives)
    dispatched = requests.at + connect
    killed = requests.work > KILL_AFTER
    held = np.where(killed, KILL_AFTER + random.integers(900, 38_000, size), requests.work)
    cold = _cold(requests.cached, dyno, dispatched, lives)
    held = held + np.where(cold, script.CACHE_FILL, 0)
    worked, ended, worker = _worked(requests.php, dyno, dispatched, held, lives)
    nearby = random.integers(1000, 3900, size)  # nginx's own time; never 0 ms, whose length is a matter of taste
    finished = np.where(requests.php, ended, dispatched) + nearby
    patience = _patience(random, size)
    work = (worked, ended, worker, killed, cold)
    return _told(random, requests, dyno, connect, work, finished - dispatched, patience)


def _cold(cached: np.ndarray, dyno: np.ndarray, dispatched: np.ndarray, lives: list[Run]) -> np.ndarray:
    """The requests that find a dyno's file cache empty: the first of its life, and what comes before that has
    filled it. Dynos that are up at midnight have filled theirs."""
    cold = np.zeros(len(cached), dtype=bool)
    for run in lives:
        if run.dyno in WEB and run.begins > 0:
            mine = np.flatnonzero(cached & (dyno == WEB.index(run.dyno)) & run.holds(dispatched))
            if len(mine):
                cold[mine] = dispatched[mine] < dispatched[mine].min() + script.CACHE_FILL
    return cold


def _patience(random: np.random.Generator, size: int) -> np.ndarray:
    """How long each client waits before it goes away; most wait for ever."""
    waits = (4 + 18 * random.standard_exponential(size)) * script.SECOND
    return np.where(random.random(size) < 0.3, waits, script.DAY).astype(np.int64)


def _worked(
    php: np.ndarray, dyno: np.ndarray, dispatched: np.ndarray, held: np.ndarray, lives: list[Run]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    worked, ended = dispatched.copy(), dispatched.copy()
    worker = np.zeros(len(dispatched), dtype=np.int64)
    for number, name in enumerate(WEB):
        mine = np.flatnonzero(php & (dyno == number))
        mine = mine[np.argsort(dispatched[mine], kind="stable")]
        begins = sorted(run.begins for run in lives if run.dyno == name)
        for part in np.split(mine, np.searchsorted(dispatched[mine], begins[1:])):
            first, last, which = _queue(dispatched[part].tolist(), held[part].tolist())
            worked[part], ended[part], worker[part] = first, last, which
    return worked, ended, worker


def _queue(at: list[int], held: list[int]) -> tuple[list[int], list[int], list[int]]:
    """First come, first served: for each request when work on it begins and ends, and by which worker."""
    free = [(0, number) for number in range(WORKERS_PER_DYNO)]
    begins, ends, workers = [], [], []
    for arrival, holding in zip(at, held, strict=True):
        free_at, worker = free[0]
        begin = max(arrival, free_at)
        end = begin + holding
        heapq.heapreplace(free, (end, worker))
        begins.append(begin)
        ends.append(end)
        workers.append(worker)
    return begins, ends, workers


def _told(
    random: np.random.Generator,
    requests: Requests,
    dyno: np.ndarray,
    connect: np.ndarray,
    work: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    took: np.ndarray,
    patience: np.ndarray,
) -> Served:
    """The lines that router and nginx write: whoever gives up first decides."""
    dispatched = requests.at + connect
    gone = patience < np.minimum(took, ROUTER_TIMEOUT)
    late = ~gone & (took > ROUTER_TIMEOUT)
    service = np.where(gone, patience, np.where(late, ROUTER_TIMEOUT + random.integers(0, 1400, len(took)), took))
    cut = ~gone & (took > NGINX_TIMEOUT)
    broken = ~gone & ~cut & work[3]
    choices = [gone, cut, broken]
    return Served(
        dyno, dispatched, connect // 1000, *work,
        code=np.select([late, gone], [H12, H27], NO_CODE),
        router_at=dispatched + service + random.integers(40, 400, len(took)),
        service_ms=service // 1000,
        router_status=np.select([late, gone], [503, 499], requests.status),
        router_bytes=np.select([late, gone], [567, -1], requests.bytes),
        nginx_at=dispatched + np.select([gone, cut], [patience, NGINX_TIMEOUT], took),
        nginx_status=np.select(choices, [499, 504, 502], requests.status),
        nginx_bytes=np.select(choices, [0, 167, 157], requests.bytes),
    )  # fmt: skip
