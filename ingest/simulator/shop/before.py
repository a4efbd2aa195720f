"""The shop before its move, as its Classic load balancer logged it: the same pages, and text went out compressed.

The log of a day a week earlier, made of the same routes, so that what changed with the move can be told: the web
servers of then compressed scripts and styles, those of now do not. Latencies are drawn alike; they did not change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ingest.simulator.shop import script, traffic
from ingest.simulator.shop.catalogue import Catalogue
from ingest.simulator.shop.routes import HOST, ROUTES
from ingest.simulator.shop.stamps import Stamps
from ingest.simulator.shop.visitors import Visitors
from ingest.simulator.shop.words import ASSETS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from ingest.simulator.shop.traffic import Requests

SHARE: Final = 0.05  # of the lines of the day after the move
MIN_LINES: Final = 4000
BALANCER: Final = "shop-lb"
BACKENDS: Final = ("10.0.1.21:80", "10.0.2.34:80")
_CIPHER: Final = "ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2"
_CHUNK_LINES: Final = 10_000


@dataclass(frozen=True, slots=True)
class BeforeTruth:
    """What stands in the load balancer's log: requests, and the bytes of each script and style when compressed."""

    requests: int
    compressed_bytes: Mapping[str, int]


class DayBefore:
    """A seeded day at the load balancer. ``lines`` is the size of the day after the move that it is to be compared
    with; the same arguments give the same bytes."""

    def __init__(self, seed: int, day: date, lines: int) -> None:
        self._day = script.Day(seed, day, lines)
        self._catalogue = Catalogue()
        self._visitors = Visitors(self._day)
        self._requests = _ordinary(self._day, self._catalogue, self._visitors, max(MIN_LINES, int(lines * SHARE)))
        self._packed = _packed(self._catalogue)

    @property
    def truth(self) -> BeforeTruth:
        """The figures of this day."""
        index = {path: number for number, path in enumerate(self._catalogue.raw)}
        paths = [path for asset in ASSETS for path in asset.paths]
        packed = {path.partition("?")[0]: int(self._packed[index[path]]) for path in paths}
        return BeforeTruth(len(self._requests.at), packed)

    def lines(self) -> Iterator[bytes]:
        """Some lines at a time, by arrival, each ending in a newline."""
        for begin in range(0, len(self._requests.at), _CHUNK_LINES):
            index = np.arange(begin, min(begin + _CHUNK_LINES, len(self._requests.at)))
            yield "".join(self._render(index)).encode()

    def _render(self, index: np.ndarray) -> list[str]:
        """timestamp elb client backend three-times two-statuses received sent "request" "agent" cipher protocol."""
        requests, catalogue, visitors = self._requests, self._catalogue, self._visitors
        stamps = Stamps(self._day.date).frames(requests.at[index])
        columns = zip(
            stamps,
            requests.path[index].tolist(),
            requests.visitor[index].tolist(),
            (requests.work[index] / script.SECOND).tolist(),
            requests.status[index].tolist(),
            self._sent(index).tolist(),
            strict=True,
        )
        return [
            f"{stamp[:-6]}Z {BALANCER} {_address(visitors.forwarded[visitor])}:{1024 + visitor % 60_000} "
            f"{BACKENDS[(path + visitor) % 2]} 0.000031 {worked + 0.001 + path % 7 / 10_000:.6f} 0.000027 "
            f'{status} {status} 0 {sent} "{catalogue.methods[path]} https://{HOST}:443{catalogue.raw[path]} HTTP/1.1" '
            f'"{visitors.agent[visitor]}" {_CIPHER}\n'
            for stamp, path, visitor, worked, status, sent in columns
        ]

    def _sent(self, index: np.ndarray) -> np.ndarray:
        requests = self._requests
        path, whole = requests.path[index], requests.status[index] == 200
        packs = whole & (self._packed[path] > 0) & self._visitors.accepts_gzip[requests.visitor[index]]
        sent: np.ndarray = np.where(packs, self._packed[path], requests.bytes[index])
        return sent


def _ordinary(day: script.Day, catalogue: Catalogue, visitors: Visitors, size: int) -> Requests:
    """Requests without the incidents of the day after the move."""
    asked = traffic.requests(day, catalogue, visitors, size)
    planted = np.array([route.weight == 0 for route in ROUTES])[catalogue.route[asked.path]]
    # The incidents have their hours; before the move those were hours like any other.
    calm = ~planted & ~script.PILE_UP.holds(asked.at)
    return asked.where(calm)


def _packed(catalogue: Catalogue) -> np.ndarray:
    """Compressed bytes of each path that is a script or style, else 0: a fifth to a third of the file."""
    texts = {path for asset in ASSETS for path in asset.paths}
    left = np.array([0.21 + number % 13 / 100 if path in texts else 0.0 for number, path in enumerate(catalogue.raw)])
    packed: np.ndarray = (catalogue.size * left).astype(np.int64).clip(min=0)
    return packed


def _address(forwarded: str) -> str:
    """The client as the balancer sees it: the last of the forwarded addresses, an IPv6 one mapped to the test net."""
    own = forwarded.rpartition(", ")[2]
    return "192.0.2.77" if ":" in own else own
