"""What goes wrong in a soak: kills, restarts, renewed certificates, bad clients. The seed says in which order."""

from __future__ import annotations

import contextlib
import random
import socket
import ssl
import threading
from collections import Counter
from typing import TYPE_CHECKING, Final

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.soak.world import World

PAUSE_SECONDS: Final = (8.0, 25.0)
BAD_CLIENTS: Final = 10


class Faults(threading.Thread):
    """Makes one fault after another until ``ending`` is set; ``made`` counts them."""

    def __init__(self, world: World, ending: threading.Event, seed: int) -> None:
        super().__init__(name="faults", daemon=True)
        self._world, self._ending, self._dice = world, ending, random.Random(seed)
        self.made: Counter[str] = Counter()
        self.exit_codes: list[int] = []

    def run(self) -> None:
        """Each fault of the list comes up."""
        faults: list[Callable[[], None]] = []
        while not self._ending.wait(self._dice.uniform(*PAUSE_SECONDS)):
            if not faults:
                faults = [
                    self.kill_receiver, self.kill_lander, self.kill_schedule, self.cut_the_power,
                    self.restart, self.renew_certificate, self.kill_lander,
                ]  # fmt: skip
                self._dice.shuffle(faults)
            fault = faults.pop()
            fault()
            self.made[fault.__name__] += 1

    def kill_receiver(self) -> None:
        """``up`` starts it again."""
        self._kill("serve")

    def kill_lander(self) -> None:
        """Wherever it is just now."""
        self._kill("land")

    def kill_schedule(self) -> None:
        """And the run that it may have begun, which ends with it."""
        self._kill("schedule")

    def cut_the_power(self) -> None:
        """All at once, and ``up`` anew."""
        self._world.kill_all()
        self._world.start()

    def restart(self) -> None:
        """As a deployment does; it must end by itself, with exit code 0."""
        self.exit_codes.append(self._world.stop())
        self._world.start()

    def renew_certificate(self) -> None:
        """No delivery may notice."""
        self._world.renew_certificate()

    def _kill(self, part: str) -> None:
        with contextlib.suppress(KeyError, psutil.NoSuchProcess):
            self._world.processes()[part].kill()


class BadClient(threading.Thread):
    """Comes with wrong secrets, half a header, no TLS, or nothing at all, again and again."""

    def __init__(self, world: World, ending: threading.Event, seed: int) -> None:
        super().__init__(name="bad client", daemon=True)
        self._world, self._ending, self._dice = world, ending, random.Random(seed)

    def run(self) -> None:
        """One visit after another."""
        while not self._ending.wait(self._dice.uniform(0.1, 1.0)):
            with contextlib.suppress(OSError):
                self._dice.choice([self._wrong_secret, self._half_header, self._no_tls])()

    def _wrong_secret(self) -> None:
        with self._connect() as sock:
            sock.sendall(
                b"POST /logs HTTP/1.1\r\nHost: x\r\nAuthorization: Basic c2hvcDpubw==\r\nContent-Length: 9\r\n\r\n"
            )
            sock.recv(1000)

    def _half_header(self) -> None:
        with self._connect() as sock:
            sock.sendall(b"POST /logs HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            self._ending.wait(self._dice.uniform(0, 20))

    def _no_tls(self) -> None:
        with socket.create_connection(("127.0.0.1", self._world.port), timeout=5) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            sock.recv(1000)

    def _connect(self) -> ssl.SSLSocket:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self._world.port), timeout=5))
