"""The two lines of each request, the router's and nginx's: four fifths of the day, written by columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ingest.simulator.shop import script
from ingest.simulator.shop.routes import HOST
from ingest.simulator.shop.script import SECOND, WEB, Day
from ingest.simulator.shop.text_lines import TABLES

if TYPE_CHECKING:
    from ingest.simulator.shop.catalogue import Catalogue
    from ingest.simulator.shop.stamps import Stamps
    from ingest.simulator.shop.traffic import Requests
    from ingest.simulator.shop.visitors import Visitors
    from ingest.simulator.shop.workers import Served

_HEADS: Final = (
    "at=info",
    'at=error code=H12 desc="Request timeout"',
    'sock=client at=warning code=H27 desc="Client Request Interrupted"',
)
_PACKED: Final = ("text/html", "application/json", "application/rss")
_REMOTES: Final = tuple(f"10.1.{number % 7 + 1}.{number * 29 % 250 + 2}" for number in range(40))


class Ids:
    """Request ids, UUID-like, one per request; the router's and nginx's line of a request share it."""

    def __init__(self, day: Day, size: int) -> None:
        self._hex = day.random("ids").bytes(16 * size).hex()

    def of(self, index: np.ndarray) -> list[str]:
        """The ids of these requests."""
        h = self._hex
        starts = (index * 32).tolist()
        return [
            f"{h[a : a + 8]}-{h[a + 8 : a + 12]}-{h[a + 12 : a + 16]}-{h[a + 16 : a + 20]}-{h[a + 20 : a + 32]}"
            for a in starts
        ]


class RouterLines:
    """The router's lines, one per request, as Router 2.0 writes them."""

    def __init__(
        self,
        stamps: Stamps,
        catalogue: Catalogue,
        visitors: Visitors,
        requests: Requests,
        served: Served,
        ids: Ids,
    ) -> None:
        self.at = served.router_at
        self.table = np.full(len(self.at), TABLES.index("router"), dtype=np.int8)
        self.rows = np.ones(len(self.at), dtype=np.int8)
        self._stamps, self._requests, self._served, self._ids = stamps, requests, served, ids
        self._asked = [
            f'method={method} path="{text}" host={HOST} request_id='
            for method, text in zip(catalogue.methods, catalogue.text, strict=True)
        ]
        self._forwarded = [f' fwd="{text}" dyno=' for text in visitors.forwarded]
        self._tail = visitors.tail

    def render(self, index: np.ndarray) -> list[str]:
        """See :class:`~ingest.simulator.shop.text_lines.Stream`."""
        asked, forwarded, tail, served = self._asked, self._forwarded, self._tail, self._served
        columns = zip(
            self._stamps.frames(self.at[index]),
            served.code[index].tolist(),
            self._requests.path[index].tolist(),
            self._ids.of(index),
            self._requests.visitor[index].tolist(),
            served.dyno[index].tolist(),
            served.connect_ms[index].tolist(),
            served.service_ms[index].tolist(),
            served.router_status[index].tolist(),
            served.router_bytes[index].tolist(),
            strict=True,
        )
        return [
            f"<134>1 {stamp} host heroku router - {_HEADS[code]} {asked[path]}{request_id}"
            f"{forwarded[visitor]}{WEB[dyno]} connect={connect}ms service={service}ms status={status} "
            f"bytes={size if size >= 0 else ''} {tail[visitor]}"
            for stamp, code, path, request_id, visitor, dyno, connect, service, status, size in columns
        ]


class AccessLines:
    """nginx's lines, one per request: combined without the last quote, after the deploy extended."""

    def __init__(
        self,
        stamps: Stamps,
        catalogue: Catalogue,
        visitors: Visitors,
        requests: Requests,
        served: Served,
        ids: Ids,
    ) -> None:
        # nginx has written its line when the router has the last byte; it waits for nobody's network.
        self.at = served.nginx_at
        self.table = np.full(len(self.at), TABLES.index("access"), dtype=np.int8)
        self.rows = np.ones(len(self.at), dtype=np.int8)
        self._stamps, self._catalogue, self._visitors = stamps, catalogue, visitors
        self._requests, self._served, self._ids = requests, served, ids
        self.extended = served.dispatched >= script.DEPLOY + SECOND
        self._request_lines = [
            f'"{method} {raw} HTTP/1.1" ' for method, raw in zip(catalogue.methods, catalogue.raw, strict=True)
        ]
        self._encoding = _encodings(catalogue, visitors, requests, served)

    def render(self, index: np.ndarray) -> list[str]:
        """See :class:`~ingest.simulator.shop.text_lines.Stream`."""
        extended = self.extended[index]
        if not extended.any():
            return self._combined(index)
        written = np.empty(len(index), dtype=object)
        written[extended] = self._kept(index[extended])
        written[~extended] = self._combined(index[~extended])
        return list(written)

    def _combined(self, index: np.ndarray) -> list[str]:
        lines, agent = self._request_lines, self._visitors.agent
        columns = zip(
            self._stamps.frames(self.at[index]),
            self._stamps.combined(self.at[index]),
            *self._shared(index),
            strict=True,
        )
        return [
            f"<190>1 {stamp} host app {WEB[dyno]} - {_REMOTES[visitor % 40]} - - {logged} "
            f"{lines[path]}{status} {size} "
            f'"{_referrer(path, visitor) or "-"}" "{agent[visitor]}\n'
            for stamp, logged, path, visitor, dyno, status, size in columns
        ]

    def _shared(self, index: np.ndarray) -> tuple[list[int], list[int], list[int], list[int], list[int]]:
        served = self._served
        return (
            self._requests.path[index].tolist(),
            self._requests.visitor[index].tolist(),
            served.dyno[index].tolist(),
            served.nginx_status[index].tolist(),
            served.nginx_bytes[index].tolist(),
        )

    def _kept(self, index: np.ndarray) -> list[str]:
        """The extended format: key="value" pairs, escaped as JSON."""
        catalogue, visitors, epoch = self._catalogue, self._visitors, self._stamps.epoch
        took = ((self.at - self._served.dispatched)[index] // 1000).tolist()
        columns = zip(
            self._stamps.frames(self.at[index]), self.at[index].tolist(), self._ids.of(index), took,
            self._requests.php[index].tolist(), self._encoding[index].tolist(), *self._shared(index),
            strict=True,
        )  # fmt: skip
        return [
            f"<190>1 {stamp} host app {WEB[dyno]} - nginx_access v=1 "
            f'ts={epoch + at // SECOND}.{at % SECOND // 1000:03} request_id="{request_id}" '
            f'method="{catalogue.methods[path]}" uri="{catalogue.raw[path]}" status={status} '
            f'bytes_sent={size + 281} body_bytes_sent={size} content_type="{catalogue.types[path]}" '
            f'content_encoding="{"gzip" if encoded else ""}" gzip_ratio="" '
            f'accept_encoding="{visitors.accepts[visitor]}" request_length={480 + visitor % 300} '
            f'request_time={ms / 1000:.3f} upstream_time="{f"{ms / 1000:.3f}" if php else ""}" '
            f'xff="{visitors.forwarded[visitor]}" referer="{_referrer(path, visitor)}" '
            f'ua="{visitors.agent[visitor]}" end=1\n'
            for stamp, at, request_id, ms, php, encoded, path, visitor, dyno, status, size in columns
        ]


def _encodings(catalogue: Catalogue, visitors: Visitors, requests: Requests, served: Served) -> np.ndarray:
    """Which replies PHP packed: its text, for clients that can unpack. Nothing packs the static files."""
    text = np.array([kind.startswith(_PACKED) for kind in catalogue.types])[requests.path]
    packed: np.ndarray = requests.php & text & (served.nginx_bytes > 0) & visitors.accepts_gzip[requests.visitor]
    return packed


def _referrer(path: int, visitor: int) -> str:
    """Where the client says it comes from: another page of the shop, a search engine, or nothing."""
    choice = (path + visitor) % 8
    if choice < 5:
        return f"https://{HOST}{_REFERRERS[(path * 31 + visitor) % len(_REFERRERS)]}"
    return "https://www.google.com/" if choice == 5 else ""


_REFERRERS: Final = (
    "/",
    "/category/living",
    "/category/sale",
    "/product/oak-table-1",
    "/search?q=oak+lamp",
    "/cart",
    "/my-account/lost-password?key=9f31c0de&token=77aa01",
)
