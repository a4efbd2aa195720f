"""Which connections are held, how long each may take, and which one goes first when there are too many.

A connection is a *stranger* until a request on it has shown good credentials; then it is *known* for the rest of its
life. Strangers get seconds, known ones the three minutes that Logplex keeps an idle connection.

Past the limit of all, or that of strangers, the oldest stranger of the address with the most of them goes. So one
address that opens connections as fast as it can displaces its own, not the handshake of a drain that comes from
elsewhere. A known connection is never displaced by a stranger. A part of the places stays for strangers, as every
drain begins as one: when known connections would take it, the known one that has been idle the longest goes.

Pure: time is an argument, and ``Guest.end`` is called by whoever asked.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

HANDSHAKE_SECONDS: Final = 5.0  # Logplex gives up connecting after 3 s
HEADER_SECONDS: Final = 10.0  # from accepting, or from the first byte of a later request, to the end of its header
REQUEST_SECONDS: Final = 15.0  # from the header to the answer's last byte; the receiver itself answers within 4 s
IDLE_KNOWN_SECONDS: Final = 180.0  # above Logplex' idle close of at most 159 s: it closes, not we, so no race
IDLE_STRANGER_SECONDS: Final = 10.0
CLOSE_SECONDS: Final = 5.0  # for the last bytes to leave, and for TLS to say goodbye
STRANGERS_SHARE: Final = 0.1  # of the places, kept for those that have yet to show credentials
STRANGERS_MAX: Final = 256  # one with TLS can make this process hold 200 KB, nearly all of it buffers for reading


@dataclass(slots=True, eq=False)
class Guest:
    """One connection: ``end`` closes it for the reason given, ``late`` is the reason once ``deadline`` has passed."""

    address: str
    deadline: float
    late: str
    end: Callable[[str], None]
    is_known: bool = False
    is_idle: bool = False

    def expect(self, deadline: float, late: str, *, is_idle: bool = False) -> None:
        """What has to happen until when."""
        self.deadline, self.late, self.is_idle = deadline, late, is_idle


def neighbourhood(host: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 that an IPv6 host can choose from."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))


class Connections:
    """All connections that are held."""

    def __init__(self, count_max: int) -> None:
        self._count_max = count_max
        self._known_max = count_max - max(1, int(count_max * STRANGERS_SHARE))
        self._guests: dict[Guest, None] = {}
        self._strangers = _Crowds()

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._guests)

    @property
    def known(self) -> int:
        """How many have shown good credentials."""
        return len(self._guests) - self._strangers.count

    @property
    def strangers(self) -> int:
        """How many have not."""
        return self._strangers.count

    def arrive(self, guest: Guest) -> Guest | None:
        """Take in a stranger; the guest that has to be ended for it, which is itself when only known ones are here."""
        ousted = None
        if len(self._guests) >= self._count_max or self._strangers.count >= STRANGERS_MAX:
            ousted = self._strangers.first_to_go() or guest
            self.leave(ousted)
        if ousted is not guest:
            self._guests[guest] = None
            self._strangers.add(guest)
        return ousted

    def admit(self, guest: Guest) -> Guest | None:
        """The guest has shown good credentials; the known one that has to be ended to keep room for strangers."""
        if guest.is_known or guest not in self._guests:
            return None
        self._strangers.remove(guest)
        guest.is_known = True
        if self.known <= self._known_max:
            return None
        idle = [each for each in self._guests if each.is_known and each.is_idle and each is not guest]
        ousted = min(idle, key=lambda each: each.deadline, default=None)
        if ousted is not None:
            self.leave(ousted)
        return ousted

    def leave(self, guest: Guest) -> None:
        """The guest is gone, or about to be; more than once does no harm."""
        if guest in self._guests:
            del self._guests[guest]
            if not guest.is_known:
                self._strangers.remove(guest)

    def give_up_one(self) -> Guest | None:
        """The stranger that goes when the system has no more room."""
        ousted = self._strangers.first_to_go()
        if ousted is not None:
            self.leave(ousted)
        return ousted

    def overdue(self, now: float) -> list[Guest]:
        """Those whose time is up; they stay until they leave."""
        return [guest for guest in self._guests if guest.deadline <= now]


class _Crowds:
    """Strangers by address, oldest first, and addresses by how many they have: each step takes constant time."""

    def __init__(self) -> None:
        self.count = 0
        self._guests: dict[str, dict[Guest, None]] = {}
        self._addresses: dict[int, dict[str, None]] = {}
        self._largest = 0

    def add(self, guest: Guest) -> None:
        crowd = self._guests.setdefault(guest.address, {})
        crowd[guest] = None
        self.count += 1
        self._resize(guest.address, len(crowd) - 1, len(crowd))

    def remove(self, guest: Guest) -> None:
        crowd = self._guests[guest.address]
        del crowd[guest]
        self.count -= 1
        self._resize(guest.address, len(crowd) + 1, len(crowd))
        if not crowd:
            del self._guests[guest.address]

    def first_to_go(self) -> Guest | None:
        if not self.count:
            return None
        address = next(iter(self._addresses[self._largest]))
        return next(iter(self._guests[address]))

    def _resize(self, address: str, before: int, after: int) -> None:
        if before:
            del self._addresses[before][address]
        if after:
            self._addresses.setdefault(after, {})[address] = None
        self._largest = max(self._largest, after)
        while self._largest and not self._addresses[self._largest]:
            del self._addresses[self._largest]
            self._largest -= 1
            self._addresses.setdefault(self._largest, {})
