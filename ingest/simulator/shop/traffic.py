"""The day's requests: when they come, what they ask for, and how long PHP would work on each."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

import numpy as np

from ingest.simulator.shop import script
from ingest.simulator.shop.routes import CACHED, EXPORT, PRICE_LIST, ROUTES, per_route
from ingest.simulator.shop.script import SECOND, Day
from ingest.simulator.shop.visitors import Visitors, choose, scanners

if TYPE_CHECKING:
    from ingest.simulator.shop.catalogue import Catalogue
    from ingest.simulator.shop.script import Window

NO_FAULT: Final = 0
MEMORY: Final = 1
REFUSED: Final = 2
EXCEPTION: Final = 3
WARNING: Final = 4


@dataclass(frozen=True, slots=True)
class Requests:
    """All requests of the day by arrival. Times in microseconds; ``work`` is PHP's time, 0 for a file that
    nginx serves; ``fault`` what goes wrong in PHP; ``status`` and ``bytes`` what the dyno answers; ``cached`` whether
    PHP looks into the dyno's file cache for it."""

    at: np.ndarray
    path: np.ndarray
    visitor: np.ndarray
    work: np.ndarray
    status: np.ndarray
    bytes: np.ndarray
    fault: np.ndarray
    cached: np.ndarray

    def where(self, mask: np.ndarray) -> Requests:
        """These of them."""
        return Requests(*(getattr(self, field.name)[mask] for field in fields(self)))

    @property
    def php(self) -> np.ndarray:
        """Which of them PHP works on."""
        return self.work > 0


def arrivals(random: np.random.Generator, size: int) -> np.ndarray:
    """``size`` sorted times over the day: few at night, most at noon and in the evening."""
    hour = np.arange(0, 24, 1 / 60)
    weight = 0.16 + np.exp(-(((hour - 12.4) / 2.9) ** 2)) * 0.75 + np.exp(-(((hour - 19.9) / 2.1) ** 2))
    steps = np.concatenate(([0.0], np.cumsum(weight)))
    return np.sort(np.interp(random.random(size) * steps[-1], steps, np.arange(1441) * 60.0 * SECOND).astype(np.int64))


def requests(day: Day, catalogue: Catalogue, visitors: Visitors, size: int) -> Requests:
    """``size`` ordinary requests and the planted ones."""
    random = day.random("traffic")
    at = arrivals(random, size)
    path = _ordinary_paths(random, at, catalogue)
    crawled = per_route("crawled")[catalogue.route[path]].astype(bool)
    app = np.array([route.template.startswith("/api/") for route in ROUTES])[catalogue.route[path]]
    visitor = choose(random, crawled, app)
    planted = _planted(day, random, catalogue)
    at, path, visitor = (np.concatenate(pair) for pair in zip((at, path, visitor), planted, strict=True))
    order = np.argsort(at, kind="stable")
    return _answered(random, catalogue, visitors, at[order], path[order], visitor[order])


def planted(day: Day) -> int:
    """How many requests the script adds to the ordinary ones."""
    return script.EXPORT_REQUESTS + script.PRICE_LISTS + len(script.PROBES) * _probes(day)


def _probes(day: Day) -> int:
    return max(20, int(700 * day.scale))


def _ordinary_paths(random: np.random.Generator, at: np.ndarray, catalogue: Catalogue) -> np.ndarray:
    weights = per_route("weight")
    route = random.choice(len(ROUTES), len(at), p=weights / weights.sum())
    within = (catalogue.count[route] * random.random(len(at)) ** 1.7).astype(np.int64)
    built = np.array([one.template.startswith("/build/") for one in ROUTES])[route]
    within = np.where(built, at >= script.DEPLOY, within)  # the deploy puts the next fingerprint up
    return catalogue.first[route] + within


def _planted(day: Day, random: np.random.Generator, catalogue: Catalogue) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    window = script.EXPORTS
    exports = np.sort(random.integers(window.begins, window.ends, script.EXPORT_REQUESTS))
    lists = arrivals(random, script.PRICE_LISTS)
    probes = np.concatenate([_within(random, one, _probes(day)) for one in script.PROBES])
    probed = np.concatenate(
        (catalogue.paths("/wp-login.php"), catalogue.paths("/wp-login.php", "POST"), catalogue.paths("/.env"))
    )
    return (
        np.concatenate((exports, lists, probes)),
        np.concatenate(
            (
                np.repeat(catalogue.paths(EXPORT), len(exports)),
                np.repeat(catalogue.paths(PRICE_LIST), len(lists)),
                random.choice(probed, len(probes)),
            )
        ),
        np.concatenate((random.integers(0, 40, len(exports) + len(lists)), scanners(random, len(probes)))),
    )


def _within(random: np.random.Generator, window: Window, size: int) -> np.ndarray:
    return np.sort(random.integers(window.begins, window.ends, size))


def _answered(
    random: np.random.Generator,
    catalogue: Catalogue,
    visitors: Visitors,
    at: np.ndarray,
    path: np.ndarray,
    visitor: np.ndarray,
) -> Requests:
    route = catalogue.route[path]
    work = _work(random, at, route)
    fault = _faults(random, at, route)
    status = per_route("status")[route]
    status = np.where(random.random(len(at)) < per_route("not_modified")[route], 304, status)
    status = np.where(np.isin(fault, (MEMORY, REFUSED, EXCEPTION)), 500, status)
    size = _bytes(random, catalogue.size[path], route, visitors.accepts_gzip[visitor])
    empty = (status == 304) | (status == 500)
    cached = np.array([one.template == CACHED for one in ROUTES])[route]
    return Requests(at, path, visitor, work, status, np.where(empty, 0, size), fault, cached)


def _work(random: np.random.Generator, at: np.ndarray, route: np.ndarray) -> np.ndarray:
    """PHP's time, log-normal around the route's median; the API waits for the database in the pile-up."""
    median = per_route("median_ms")[route] * 1000.0
    work = median * np.exp(0.6 * random.standard_normal(len(at)))
    api = np.array([one.template.startswith("/api/") for one in ROUTES])[route]
    work *= np.where(api & script.PILE_UP.holds(at), 5.0, 1.0)
    export = np.array([one.template == EXPORT for one in ROUTES])[route]
    # The report takes 40 to 75 s: php-fpm kills every one of them.
    return np.where(export, (40 + 35 * random.random(len(at))) * SECOND, work).astype(np.int64)


def _faults(random: np.random.Generator, at: np.ndarray, route: np.ndarray) -> np.ndarray:
    draw = random.random(len(at))
    price_list = np.array([one.template == PRICE_LIST for one in ROUTES])[route]
    api = np.array([one.template.startswith("/api/") for one in ROUTES])[route]
    page = (per_route("median_ms") > 0)[route] & ~api & ~price_list
    fault = np.where(page & (draw < 0.02), WARNING, NO_FAULT)
    fault = np.where(page & (draw < 0.0004), EXCEPTION, fault)
    fault = np.where(api & script.PILE_UP.holds(at) & (draw < 0.12), REFUSED, fault)
    return np.where(price_list & (draw < 0.65), MEMORY, fault)


def _bytes(random: np.random.Generator, fixed: np.ndarray, route: np.ndarray, gzip: np.ndarray) -> np.ndarray:
    """Body bytes: a file's own size, else around the route's median, compressed if the client can."""
    spread = per_route("median_bytes")[route] * np.exp(0.3 * random.standard_normal(len(route)))
    spread = np.where(gzip, spread, spread * 4.2)
    return np.where(fixed >= 0, fixed, spread).astype(np.int64)
