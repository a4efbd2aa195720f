"""What the shop can be asked for: its routes, how often, how long PHP works on them, how large they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ingest.simulator.shop.words import ASSETS, MEDIA, PAGES, PRODUCTS, TAGS, uploads

if TYPE_CHECKING:
    from collections.abc import Iterable

HOST: Final = "shop.example.org"
HTML: Final = "text/html; charset=UTF-8"
JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Route:
    """One route: how often it is asked for, how long PHP works on it (0 ms: nginx serves a file), its sizes.

    ``sizes`` holds one fixed size per path (static files); otherwise sizes spread around ``median_bytes``,
    compressed. ``not_modified`` is the share of 304 replies.
    """

    template: str
    weight: float
    paths: tuple[str, ...]
    content_type: str = HTML
    method: str = "GET"
    median_ms: float = 0.0
    median_bytes: int = 0
    sizes: tuple[int, ...] = ()
    status: int = 200
    not_modified: float = 0.0
    crawled: bool = False


_SEARCHES: Final = tuple(f"/search?q={a}+{b}" for a, b in zip(TAGS, PRODUCTS[::17], strict=False))
_PAGES: Final = (
    Route(
        "/",
        5.0,
        ("/", "/", "/?utm_source=newsletter&utm_medium=email"),
        median_ms=210,
        median_bytes=14200,
        crawled=True,
    ),
    Route(
        "/product/{slug}",
        9.0,
        tuple(f"/product/{p}" for p in PRODUCTS),
        median_ms=260,
        median_bytes=11800,
        crawled=True,
    ),
    Route(
        "/category/{slug}",
        4.0,
        tuple(f"/category/{t}?page={n}" for t in TAGS for n in (1, 2, 3)),
        median_ms=330,
        median_bytes=16900,
        crawled=True,
    ),
    Route(
        "/blog/{slug}",
        2.0,
        tuple(f"/blog/{p}" for p in PAGES),
        median_ms=190,
        median_bytes=9300,
        crawled=True,
    ),
    Route(
        "/tag/{slug}",
        0.6,
        tuple(f"/tag/{t}%20offers" for t in TAGS),
        median_ms=280,
        median_bytes=12100,
        crawled=True,
    ),
    Route("/search", 0.9, _SEARCHES, median_ms=520, median_bytes=8700),
    Route("/cart", 1.2, ("/cart",), median_ms=240, median_bytes=7400),
    Route("/checkout", 0.6, ("/checkout",), median_ms=390, median_bytes=9900),
    Route("/checkout", 0.25, ("/checkout",), method="POST", median_ms=720, median_bytes=0, status=302),
    Route("/my-account", 0.5, ("/my-account", "/my-account/orders"), median_ms=270, median_bytes=6100),
    Route(
        "/my-account/lost-password",
        0.06,
        tuple(f"/my-account/lost-password?key={k:020x}&token={k * 7:016x}" for k in range(1, 9 * 10**9, 10**9)),
        median_ms=230,
        median_bytes=5200,
    ),
    Route("/shop", 0.4, ("/shop",), median_ms=60, median_bytes=0, status=301),
    Route(
        "/old/{slug}",
        0.4,
        tuple(f"/old/{p}.html" for p in PAGES[:12]),
        median_ms=170,
        median_bytes=5100,
        status=404,
        crawled=True,
    ),
    Route(
        "/feed",
        0.3,
        ("/feed/",),
        "application/rss+xml; charset=UTF-8",
        median_ms=140,
        median_bytes=8800,
        crawled=True,
    ),
    Route("/", 0.35, ("/",), method="HEAD", median_ms=200, median_bytes=0),
)


_SERVICES: Final = (
    Route("/wp-admin/admin-ajax.php", 2.0, ("/wp-admin/admin-ajax.php",), JSON, "POST", 150, 420),
    Route("/wp-cron.php", 0.35, ("/wp-cron.php?doing_wp_cron",), HTML, "POST", 310, 0),
    Route(
        "/api/products",
        3.0,
        tuple(f"/api/products?page={n}&per_page=24" for n in range(1, 18)),
        JSON,
        "GET",
        95,
        3100,
    ),
    Route(
        "/api/stock/{sku}",
        4.0,
        tuple(f"/api/stock/SKU-{n:05}" for n in range(10_000, 10_400)),
        JSON,
        "GET",
        38,
        180,
    ),
    Route(
        "/api/orders/{id}",
        3.0,
        tuple(f"/api/orders/{n}" for n in range(880_100, 881_900)),
        JSON,
        "GET",
        62,
        940,
    ),
    Route(
        "/api/orders/{id}",
        0.3,
        tuple(f"/api/orders/{n}" for n in range(881_300, 881_900)),
        JSON,
        "PUT",
        130,
        310,
    ),
    Route("/api/cart/items", 2.0, ("/api/cart/items",), JSON, "POST", 88, 520, status=201),
    Route(
        "/api/cart/items/{id}",
        0.3,
        tuple(f"/api/cart/items/{n}" for n in range(41, 600)),
        JSON,
        "DELETE",
        55,
        0,
        status=204,
    ),
    Route(
        "/api/session",
        1.0,
        tuple(f"/api/session?access_token=tk_{n * 7919:012x}" for n in range(1, 200)),
        JSON,
        "GET",
        31,
        210,
    ),
)


def _files() -> Iterable[Route]:
    for asset in ASSETS:
        yield Route(
            asset.template,
            asset.weight,
            asset.paths,
            asset.content_type,
            sizes=asset.sizes,
            not_modified=0.22,
        )
    for one in MEDIA:
        yield Route(one.template, one.weight, one.paths, one.content_type, sizes=one.sizes, not_modified=0.3)
    images, image_sizes = uploads()
    yield Route(
        "/wp-content/uploads/{year}/{month}/{file}",
        21.0,
        images,
        "image/webp",
        sizes=image_sizes,
        not_modified=0.18,
    )


# Weight 0: these are asked for by the script only.
_PLANTED: Final = (
    Route(
        "/reports/export",
        0,
        ("/reports/export?from=2026-01-01&to=2026-10-31&format=xlsx",),
        content_type="application/vnd.ms-excel",
        median_ms=55_000,
        median_bytes=48_000,
    ),
    Route("/tools/price-list", 0, ("/tools/price-list",), "application/pdf", median_ms=900, median_bytes=61_000),
    Route("/wp-login.php", 0, ("/wp-login.php",), median_ms=120, median_bytes=3300),
    Route("/wp-login.php", 0, ("/wp-login.php",), method="POST", median_ms=180, median_bytes=3500),
    Route(
        "/.env",
        0,
        ("/.env", "/.env.bak", "/.git/config", "/backup.sql", "/vendor/.env"),
        "text/html",
        sizes=(153,) * 5,
        status=404,
    ),
)


CACHED: Final = "/product/{slug}"  # its pages are put together from a file cache, which each dyno fills for itself
EXPORT: Final = "/reports/export"
PRICE_LIST: Final = "/tools/price-list"
ROUTES: Final = (*_PAGES, *_SERVICES, *_files(), *_PLANTED)


def per_route(field: str) -> np.ndarray:
    """One numeric attribute of all routes, in their order."""
    return np.array([getattr(route, field) for route in ROUTES])
