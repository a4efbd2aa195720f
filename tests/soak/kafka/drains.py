"""Drains as Heroku runs them, behind a balancer of two receivers, that remember everything they sent."""

from __future__ import annotations

import contextlib
import http.client
import random
import time
import traceback
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ingest.simulator.framing import frame, l10
from tests.ingest.running import post

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence

TRIES_MAX = 3
REPEAT_SHARE = 0.15
NOTICE_ON_RETRY_SHARE = 0.3
LARGE_SHARE = 0.02
PATIENCE_SECONDS = 20.0  # far over what is allowed: a late answer has to be seen as one
TALE = "the quick brown worker of the shop went through its queue and found nothing left to do"


@dataclass(frozen=True)
class Try:
    """One POST: what it carried, and its answer. ``status`` None is none; ``is_refused`` if nobody listened."""

    frame_id: str
    lines: int
    status: int | None
    seconds: float
    is_refused: bool = False

    @property
    def is_acknowledged(self) -> bool:
        """Whether the receiver said that it keeps it."""
        return self.status == 204

    @property
    def is_open(self) -> bool:
        """Whether it may or may not be kept."""
        return not self.is_acknowledged and not self.is_refused


@dataclass
class Notice:
    """An L10 in front of a delivery, known by the time since which messages were dropped."""

    since: str
    dropped: int
    framed: bytes
    is_acknowledged: bool = False


@dataclass
class Delivery:
    """One delivery with all its tries and notices."""

    app: str
    frame_id: str
    lines: Sequence[str]
    body: bytes
    is_acknowledged: bool = False
    notices: list[Notice] = field(default_factory=list)
    tries: list[Try] = field(default_factory=list)


class Drain:
    """Sends one delivery at a time to receivers picked at random."""

    def __init__(self, name: str, app: str, secret: str, ports: Sequence[int], seed: int) -> None:
        self.deliveries: list[Delivery] = []
        self.errors: list[str] = []
        self._name = name
        self._app = app
        self._secret = secret
        self._ports = ports
        self._pick = random.Random(f"{seed} {name}")
        self._connections: dict[int, http.client.HTTPConnection] = {}

    def run(self, stop: threading.Event) -> None:
        """Send until told to stop; what goes wrong with sending itself is remembered."""
        try:
            with contextlib.closing(self):
                self._run(stop)
        except Exception:  # noqa: BLE001 - a drain that fell silent would make the soak an easy one
            self.errors.append(traceback.format_exc())

    def close(self) -> None:
        """Close the connections."""
        for connection in self._connections.values():
            connection.close()

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            delivery = self._next_delivery()
            self.deliveries.append(delivery)
            self._send(delivery, None)
            if delivery.is_acknowledged and self._pick.random() < REPEAT_SHARE:
                stop.wait(self._pick.choice((0.0, 0.1, 2.0)))  # at once, or when much has happened meanwhile
                self._send(delivery, self._notice(delivery))
            stop.wait(self._pick.uniform(0.0, 0.12))

    def _next_delivery(self) -> Delivery:
        number = len(self.deliveries)
        frame_id = f"{self._name}-{number}"
        size = self._pick.randint(200, 900) if self._pick.random() < LARGE_SHARE else self._pick.randint(1, 40)
        lines = [f"{frame_id} line {place}: {TALE[: 20 + place % 60]}" for place in range(size)]
        at = datetime.now(UTC) - timedelta(days=number % 5 == 0)  # two days of the lake grow at once
        return Delivery(self._app, frame_id, lines, b"".join(_framed(lines, at)))

    def _notice(self, delivery: Delivery) -> Notice:
        at = datetime.now(UTC)
        since = at - timedelta(seconds=self._pick.uniform(1, 60))
        dropped = self._pick.randint(1, 1000)
        notice = Notice(f"{since:%Y-%m-%dT%H:%M:%S.%f}+00:00", dropped, l10(dropped, since, at))
        delivery.notices.append(notice)
        return notice

    def _send(self, delivery: Delivery, notice: Notice | None) -> None:
        """Try up to three times; once a notice is there, all further tries carry it."""
        for number in range(TRIES_MAX):
            if number and notice is None and self._pick.random() < NOTICE_ON_RETRY_SHARE:
                notice = self._notice(delivery)
            done = self._try(delivery, notice)
            delivery.tries.append(done)
            if done.is_acknowledged:
                delivery.is_acknowledged = True
                if notice is not None:
                    notice.is_acknowledged = True
                return

    def _try(self, delivery: Delivery, notice: Notice | None) -> Try:
        port = self._pick.choice(self._ports)
        body = (notice.framed if notice else b"") + delivery.body
        lines = len(delivery.lines) + (notice is not None)
        begun = time.monotonic()
        try:
            status = post(
                self._connected(port), body, self._app, self._secret, Logplex_Frame_Id=delivery.frame_id,
                Logplex_Drain_Token=f"d.{self._name}", Logplex_Msg_Count=str(lines),
            )  # fmt: skip
        except ConnectionRefusedError:
            return Try(delivery.frame_id, lines, None, time.monotonic() - begun, is_refused=True)
        except (OSError, http.client.HTTPException):
            if port in self._connections:  # else not even connecting came about
                self._connections.pop(port).close()
            return Try(delivery.frame_id, lines, None, time.monotonic() - begun)
        return Try(delivery.frame_id, lines, status, time.monotonic() - begun)

    def _connected(self, port: int) -> http.client.HTTPConnection:
        if port not in self._connections:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
            connection.connect()
            self._connections[port] = connection
        return self._connections[port]


def _framed(lines: Sequence[str], at: datetime) -> Iterator[bytes]:
    for place, line in enumerate(lines):
        stamp = at + timedelta(microseconds=place)
        yield frame(190, f"{stamp:%Y-%m-%dT%H:%M:%S.%f}+00:00", "app", "worker.1", f"{line}\n".encode())
