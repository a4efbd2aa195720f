"""Runs the receiver: uvicorn around the application, with the edge before it and the stop that Heroku expects.

The stop, on SIGTERM or SIGINT: ``/readyz`` turns false at once, and answers say ``Connection: close``. Then

* if something asks ``/readyz`` again and again (a load balancer, Kubernetes), the receiver goes on taking deliveries
  for ``LEAVE_SECONDS``: until all have noticed, connections still come, and refusing them would cost Heroku's tries;
* else the listening socket closes at once. Logplex that cannot connect keeps up to 1,024 messages and uses up no try,
  and on a dyno the router has stopped sending already: waiting would only lengthen the restart.

Then requests in flight finish (new ones get 503), what waits is stored, the process exits with 0. A second signal
skips the waiting. Sudden death needs no other path than the next start: nothing that was acknowledged lives in memory
only.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import functools
import logging
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import uvicorn
import uvloop

from ingest import door
from ingest.credentials import CredentialStore, Doorkeeper
from ingest.eventlog.embedded import EmbeddedLog
from ingest.figures.board import Board
from ingest.figures.colleagues import PUBLISH_SECONDS, Colleagues
from ingest.figures.surroundings import Place
from ingest.http.acceptor import Acceptor, raise_descriptor_limit
from ingest.http.body_memory import BodyMemory
from ingest.http.certificate import WATCH_SECONDS, Certificate
from ingest.http.connections import Connections
from ingest.http.listener import bind
from ingest.http.protocol import Connection, Edge
from ingest.metrics import Metrics
from ingest.oplog import tell
from ingest.receiver import Receiver
from ingest.workers import limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
    from pathlib import Path

    from ingest.eventlog.kafka.connection import KafkaConnection
    from ingest.eventlog.spooled import SpooledLog
    from ingest.http.connections import Guest
    from ingest.workers import Limits, Worker

LEAVE_SECONDS: Final = 5.0  # what load balancers take to notice, and Kubernetes to pass it on
STOP_SECONDS: Final = 20  # Heroku and Kubernetes kill 30 s after SIGTERM
SWEEP_SECONDS: Final = 0.5
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_KEEP_FREED_BYTES: Final = 64 << 20


@dataclass(frozen=True)
class ReceiverOptions:
    """Where to listen, what to keep, whom to let in. With ``kafka`` the file at ``log_path`` is the spool before it.

    In ``figures_folder`` the other processes of this host leave their figures. A ``worker`` is one of several
    processes of one receiver; it does not bind the address.
    """

    log_path: Path
    host: str = "127.0.0.1"
    port: int = 8080
    tls_cert: Path | None = None
    tls_key: Path | None = None
    drains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    body_max_bytes: int = 16 << 20
    spool_max_bytes: int = 10 << 30
    kafka: KafkaConnection | None = None
    figures_folder: Path | None = None
    version: str = ""
    connections_max: int = 1000
    metrics_token: str | None = None
    worker: Worker | None = None


class _Server(uvicorn.Server):
    """uvicorn without its signal handling, which would end the process by the signal, and with our accepting."""

    def __init__(
        self,
        config: uvicorn.Config,
        edge: Edge,
        listener: socket.socket,
        certificate: Certificate | None,
        colleagues: Colleagues | None,
    ) -> None:
        super().__init__(config)
        self._edge = edge
        is_our_turn = colleagues.is_our_turn if colleagues is not None else lambda _: True
        self.acceptor = Acceptor(listener, edge, certificate, self._connection, is_our_turn)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept."""
        del sockets
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(1)
        self.servers = []
        try:
            self.acceptor.start()
        except OSError:  # another process that bound the address listens now
            await self.lifespan.shutdown()
            raise
        self.started = True

    def end(self) -> None:
        """Accept no more, and finish what has begun."""
        self.acceptor.stop()
        self.should_exit = True

    def _connection(self, guest: Guest) -> Connection:
        return Connection(
            edge=self._edge,
            guest=guest,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )


def serve(options: ReceiverOptions) -> int:
    """Receive until SIGTERM or SIGINT; the exit code. Raises ``OSError`` when the address is taken."""
    keep_freed_memory()
    leave_pandas_out()
    worker = options.worker
    listener = bind(options.host, options.port) if worker is None else socket.socket(fileno=worker.listener)
    certificate = None
    if options.tls_cert is not None and options.tls_key is not None:
        certificate = Certificate(options.tls_cert, options.tls_key)
    log = _log(options)
    try:
        counts = uvloop.run(_run(log, options, listener, certificate))
    finally:
        log.close()
    said = ", ".join(f"{count:,} {fate.replace('_', ' for ')}" for fate, count in sorted(counts.items()))
    tell("serve", "stopped", f"Stopped; deliveries: {said or 'none'}.", deliveries=counts)
    return 0


def _place(options: ReceiverOptions) -> Place:
    return Place(
        options.log_path,
        options.spool_max_bytes,
        is_embedded=options.kafka is None,
        folder=options.figures_folder,
        drains=tuple(options.drains),
    )


def _log(options: ReceiverOptions) -> EmbeddedLog | SpooledLog:
    local = EmbeddedLog(options.log_path, size_max_bytes=options.spool_max_bytes)
    if options.kafka is None:
        return local
    from ingest.eventlog.kafka.log import KafkaLog  # noqa: PLC0415 - 30 MB that the embedded log does without
    from ingest.eventlog.spooled import DIRECT_SECONDS, SpooledLog  # noqa: PLC0415

    return SpooledLog(
        local, KafkaLog(options.kafka, DIRECT_SECONDS), options.log_path, functools.partial(tell, "serve")
    )


async def _run(
    log: EmbeddedLog | SpooledLog, options: ReceiverOptions, listener: socket.socket, certificate: Certificate | None
) -> dict[str, int]:
    """Receive until a signal; gives what became of the deliveries."""
    doorkeeper = Doorkeeper(CredentialStore(options.log_path), options.drains)
    colleagues = _colleagues(options)
    allowed = _limits(options)
    receiver = Receiver(
        log,
        doorkeeper,
        body_max_bytes=options.body_max_bytes,
        metrics=Metrics(_place(options), version=options.version, colleagues=colleagues),
        metrics_token=options.metrics_token,
        allowed=allowed,
    )
    edge = _edge(receiver, doorkeeper, allowed, options.body_max_bytes)
    server = _Server(_config(receiver), edge, listener, certificate, colleagues)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(functools.partial(_on_error, edge))
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_stop, number, server, stopping, options.worker)
    tasks = [
        _stop(server, receiver, edge, stopping),
        _sweep(edge, receiver),
        door.mind(server.acceptor, receiver),
    ]
    if colleagues is not None:
        tasks.append(_show_up(colleagues, edge, receiver.metrics))
    loop.add_signal_handler(signal.SIGHUP, _reload, certificate)
    if certificate is not None:
        receiver.metrics.watch_certificate(lambda: certificate.expires_at)
        tasks.append(_watch(certificate))
    tasks.append(_announce(server, _address(listener, certificate), options.worker))
    async with _in_background(tasks, server):
        await server.serve()
    _publish(receiver.metrics)
    return receiver.fates.counts


def _colleagues(options: ReceiverOptions) -> Colleagues | None:
    worker = options.worker
    if worker is None:
        return None
    return Colleagues(Board(worker.board, worker.count), worker.number, options.version)


def _config(receiver: Receiver) -> uvicorn.Config:
    return uvicorn.Config(
        receiver.app,
        http=Connection,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )


def _edge(receiver: Receiver, doorkeeper: Doorkeeper, allowed: Limits, body_max_bytes: int) -> Edge:
    metrics = receiver.metrics
    connections, bodies = Connections(allowed.connections), BodyMemory(allowed.arriving_bytes)
    edge = Edge(connections, receiver.slowdown, doorkeeper, body_max_bytes, metrics.closed, bodies)
    metrics.watch_connections(lambda: connections.known, lambda: connections.strangers)
    metrics.watch_bodies(lambda: edge.bodies.held_bytes)
    return edge


def _limits(options: ReceiverOptions) -> Limits:
    """This process's limits; fewer connections where the system lets it open few files."""
    workers = options.worker.count if options.worker is not None else 1
    possible = raise_descriptor_limit()
    wanted = limits(options.connections_max, options.body_max_bytes, workers).connections
    if possible < wanted:
        sentence = (
            f"Only {possible} connections are held at a time instead of {wanted}, as the system lets this process open"
            " few files: raise the limit of open files (ulimit -n)."
        )
        tell("serve", "few_descriptors", sentence, level=logging.WARNING)
    return limits(min(wanted, possible) * workers, options.body_max_bytes, workers)


@contextlib.asynccontextmanager
async def _in_background(work: list[Coroutine[None, None, None]], server: _Server) -> AsyncIterator[None]:
    """Run these meanwhile; what is unfinished at the end is cancelled.

    If one fails the server stops and the failure is raised: without the sweep, say, no limit in time would hold.
    """

    def on_end(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            server.end()

    tasks = [asyncio.create_task(each) for each in work]
    for task in tasks:
        task.add_done_callback(on_end)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for found in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(found, Exception):
                raise found


def _on_error(edge: Edge, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Count what goes wrong inside a connection: written out, it would let strangers fill drainlake's own log."""
    if "transport" in context or "protocol" in context:
        edge.count_closed("transport")
    else:
        loop.default_exception_handler(context)


def _on_stop(number: signal.Signals, server: _Server, stopping: asyncio.Event, worker: Worker | None) -> None:
    """A second signal skips the waiting, but not of a worker: systemd asks it itself, and so does its parent."""
    tell("serve", "stopping", f"{number.name}: stopping; what was received is stored first.", why=number.name)
    if stopping.is_set() and worker is None:
        server.end()
    stopping.set()


def _reload(certificate: Certificate | None) -> None:
    """Read the certificate anew. Where a front has it there is nothing to do, and nothing to die of."""
    if certificate is not None:
        certificate.renew(at_once=True)
    else:
        tell("serve", "nothing_to_reload", "SIGHUP: there is no certificate to read anew; nothing was changed.")


async def _stop(server: _Server, receiver: Receiver, edge: Edge, stopping: asyncio.Event) -> None:
    """The order of a stop, once it is asked for."""
    await stopping.wait()
    receiver.stop()
    edge.is_parting = True
    if receiver.is_watched:
        await asyncio.sleep(LEAVE_SECONDS)
    receiver.refuse()
    server.end()


async def _sweep(edge: Edge, receiver: Receiver) -> None:
    """Close connections whose time is up. One look at all of them costs less than a timer for each request."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        for guest in edge.connections.overdue(loop.time()):
            guest.end(guest.late)
        receiver.tell_what_is_due(time.monotonic())


async def _show_up(colleagues: Colleagues, edge: Edge, metrics: Metrics) -> None:
    """Let the other workers see this one's connections and figures, and so that it lives."""
    while True:
        colleagues.hold(edge.connections.count)
        await asyncio.to_thread(_publish, metrics)
        await asyncio.sleep(PUBLISH_SECONDS)


def _publish(metrics: Metrics) -> None:
    """Leave the figures for the other workers. What cannot be read for them is no reason to stop receiving."""
    try:
        metrics.publish()
    except Exception as error:  # noqa: BLE001 - the spool's file, the process's limits; deliveries may well go on
        said = f"This worker's figures cannot be read, those of before are shown: {error or type(error).__name__}."
        tell("serve", "figures_unread", said, level=logging.WARNING)


async def _watch(certificate: Certificate) -> None:
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        certificate.renew()


def _address(listener: socket.socket, certificate: Certificate | None) -> str:
    scheme = "https" if certificate else "http"
    host, port = listener.getsockname()[:2]
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/logs"


async def _announce(server: uvicorn.Server, address: str, worker: Worker | None) -> None:
    while not (server.started or server.should_exit):
        await asyncio.sleep(0.01)
    which = f" (worker {worker.number} of {worker.count})" if worker is not None else ""
    tell("serve", "listening", f"receiving on {address}{which}", address=address)  # it answers now


def keep_freed_memory() -> None:
    """Keep memory that one batch freed for the next, where the C library is glibc.

    Else every array over 128 KB goes back to the kernel and comes back as page faults: 1.2 ms per megabyte
    parsed were measured, more than finding its frames costs.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_MMAP_THRESHOLD, 32 << 20)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEEP_FREED_BYTES)


class _LeftOut:
    """Answers at once that there is no pandas and no dateutil."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        """What Python's import asks of each finder."""
        del path, target
        if name in {"pandas", "dateutil"}:
            raise ModuleNotFoundError(name)


def leave_pandas_out() -> None:
    """Keep pyarrow from looking for pandas and dateutil.

    It does so whenever it makes a column of Python values. Where they are missing, each look searches the import
    path, a fifth of the time of a small batch; where they are installed, they would be loaded for nothing.
    """
    sys.meta_path.insert(0, _LeftOut)
