"""Several processes that receive at one address: the parent binds it and starts them, they do all the work.

* **The port.** The parent binds it once; each worker is a process of its own (``exec``, no ``fork``) that inherits the
  socket, and listens when it is ready. Until then nobody can connect, which uses up none of Heroku's tries; in a queue
  for workers that start slowly it would wait longer than Heroku does. A worker that dies leaves what it had not
  accepted to the others, and a new one takes its place after a second. What it had accepted was not answered, so Heroku
  sends it again, and any worker knows what is in the log.
* **Again and again.** When every worker has died ``FAILURES_MAX`` times in a row the parent ends with exit code 1,
  and whoever started it sees that. ``drainlake_worker_starts_total`` counts.
* **The port is another's.** Two parents that start in the same moment can both bind it; the workers of the later one
  cannot listen, end with ``ADDRESS_TAKEN``, and the parent says so and ends.
* **Stuck.** A worker that shows no life on the board for ``PATIENCE_SECONDS`` is killed and so started anew. It would
  hold its connections for ever, and if it stood still while it wrote, the event log, so that all others answered 503.
* **The stop.** SIGTERM of the parent stops all workers at once, each as one process alone stops (``ingest.server``),
  and the parent closes its socket first: nothing must wait in a queue that nobody empties. A load balancer's questions
  reach one worker or another; any that was asked often enough goes on accepting for all of them.
* **kill -9 of the parent** ends the pipe that each worker watches; they stop as for SIGTERM, and the port is free.
* **SIGHUP** goes to all of them, so that each reads the certificate anew.

Figures are shared in memory (``ingest.figures.board``), limits are divided (``ingest.workers``). The parent reads no
delivery and imports nothing heavy.
"""

from __future__ import annotations

import errno
import os
from functools import partial
from typing import TYPE_CHECKING, Final

from drainlake import listening
from drainlake.supervisor import POLL_SECONDS, Supervisor
from ingest.figures.board import Board, make_memory
from ingest.http.listener import bind
from ingest.oplog import tell
from ingest.workers import PATIENCE_SECONDS, Worker

if TYPE_CHECKING:
    from drainlake.settings import Settings

FAILURES_MAX: Final = 5
ADDRESS_TAKEN: Final = 3  # a worker's exit code


def run(settings: Settings, count: int) -> int:
    """Start the workers and look after them until a signal; the exit code. Raises :class:`Failure`: a taken address."""
    try:
        listener = bind(settings.host, settings.port)
    except OSError as error:
        raise listening.taken(settings.host, settings.port, error) from None
    board = make_memory(count)
    supervisor = Supervisor(
        partial(tell, "serve"),
        descriptors=(listener.fileno(), board),
        on_stop=listener.close,
        passes_hangup=True,
        failures_max=FAILURES_MAX,
        final=(2, ADDRESS_TAKEN),
        is_stuck=Watch(Board(board, count)).is_stuck,
    )
    for number in range(1, count + 1):
        place = place_of(Worker(number, count, listener.fileno(), board))
        supervisor.add(_name(number), ["--home", str(settings.home), "serve", "--worker", place])
    if (code := supervisor.run()) == ADDRESS_TAKEN:
        raise listening.taken(settings.host, settings.port, OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE)))
    return code


class Watch:
    """Which workers are stuck: they showed no life on the board for so many looks.

    Looks are counted, not seconds: after a pause of the whole host or container all would have been silent for long.
    """

    def __init__(self, board: Board, looks_max: int = round(PATIENCE_SECONDS / POLL_SECONDS)) -> None:
        self._board = board
        self._looks_max = looks_max
        self._rows = {_name(row + 1): row for row in range(board.rows)}
        self._seen: dict[str, tuple[int, int]] = {}  # process, and the time it showed life last
        self._looks: dict[str, int] = {}

    def is_stuck(self, name: str, pid: int) -> bool:
        """Look once. It is said once, then the count begins anew: what waits for a disk does not end at once."""
        found = pid, self._board.seen_ms(self._rows[name])
        looks = self._looks.get(name, 0) + 1 if self._seen.get(name) == found else 0
        is_stuck = looks >= self._looks_max
        self._seen[name], self._looks[name] = found, 0 if is_stuck else looks
        return is_stuck


def _name(number: int) -> str:
    return f"worker {number}"


def place_of(worker: Worker) -> str:
    """A worker's place as its command line says it."""
    return f"{worker.number},{worker.count},{worker.listener},{worker.board}"


def worker_at(place: str) -> Worker:
    """What :func:`place_of` wrote. Raises ``ValueError``."""
    number, count, listener, board = map(int, place.split(","))
    return Worker(number, count, listener, board)
