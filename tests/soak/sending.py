"""Drains as Logplex runs them: one delivery in flight, tries with the same Frame-Id, and an exact account.

Each line carries a number of its own. The account says of each number on which day its line is dated and whether a 204
came for it. A number without one may be in the lake or not, but never twice.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import random
import ssl
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from tests.soak.world import SECRET

if TYPE_CHECKING:
    from datetime import datetime

    from tests.soak.world import World

LINES_MAX: Final = 300
REPEAT_SHARE: Final = 0.03
LATE_SHARE: Final = 0.02
CUT_SHARE: Final = 0.01
TRIES_SECONDS_MAX: Final = 120


@dataclass
class Account:
    """What was sent: by number the date of the line, and the numbers that were acknowledged."""

    dates: dict[int, str] = field(default_factory=dict)
    acknowledged: set[int] = field(default_factory=set)
    statuses: dict[str, int] = field(default_factory=dict)
    reply_seconds: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def numbers(self, dates: list[str]) -> list[int]:
        """New numbers for lines of these dates."""
        with self.lock:
            first = len(self.dates)
            fresh = list(range(first, first + len(dates)))
            self.dates.update(zip(fresh, dates, strict=True))
            return fresh

    def note(self, outcome: str, seconds: float, numbers: list[int]) -> None:
        """A reply came, or none."""
        with self.lock:
            self.statuses[outcome] = self.statuses.get(outcome, 0) + 1
            if outcome == "204":
                self.acknowledged.update(numbers)
                self.reply_seconds.append(seconds)


def frame(stamp: datetime, rest: str) -> bytes:
    """One octet-counted frame."""
    message = f"<158>1 {stamp.isoformat(timespec='microseconds')} host {rest}\n".encode()
    return b"%d %b" % (len(message), message)


def notice(stamp: datetime) -> bytes:
    """The L10 line that Logplex puts in front of a body; it ends without a newline."""
    said = "Error L10 (output buffer overflow): 3 messages dropped since 2027-03-27T20:00:00+00:00."
    message = f"<172>1 {stamp.isoformat(timespec='microseconds')} host heroku logplex - {said}".encode()
    return b"%d %b" % (len(message), message)


def line(number: int, stamp: datetime, dice: random.Random) -> bytes:
    """A router line, an app's line, or bytes that are no frame; each holds its number."""
    kind = dice.random()
    if kind < 0.6:
        return frame(
            stamp,
            f'heroku router - at=info method=GET path="/p/{number % 50}" host=x.example request_id=soak-{number:012d}'
            f' fwd="192.0.2.{number % 250}" dyno=web.{number % 3 + 1} connect=1ms service={number % 900}ms status=200'
            f" bytes={number % 5000} protocol=https",
        )
    if kind < 0.99:
        return frame(stamp, f"app worker.{number % 2 + 1} - soak-{number:012d} {'x' * (number % 120)}")
    return f"soak-{number:012d} is no frame\n".encode()


class Drain(threading.Thread):
    """One drain of an app; runs until ``ending`` is set, then finishes the delivery it has."""

    def __init__(self, world: World, app: str, account: Account, ending: threading.Event, seed: int) -> None:
        super().__init__(name=f"drain-{app}", daemon=True)
        self._world, self._app, self._account, self._ending = world, app, account, ending
        self._dice = random.Random(seed)
        self._token = f"d.{uuid.UUID(int=self._dice.getrandbits(128))}"
        self._tls = ssl.create_default_context()
        self._tls.check_hostname, self._tls.verify_mode = False, ssl.CERT_NONE  # as Logplex does
        self._connection: http.client.HTTPSConnection | None = None

    def run(self) -> None:
        """Deliver again and again."""
        while not self._ending.is_set():
            numbers, body = self._make()
            headers = self._headers()
            self._deliver(body, headers, numbers)
            if self._dice.random() < REPEAT_SHARE:  # the reply was lost: again, an L10 in front
                self._deliver(notice(self._world.now()) + body, headers, numbers)
            self._ending.wait(self._dice.uniform(0.05, 0.35))
        self._close()

    def _make(self) -> tuple[list[int], bytes]:
        now = self._world.now()
        stamps = [self._stamp(now) for _ in range(self._dice.randint(1, LINES_MAX))]
        numbers = self._account.numbers([f"{stamp:%Y-%m-%d}" for stamp in stamps])
        return numbers, b"".join(line(n, stamp, self._dice) for n, stamp in zip(numbers, stamps, strict=True))

    def _stamp(self, now: datetime) -> datetime:
        late = self._dice.random() < LATE_SHARE
        return (
            now - timedelta(hours=self._dice.uniform(0, 100)) if late else now - timedelta(seconds=self._dice.random())
        )

    def _headers(self) -> dict[str, str]:
        basic = base64.b64encode(f"{self._app}:{SECRET}".encode()).decode()
        return {
            "Authorization": f"Basic {basic}",
            "Content-Type": "application/logplex-1",
            "Logplex-Frame-Id": uuid.UUID(int=self._dice.getrandbits(128)).hex.upper(),
            "Logplex-Drain-Token": self._token,
        }

    def _deliver(self, body: bytes, headers: dict[str, str], numbers: list[int]) -> None:
        """Try until a 204 or a final refusal comes; a receiver that is away is waited for."""
        deadline = time.monotonic() + TRIES_SECONDS_MAX
        while time.monotonic() < deadline:
            outcome = self._try(body, headers, numbers)
            if outcome in {"204", "400", "401", "403", "413"}:
                return
            time.sleep(0.1)

    def _try(self, body: bytes, headers: dict[str, str], numbers: list[int]) -> str:
        began = time.monotonic()
        try:
            outcome = self._post(body, headers)
        except (OSError, http.client.HTTPException) as error:
            self._close()
            outcome = type(error).__name__
        self._account.note(outcome, time.monotonic() - began, numbers)
        return outcome

    def _post(self, body: bytes, headers: dict[str, str]) -> str:
        if self._connection is None:
            self._connection = http.client.HTTPSConnection("127.0.0.1", self._world.port, timeout=5, context=self._tls)
        if self._dice.random() < CUT_SHARE:  # a connection that breaks inside the body
            self._connection.putrequest("POST", "/logs")
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self._connection.putheader(name, value)
            self._connection.endheaders(body[: len(body) // 2])
            raise ConnectionAbortedError
        self._connection.request("POST", "/logs", body, headers)
        with self._connection.getresponse() as answer:
            answer.read()
        if answer.status != 204 or answer.getheader("Connection", "") == "close":
            self._close()
        return str(answer.status)

    def _close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.close()
            self._connection = None
