"""Runs a server for tests; it ends with the test process, however that one ends."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

START_TIMEOUT_SECONDS = 20.0

# Its own standard input ends when the test process does.
KEEPER = """
import subprocess, sys
server = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
try:
    sys.stdin.buffer.read()
finally:
    server.kill()
    server.wait()
"""


@contextmanager
def kept(
    command: Sequence[str], port: int, log: IO[str] | int, environment: Mapping[str, str] | None = None
) -> Iterator[bool]:
    """Run a server until the block ends; gives whether it answers on its port. One that ends at once does not, for
    instance because another process took the port."""
    keeper = subprocess.Popen(
        [sys.executable, "-c", KEEPER, *command], env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log
    )
    try:
        yield _answers(port, keeper)
    finally:
        keeper.communicate()


def _answers(port: int, keeper: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline and keeper.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return True
    return False
