"""A web server's access log as a shop with many visitors writes it, in the format combined. Seeded.

Made: a week with its days and nights; visits of eight requests in some minutes, from 50,000 addresses of which some
come often; 6,000 paths, some with a query string; 300 agents, crawlers among them; own, searching and foreign
referrers; links that lead nowhere, and scanners that look for holes.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    Some = np.ndarray[tuple[int], np.dtype[np.int64]]

BEGINS_AT: Final = datetime(2026, 11, 16, tzinfo=UTC)
DAYS: Final = 7
ADDRESSES, PATHS, AGENTS = 50_000, 6_000, 300
VISIT: Final = 8  # requests, in the mean
CHUNK: Final = 100_000
SCANNED: Final = 0.02
# What becomes of the others: statuses, each up to a share.
FATES: Final = ((404, 0.03), (304, 0.1), (301, 0.13), (500, 0.133), (403, 0.135), (200, 1.0))
_WORDS: Final = (
    "blue",
    "red",
    "suede",
    "shoe",
    "boot",
    "lace",
    "sole",
    "heel",
    "summer",
    "winter",
    "sale",
    "kids",
    "leather",
)
_KINDS: Final = (
    "/product/{a}-{b}-{n}", "/blog/{a}-{b}", "/category/{a}?page={m}", "/search?q={a}+{b}&page={m}",
    "/assets/{a}-{h}.js", "/assets/{b}-{h}.css", "/media/{a}/{n}.jpg", "/api/cart/{n}", "/account/{n}",
)  # fmt: skip
_SCANNED: Final = ("/wp-login.php", "/.env", "/xmlrpc.php", "/.git/config", "/admin.php", "/phpmyadmin/")
_WEBKIT: Final = "AppleWebKit/537.36 (KHTML, like Gecko)"
_APPLE: Final = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
_BROWSERS: Final = (
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/{{v}}.0.0.0 Safari/537.36",
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_{{m}} like Mac OS X) {_APPLE} Version/18.{{m}} Mobile/15E148 Safari/604.1",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_APPLE} Version/1{{m}}.1 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:{v}.0) Gecko/20100101 Firefox/{v}.0",
    f"Mozilla/5.0 (Linux; Android 1{{m}}; K) {_WEBKIT} Chrome/{{v}}.0.0.0 Mobile Safari/537.36",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/{{v}}.0.0.0 Safari/537.36 Edg/{{v}}.0.{{m}}.0",
)
_CRAWLERS: Final = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
    "curl/8.5.0", "python-requests/2.32.3", "Go-http-client/1.1", "-",
)  # fmt: skip


def write(path: Path, lines: int, seed: int = 7) -> None:
    """Write so many lines, in time order."""
    make = _Maker(np.random.default_rng(seed), lines)
    with path.open("w", encoding="utf-8") as file:
        for first in range(0, lines, CHUNK):
            file.writelines(make.lines(first, min(lines, first + CHUNK)))


class _Maker:
    """The site, and what was asked of it when."""

    def __init__(self, pick: np.random.Generator, lines: int) -> None:
        self.pick = pick
        self.addresses = [f"{a >> 24}.{a >> 16 & 255}.{a >> 8 & 255}.{a & 255}" for a in self._some(ADDRESSES)]
        self.paths = ["/", *(self._filled(_KINDS[n % len(_KINDS)]) for n in range(PATHS - 1))]
        self.sizes = (np.exp(pick.normal(9, 1.3, PATHS)) + 200).astype(np.int64)
        self.agents = [self._filled(_BROWSERS[n % len(_BROWSERS)]) for n in range(AGENTS - len(_CRAWLERS))]
        self.agents += _CRAWLERS
        self.referrers = ["-"] * 4 + ["https://www.google.com/", "https://duckduckgo.com/", "https://www.bing.com/"]
        self.referrers += [f"https://forum-{n}.example.net/thread/{n * 31}" for n in range(400)]
        self._visit(lines)

    def _visit(self, lines: int) -> None:
        """Who comes when: a few requests within minutes, more by day than by night."""
        pick, visits, hour = self.pick, -(-lines // VISIT), np.arange(24 * DAYS)
        weight = 1.3 - np.cos(hour % 24 / 24 * 2 * np.pi) + 0.2 * (hour // 24 > 4)
        begin = pick.choice(hour, visits, p=weight / weight.sum()) * 3600 + pick.integers(0, 3600, visits)
        # Half of the visits come from addresses that come as often as all others; the first of each is once.
        often = np.where(pick.random(visits) < 0.5, self._often(visits, ADDRESSES), np.arange(visits) % ADDRESSES)
        of = pick.permutation(np.append(np.arange(visits), pick.integers(0, visits, lines - visits)))
        seconds = np.minimum(begin[of] + pick.exponential(90, lines).astype(np.int64), 86_400 * DAYS - 1)
        crawls = pick.random(visits) < 0.12
        agent = np.where(
            crawls, AGENTS - 1 - pick.integers(0, len(_CRAWLERS), visits), often % (AGENTS - len(_CRAWLERS))
        )
        order = np.argsort(seconds, kind="stable")
        self.seconds, self.address, self.agent = seconds[order], often[of][order], agent[of][order]

    def _some(self, count: int) -> list[int]:
        return [int(a) for a in self.pick.integers(0x0B000000, 0xDF000000, count)]

    def _filled(self, form: str) -> str:
        n, m, v, h = (int(self.pick.integers(*ends)) for ends in ((1, 99_999), (0, 9), (110, 146), (1 << 28, 1 << 32)))
        a, b = self.pick.choice(_WORDS, 2)
        return form.format(a=a, b=b, n=n, m=m, v=v, h=f"{h:08x}")

    def _often(self, count: int, of: int) -> Some:
        """Places of which the first are taken most: a long tail, as visitors and pages have it."""
        return (of ** self.pick.random(count) - 1).astype(np.int64)

    def lines(self, first: int, end: int) -> list[str]:
        """The lines of these numbers."""
        count, pick = end - first, self.pick
        address, agent = self.address[first:end], self.agent[first:end]
        page, before, fate = self._often(count, PATHS), self._often(count, PATHS), pick.random(count)
        referrer, kind = pick.integers(0, len(self.referrers), count), pick.random(count)
        stamps = [(BEGINS_AT + timedelta(seconds=int(at))).strftime("%d/%b/%Y:%H:%M:%S +0000")
                  for at in self.seconds[first:end]]  # fmt: skip
        columns = (address, agent, page, fate, before, kind, referrer)
        return [
            f'{self.addresses[a]} - - [{at}] {self._asked(p, f)} "{self._from(r, b, k, f)}" "{self.agents[g]}"\n'
            for at, a, g, p, f, b, k, r in zip(stamps, *(column.tolist() for column in columns), strict=True)
        ]

    def _from(self, referrer: int, before: int, kind: float, fate: float) -> str:
        if fate < SCANNED:
            return "-"
        if kind < 0.5:
            return "https://shop.example.com" + self.paths[before]
        return "-" if kind < 0.8 else self.referrers[referrer]

    def _asked(self, page: int, fate: float) -> str:
        if fate < SCANNED:
            return f'"GET {_SCANNED[page % len(_SCANNED)]} HTTP/1.1" 404 548'
        status = next(status for status, end in FATES if fate < end)
        path = f"/old/{page}.html" if status == 404 else self.paths[page]
        size = 0 if status == 304 else 178 if status >= 300 else int(self.sizes[page])
        method = "POST" if fate > 0.96 else "HEAD" if fate > 0.955 else "GET"
        return f'"{method} {path} HTTP/{"2.0" if fate > 0.4 else "1.1"}" {status} {size}'
