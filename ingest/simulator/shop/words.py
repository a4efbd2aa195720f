"""Names and files of the shop: products, pages, scripts and styles with their sizes, pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_KINDS: Final = (
    "oak",
    "linen",
    "copper",
    "wool",
    "ash",
    "slate",
    "cork",
    "felt",
    "brass",
    "clay",
    "caf%C3%A9",
)
_THINGS: Final = (
    "table", "lamp", "chair", "shelf", "rug", "mirror", "vase", "clock", "bench", "stool", "tray", "bowl",
    "basket", "frame", "hook", "cushion", "throw", "desk", "planter", "candle", "board", "mug", "jug", "box",
)  # fmt: skip
PRODUCTS: Final = tuple(f"{kind}-{thing}-{n}" for kind in _KINDS for thing in _THINGS for n in (1, 2))
TAGS: Final = ("living", "kitchen", "garden", "office", "bedroom", "bath", "kids", "sale", "new-in", "gifts")
PAGES: Final = tuple(f"{verb}-{thing}" for verb in ("caring-for-your", "how-we-make-a") for thing in _THINGS)


@dataclass(frozen=True, slots=True)
class File:
    """A static file: one path per version of it (a deploy puts the next version up) and their sizes."""

    template: str
    weight: float
    content_type: str
    paths: tuple[str, ...]
    sizes: tuple[int, ...]


def _theme(name: str, weight: float, kind: str, size: int) -> File:
    place = f"/wp-content/themes/hearth/{name}"
    return File(place, weight, kind, (f"{place}?ver=6.8.3",), (size,))


def _plugin(name: str, weight: float, kind: str, size: int) -> File:
    place = f"/wp-content/plugins/{name}"
    return File(place, weight, kind, (f"{place}?ver=10.2.1",), (size,))


def _built(name: str, ending: str, weight: float, kind: str, prints: tuple[str, str], sizes: tuple[int, int]) -> File:
    paths = tuple(f"/build/{name}.{each}.{ending}" for each in prints)
    return File(f"/build/{name}.{ending}", weight, kind, paths, sizes)


_JS: Final = "application/javascript"
_CSS: Final = "text/css"
ASSETS: Final = (
    _theme("style.css", 3.2, _CSS, 148_213),
    _theme("assets/js/navigation.js", 2.0, _JS, 18_450),
    _theme("assets/css/print.css", 0.4, _CSS, 6_104),
    _plugin("woocommerce/assets/css/woocommerce.css", 2.1, _CSS, 87_344),
    _plugin("woocommerce/assets/js/frontend/cart-fragments.min.js", 1.7, _JS, 2_971),
    _plugin("slider/js/slider.bundle.js", 1.5, _JS, 211_907),
    File(
        "/wp-includes/js/jquery/jquery.min.js",
        2.6,
        _JS,
        ("/wp-includes/js/jquery/jquery.min.js?ver=3.7.1",),
        (87_553,),
    ),
    File(
        "/wp-includes/css/dist/block-library/style.min.css",
        1.9,
        _CSS,
        ("/wp-includes/css/dist/block-library/style.min.css?ver=6.8.3",),
        (114_706,),
    ),
    _built("app", "js", 3.4, _JS, ("4f9ac21b", "b07de945"), (412_808, 415_377)),
    _built("app", "css", 2.9, _CSS, ("91d3e07c", "2ac58f10"), (96_120, 96_482)),
    _built("vendor", "js", 2.2, _JS, ("c8817d5e", "c8817d5f"), (689_331, 689_402)),
)
MEDIA: Final = (
    File(
        "/wp-content/themes/hearth/fonts/inter-var.woff2",
        3.1,
        "font/woff2",
        ("/wp-content/themes/hearth/fonts/inter-var.woff2",),
        (67_352,),
    ),
    File(
        "/wp-content/themes/hearth/logo.webp",
        2.4,
        "image/webp",
        ("/wp-content/themes/hearth/logo.webp",),
        (9_842,),
    ),
    File("/favicon.ico", 1.5, "image/x-icon", ("/favicon.ico",), (15_086,)),
    File("/robots.txt", 0.3, "text/plain", ("/robots.txt",), (112,)),
)


def uploads() -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Product pictures in two sizes each, and their bytes (already compressed by their format)."""
    paths, sizes = [], []
    for number, name in enumerate(PRODUCTS):
        for width, median in ((300, 11_200), (800, 58_900)):
            paths.append(f"/wp-content/uploads/2026/{number % 9 + 1:02}/{name}-{width}x{width}.webp")
            sizes.append(median + (number * 7919 + width) % (median // 2))
    return tuple(paths), tuple(sizes)
