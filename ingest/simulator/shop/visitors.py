"""Who asks: people with browsers, the shop's own app, crawlers, a monitor and scanners.

Addresses come from the documentation ranges, so that no real one ever stands in a demo.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from ingest.simulator.shop.script import Day

PEOPLE: Final = 6000
APPS: Final = 400
CRAWLERS: Final = 60
SCANNERS: Final = 12
TOTAL: Final = PEOPLE + APPS + CRAWLERS + SCANNERS

_WEBKIT: Final = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{n}.0.0.0"
_SAFARI: Final = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version"
_BROWSERS: Final = (
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Safari/537.36",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_SAFARI}/26.{{m}} Safari/605.1.15",
    (f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_{{m}} like Mac OS X) {_SAFARI}/18.{{m}} Mobile/15E148 Safari/604.1"),
    f"Mozilla/5.0 (Linux; Android 15; K) {_WEBKIT} Mobile Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:{n}.0) Gecko/20100101 Firefox/{n}.0",
    f"Mozilla/5.0 (X11; Linux x86_64) {_WEBKIT} Safari/537.36",
)
_CRAWLERS: Final = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "Mozilla/5.0 (compatible; SemrushBot/7~bl; +http://www.semrush.com/bot.html)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
    "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
)
_SCANNERS: Final = ("python-requests/2.32.3", "Go-http-client/1.1", "curl/8.5.0")
_RANGES: Final = ("203.0.113", "198.51.100", "192.0.2")
_HTTP2: Final = "protocol=http2.0 tls=true tls_version=tls1.3"
_HTTP1: Final = "protocol=http1.1 tls=true tls_version=tls1.2"
_PLAIN: Final = "protocol=http1.1 tls=false"


class Visitors:
    """All visitors as columns; people first, then the app's, the crawlers, the scanners."""

    def __init__(self, day: Day) -> None:
        random = day.random("visitors")
        self.forwarded = [_forwarded(number, random.random()) for number in range(TOTAL)]
        self.agent = [_agent(number, int(random.integers(0, 40))) for number in range(TOTAL)]
        self.tail = [_tail(number, random.random()) for number in range(TOTAL)]
        self.accepts = [_accepts(number) for number in range(TOTAL)]
        self.accepts_gzip = np.array([bool(text) for text in self.accepts])


def choose(random: np.random.Generator, crawled: np.ndarray, served_to_app: np.ndarray) -> np.ndarray:
    """A visitor for each request: mostly people (some come often), crawlers on pages, the app on its API."""
    size = len(crawled)
    people = (PEOPLE * random.random(size) ** 1.8).astype(np.int64)
    draw = random.random(size)
    apps = PEOPLE + random.integers(0, APPS, size)
    crawlers = PEOPLE + APPS + random.integers(0, CRAWLERS, size)
    return np.where(crawled & (draw < 0.17), crawlers, np.where(served_to_app & (draw < 0.55), apps, people))


def scanners(random: np.random.Generator, size: int) -> np.ndarray:
    """Visitors for requests that probe the shop."""
    return PEOPLE + APPS + CRAWLERS + random.integers(0, SCANNERS, size)


def _forwarded(number: int, draw: float) -> str:
    """X-Forwarded-For; what stands left of the last address is the client's own word."""
    own = f"{_RANGES[number % 3]}.{number * 37 % 254 + 1}"
    if draw < 0.03:
        return f"10.{number % 200}.0.7, {own}"
    return f"2001:db8:{number:x}::{number % 97:x}" if draw < 0.05 else own


def _agent(number: int, version: int) -> str:
    if number < PEOPLE:
        return _BROWSERS[number % len(_BROWSERS)].format(n=118 + version % 24, m=version % 7)
    if number < PEOPLE + APPS:
        return f"HearthShop/5.{version % 9} ({'iOS 18.1' if number % 2 else 'Android 15'})"
    if number < PEOPLE + APPS + CRAWLERS:
        return _CRAWLERS[number % len(_CRAWLERS)]
    return _SCANNERS[number % len(_SCANNERS)]


def _tail(number: int, draw: float) -> str:
    if number >= PEOPLE + APPS:
        return _PLAIN if draw < 0.3 else _HTTP1
    return _HTTP2 if draw < 0.9 else _HTTP1


def _accepts(number: int) -> str:
    """What the client offers to unpack; the scanners and the app's background calls offer nothing."""
    if number < PEOPLE:
        return "gzip, deflate, br, zstd" if number % 5 else "gzip, deflate, br"
    return "gzip" if number < PEOPLE + APPS + CRAWLERS and number % 4 else ""
