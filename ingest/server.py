"""Runs the receiver: uvicorn around the application, with the stop that Heroku expects.

On SIGTERM or SIGINT: ``/readyz`` turns false and new deliveries are refused, the listening socket closes, requests
in flight finish, what waits is stored, the process exits with 0. Sudden death needs no other path than the next
start: nothing that was acknowledged lives in memory only.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import signal
import socket
import sys
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

import uvicorn
import uvloop

from ingest.credentials import CredentialStore, Doorkeeper
from ingest.eventlog.embedded import EmbeddedLog
from ingest.metrics import Metrics
from ingest.oplog import tell
from ingest.receiver import Receiver
from ingest.surroundings import Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ingest.eventlog.kafka.connection import KafkaConnection
    from ingest.eventlog.spooled import SpooledLog

KEEP_ALIVE_SECONDS: Final = 180  # above Logplex' idle close of at most 159 s: it closes, not we, so no race
STOP_SECONDS: Final = 20  # Heroku kills 30 s after SIGTERM
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_KEEP_FREED_BYTES: Final = 64 << 20


@dataclass(frozen=True)
class ReceiverOptions:
    """Where to listen, what to keep, whom to let in. With ``kafka`` the file at ``log_path`` is the spool before it.

    In ``figures_folder`` the other processes of this host leave their figures.
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


class _Server(uvicorn.Server):
    """uvicorn without its signal handling: it would end the process by the signal, not with exit code 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def serve(options: ReceiverOptions) -> int:
    """Receive until SIGTERM or SIGINT; the exit code. Raises ``OSError`` when the address is taken."""
    keep_freed_memory()
    leave_pandas_out()
    listener = _listen(options)
    log = _log(options)
    doorkeeper = Doorkeeper(CredentialStore(options.log_path), options.drains)
    receiver = Receiver(log, doorkeeper, body_max_bytes=options.body_max_bytes, metrics=Metrics(_place(options)))
    try:
        uvloop.run(_run(receiver, options, listener))
    finally:
        log.close()
        counts = receiver.fates.counts
        said = ", ".join(f"{count:,} {fate.replace('_', ' for ')}" for fate, count in sorted(counts.items()))
        tell("serve", "stopped", f"Stopped; deliveries: {said or 'none'}.", deliveries=counts)
    return 0


def _place(options: ReceiverOptions) -> Place:
    return Place(
        options.log_path,
        options.spool_max_bytes,
        is_embedded=options.kafka is None,
        folder=options.figures_folder,
        version=options.version,
        drains=tuple(options.drains),
        tls_cert=options.tls_cert,
    )


def _log(options: ReceiverOptions) -> EmbeddedLog | SpooledLog:
    local = EmbeddedLog(options.log_path, size_max_bytes=options.spool_max_bytes)
    if options.kafka is None:
        return local
    from ingest.eventlog.kafka.log import KafkaLog  # noqa: PLC0415 - 30 MB that the embedded log does without
    from ingest.eventlog.spooled import DIRECT_SECONDS, SpooledLog  # noqa: PLC0415

    return SpooledLog(local, KafkaLog(options.kafka, DIRECT_SECONDS), options.log_path, partial(tell, "serve"))


async def _run(receiver: Receiver, options: ReceiverOptions, listener: socket.socket) -> None:
    server = _Server(
        uvicorn.Config(
            receiver.app,
            http="httptools",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            ssl_certfile=options.tls_cert,
            ssl_keyfile=options.tls_key,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
    )
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        tell("serve", "stopping", f"{number.name}: stopping; what was received is stored first.", why=number.name)
        receiver.stop()
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    scheme = "https" if options.tls_cert else "http"
    host, port = listener.getsockname()[:2]
    announcement = asyncio.create_task(_announce(server, f"{scheme}://{host}:{port}/logs"))
    await server.serve(sockets=[listener])
    await announcement


async def _announce(server: uvicorn.Server, address: str) -> None:
    while not (server.started or server.should_exit):
        await asyncio.sleep(0.01)
    tell("serve", "listening", f"receiving on {address}", address=address)  # it answers now


def _listen(options: ReceiverOptions) -> socket.socket:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((options.host, options.port))
    except OSError:
        listener.close()
        raise
    return listener


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
