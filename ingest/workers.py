"""What makes a process one of several workers of one receiver: what it inherits, and its share of each limit. Pure.

What is held in memory is divided, so that N workers take what one takes, and N times what a process needs by itself:

* connections, and refusals that wait (they bound how fast secrets can be guessed) by the number of workers;
* bytes of bodies that arrive and that wait to be stored likewise, but each worker has room for the largest body that is
  taken: else it would be refused for ever.

What is not divided, as each process finds it out for itself: which addresses failed (an address that tries secrets is
slowed down by each worker apart), own drains (``ingest.loops``; a drain keeps its connection, so its worker finds out),
the hashes of credentials (each worker reads them anew within ten seconds), and lines of the own log about refusals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ingest.http.body_memory import BODIES_MAX_BYTES, LARGE_SHARE

WAITING_MAX_BYTES: Final = 48 << 20  # the receiver promises to stay under 400 MB
DELAYED_MAX: Final = 200  # refusals that wait at a time
CONNECTIONS_MIN: Final = 10  # of each worker
PATIENCE_SECONDS: Final = 60.0  # a worker that shows no life for longer is told by an alarm, and killed by its parent


@dataclass(frozen=True)
class Worker:
    """Number ``number`` (from 1) of ``count``; descriptors of the listening socket and of the shared memory."""

    number: int
    count: int
    listener: int
    board: int


@dataclass(frozen=True)
class Limits:
    """What one process may hold at a time."""

    connections: int
    delayed: int
    arriving_bytes: int
    waiting_bytes: int


def limits(connections_max: int, body_max_bytes: int, workers: int = 1) -> Limits:
    """The limits of each of some workers."""
    connections = max(CONNECTIONS_MIN, connections_max // workers)
    return Limits(
        connections,
        min(connections // 2, DELAYED_MAX // workers),
        _share(BODIES_MAX_BYTES, workers, int(body_max_bytes / LARGE_SHARE) + 1),
        _share(WAITING_MAX_BYTES, workers, body_max_bytes),
    )


def _share(bytes_max: int, workers: int, needed: int) -> int:
    return min(bytes_max, max(bytes_max // workers, needed))
