"""A real receiver in a process of its own, and a client that speaks to it as Logplex does."""

from __future__ import annotations

import base64
import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from ingest.eventlog.embedded import EmbeddedLog
from ingest.eventlog.entry import decode
from ingest.schema import TABLES

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path


SECRET = "s3cret-of-the-shop"
_READY = re.compile(r"receiving on (https?)://([^:\[]+|\[[0-9a-f:]+\]):(\d+)/logs")


@dataclass
class Running:
    """A receiver that listens."""

    process: subprocess.Popen[str]
    scheme: str
    port: int
    log_path: Path

    def connect(self, trust: ssl.SSLContext | None = None) -> http.client.HTTPConnection:
        """A keep-alive connection, as a drain has one."""
        if self.scheme == "https":
            return http.client.HTTPSConnection("localhost", self.port, timeout=20, context=trust)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def post(
        self, body: bytes, app: str = "shop", secret: str = SECRET, trust: ssl.SSLContext | None = None, **headers: str
    ) -> int:
        """Post one delivery on a connection of its own; the status of the answer."""
        with contextlib.closing(self.connect(trust)) as connection:
            return post(connection, body, app, secret, **headers)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)

    def kill(self) -> None:
        """Sudden death."""
        self.process.kill()
        self.process.wait(timeout=30)


def post(
    connection: http.client.HTTPConnection, body: bytes, app: str = "shop", secret: str = SECRET, **headers: str
) -> int:
    """Post one delivery; header names are written with underscores."""
    credentials = base64.b64encode(f"{app}:{secret}".encode()).decode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST", "/logs", body, {"Authorization": f"Basic {credentials}", **named})
    with contextlib.closing(connection.getresponse()) as answer:
        answer.read()
        return answer.status


@contextlib.contextmanager
def receiver(
    log_path: Path, options: str = "", setup: str = "", environment: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Run a receiver until the block ends. ``setup`` is Python that runs in its process first."""
    program = f"""
import sys
from pathlib import Path
from ingest.server import ReceiverOptions, serve
{setup}
options = ReceiverOptions(log_path=Path({str(log_path)!r}), port=0, drains={{"shop": ({SECRET!r},)}}, {options})
sys.exit(serve(options))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    try:
        yield wait_until_it_listens(process, log_path)
    finally:
        _end(process)


@contextlib.contextmanager
def crew(home: Path, workers: int, **settings: str) -> Iterator[Running]:
    """Run `drainlake serve` with so many workers until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    given = {"DRAINLAKE_HOME": str(home), "PORT": str(port), "DRAINLAKE_DRAINS": f"shop:{SECRET}", **settings}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "drainlake", "serve", "--workers", str(workers)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **given},
    )
    try:
        yield wait_until_it_listens(process, home / "log.db", workers)
    finally:
        _end(process)


def readiness(running: Running) -> tuple[int, bytes]:
    """What ``/readyz`` answers."""
    with contextlib.closing(running.connect()) as connection:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return answer.status, answer.read()


def fill(running: Running) -> bytes:
    """Send until the log has no room; gives the delivery that was refused."""
    text = b"".join(frame(f"{number} {number * 7919 % 104729:08x}" * 40) for number in range(40))
    for number in range(1000):
        body = text.replace(b"0 0", b"%d 0" % number)
        if running.post(body) != 204:
            return body
    raise AssertionError("the budget is not used up")


def land(log_path: Path) -> None:
    """Make room in the log, as landing does."""
    with contextlib.closing(EmbeddedLog(log_path)) as log:
        for table in TABLES:
            log.commit(table, "e0", log.end(table, "e0"))


def until(holds: Callable[[], bool]) -> None:
    """Wait for it."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait(timeout=30)
    assert process.stderr is not None
    process.stderr.close()


def wait_until_it_listens(process: subprocess.Popen[str], log_path: Path, workers: int = 1) -> Running:
    """The receiver, once all of it has said where it listens."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if match := _READY.search(line):
            workers -= 1
            if not workers:
                return Running(process, match[1], int(match[3]), log_path)
    raise AssertionError("the receiver did not start: " + "".join(said))


def stored(log_path: Path) -> dict[str, pl.DataFrame]:
    """All rows in the log by table; tables without rows are left out."""
    log = EmbeddedLog(log_path)
    try:
        tables = {}
        for table in TABLES:
            entries = log.read(table, "e0", 0, rows_max=10**9, bytes_max=10**12)
            if entries:
                tables[table] = pl.concat([decode(entry.payload) for entry in entries])
        return tables
    finally:
        log.close()


def frame(message: str, source: str = "app", process: str = "web.1", second: int = 0) -> bytes:
    """One frame."""
    counted = f"<190>1 2026-11-23T13:15:{second:02}.512345+00:00 host {source} {process} - {message}".encode()
    return b"%d %b" % (len(counted), counted)


def numbered(numbers: range) -> bytes:
    """Frames with a number each."""
    return b"".join(frame(f"line {number}") for number in numbers)
