"""Accepts connections: a few at a time, within the limit on their number, with a bounded TLS handshake.

uvicorn would leave this to the event loop, which accepts all that wait at once, gives a handshake a minute, and knows
no limit. A TLS handshake takes about a millisecond of the event loop: so few begin per turn of it, and the deliveries
that arrive on open connections have their turn in between, however many strangers knock.

The door can be shut for a while: then nobody can connect, which is better for Heroku than an answer that refuses.

Several workers accept from one socket. Drains keep their connections for hours, so a worker leaves a connection to one
that holds fewer. It waits for a moment only: one that is stuck must not keep a drain waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import logging
import resource
from typing import TYPE_CHECKING, Final

from ingest.http import connections
from ingest.http.connections import Guest, neighbourhood
from ingest.http.listener import BACKLOG
from ingest.oplog import tell

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from ingest.http.certificate import Certificate
    from ingest.http.protocol import Connection, Edge

ACCEPTS_AT_ONCE: Final = 4
PAUSE_SECONDS: Final = 0.1  # when the system has no more room
YIELD_SECONDS: Final = 0.02  # for a worker with fewer connections to take one
DESCRIPTORS_RESERVED: Final = 128  # for the log, Kafka and the process itself
_LIBC: Final = ctypes.CDLL(None)
# Of the family AF_UNSPEC: a socket that connects to it listens no more. Python cannot write such an address.
_NO_ADDRESS: Final = bytes(16)
_NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def raise_descriptor_limit() -> int:
    """Let this process open as many files as the system allows; how many connections that is enough for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # some systems allow less than they say
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(10, soft - DESCRIPTORS_RESERVED) if soft != resource.RLIM_INFINITY else 1 << 20


class Acceptor:
    """Turns what knocks at a listening socket into connections."""

    def __init__(
        self,
        listener: socket.socket,
        edge: Edge,
        certificate: Certificate | None,
        make: Callable[[Guest], Connection],
        is_our_turn: Callable[[int], bool],
    ) -> None:
        """``is_our_turn`` says if a process with so many connections should take one more, or another worker should."""
        self._listener = listener
        self._address = listener.getsockname()
        self._edge = edge
        self._certificate = certificate
        self._make = make
        self._is_our_turn = is_our_turn
        self._has_yielded = False
        self._loop = asyncio.get_running_loop()
        self._connecting: set[asyncio.Task[None]] = set()
        self.is_open = False
        self.is_shut = False
        self._is_out_of_room = False

    def start(self) -> None:
        """Listen."""
        self._listener.setblocking(False)
        self._listener.listen(BACKLOG)
        self.is_open = True
        self._loop.add_reader(self._listener, self._accept)

    def stop(self) -> None:
        """Close the listening socket; more than once does no harm."""
        if self.is_open:
            self.is_open = False
            self._loop.remove_reader(self._listener)
            self._listener.close()
            for task in self._connecting:
                task.cancel()

    def shut(self) -> bool:
        """Let nobody connect to this process or another worker until :meth:`reopen`.

        Connections that are there close with their next answer. False where it is shut or closed already, and where the
        system cannot do so: it is Linux that refuses connections then.
        """
        if self.is_shut or not self.is_open:
            return False
        # Not shutdown(): where another worker did that a moment before, it marks the socket, and of each connection
        # accepted later Linux says that the other side has ended it: no delivery would be read any more.
        if _LIBC.connect(self._listener.fileno(), _NO_ADDRESS, len(_NO_ADDRESS)) == 0:
            self._leave_shut()
        return self.is_shut

    def reopen(self) -> None:
        """Listen again; where another worker does so already, only accept again."""
        with contextlib.suppress(OSError):  # it is bound still, but for a port that the system chose
            self._listener.bind(self._address)
        self._listener.listen(BACKLOG)
        self.is_shut = self._edge.is_parting = False
        self._resume()

    def _leave_shut(self) -> None:
        self.is_shut = self._edge.is_parting = True
        self._loop.remove_reader(self._listener)

    def _accept(self) -> None:
        for _ in range(ACCEPTS_AT_ONCE):
            if not (self._has_yielded or self._is_our_turn(self._edge.connections.count)):
                self._yield()
                return
            self._has_yielded = False
            try:
                accepted, address = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError, InterruptedError):
                return
            except OSError as error:
                self._wait_for_room(error)
                return
            self._is_out_of_room = False
            self._take(accepted, neighbourhood(str(address[0])))

    def _take(self, accepted: socket.socket, address: str) -> None:
        accepted.setblocking(False)
        guest = Guest(address, self._loop.time() + connections.HEADER_SECONDS, "handshake", self._edge.count_closed)
        ousted = self._edge.connections.arrive(guest)
        if ousted is guest:
            self._edge.count_closed("full")
            accepted.close()
            return
        if ousted is not None:
            ousted.end("crowded")
        task = self._loop.create_task(self._connect(accepted, guest))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        guest.end = lambda reason: self._hang_up(task, reason)

    def _hang_up(self, task: asyncio.Task[None], reason: str) -> None:
        self._edge.count_closed(reason)
        task.cancel()

    async def _connect(self, accepted: socket.socket, guest: Guest) -> None:
        """Shake hands; afterwards the protocol looks after the connection."""
        connection = self._make(guest)
        try:
            if self._certificate is None:
                await self._loop.connect_accepted_socket(lambda: connection, accepted)
            else:
                await self._loop.connect_accepted_socket(
                    lambda: connection,
                    accepted,
                    ssl=self._certificate.context,
                    ssl_handshake_timeout=connections.HANDSHAKE_SECONDS,
                    ssl_shutdown_timeout=connections.CLOSE_SECONDS,
                )
        except OSError:  # ssl.SSLError is one: no TLS, too old, too slow, gone
            self._edge.count_closed("handshake")
        finally:
            if not connection.is_up:
                self._edge.connections.leave(guest)

    def _wait_for_room(self, error: OSError) -> None:
        """No descriptors or no memory: let a stranger go, and try again a moment later instead of spinning."""
        if error.errno == errno.EINVAL:  # nobody listens: another worker has shut the door
            self._leave_shut()
            return
        if error.errno not in _NO_ROOM:
            raise error
        if not self._is_out_of_room:
            self._is_out_of_room = True
            sentence = f"No connection can be accepted: {error.strerror}. Raise the limit of open files (ulimit -n)."
            tell("serve", "out_of_descriptors", sentence, level=logging.ERROR)
        if (ousted := self._edge.connections.give_up_one()) is not None:
            ousted.end("descriptors")
        self._loop.remove_reader(self._listener)
        self._loop.call_later(PAUSE_SECONDS, self._resume)

    def _yield(self) -> None:
        """Leave what knocks to another worker; what it has not taken after a moment is ours."""
        self._has_yielded = True
        self._loop.remove_reader(self._listener)
        self._loop.call_later(YIELD_SECONDS, self._resume_with_one)

    def _resume_with_one(self) -> None:
        if self.is_open and not self.is_shut:
            self._loop.add_reader(self._listener, self._accept)
            self._accept()

    def _resume(self) -> None:
        if self.is_open and not self.is_shut:
            self._loop.add_reader(self._listener, self._accept)
