"""What the user says about routes, in ``routes.toml`` in the home; it wins over all that drainlake finds itself. Pure.

    # Routes by pattern; the first that fits wins. {any_name} is one segment or a part of it,
    # {rest} at the end is one segment or more.
    pins = ["/blog/{slug}", "/shop/{category}/{product}.html", "/files/{rest}"]
    # Paths that stay as they are: no pin and nothing learned names them, nor joins what lies below them with others.
    keep = ["/blog/archive"]

A pattern is compared with the whole decoded path without its query string; case counts, a slash at the end does
not. The route is the pattern as it is written. What is kept comes before what is pinned.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import polars as pl

FILE_MAX_BYTES: Final = 64 << 10
ENTRIES_MAX: Final = 200
PATTERN_MAX: Final = 200
_NAME: Final = re.compile(r"\{[A-Za-z][A-Za-z0-9_]{0,30}\}")
_SPECIAL: Final = re.compile(r"[!-.:;=?@\[-^`{-~]")
_LISTS: Final = ("pins", "keep")


@dataclass(frozen=True)
class Pins:
    """The user's patterns, each in the order given."""

    pins: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()

    @property
    def routes(self) -> tuple[str, ...]:
        """All patterns in order of precedence; each is a route as it stands."""
        return self.keep + self.pins

    def find(self, bare: pl.Series) -> pl.Series:
        """The route of each decoded path without query string; NULL where no pattern fits."""
        known = bare.clear(bare.len())
        if not self.routes:
            return known
        single = bare.str.replace_all("/{2,}", "/")
        fits = single.str.contains(self._any).fill_null(value=False)
        routes = [self._first(path) for path in single.filter(fits)]
        return known.scatter(fits.arg_true(), routes) if routes else known

    def _first(self, path: str) -> str | None:
        if any(path.startswith(f"{kept}/") for kept in self.keep if kept != path.rstrip("/")):
            return None
        found = self._parts.fullmatch(path)
        return self.routes[found.lastindex - 1] if found and found.lastindex else None

    @cached_property
    def _any(self) -> str:
        """All patterns as one expression: most paths fit none, and are told apart in one pass."""
        return rf"^(?:{'|'.join(map(_expression, self.routes))})/?$"

    @cached_property
    def _parts(self) -> re.Pattern[str]:
        return re.compile("|".join(f"({_expression(route)}/?)" for route in self.routes), re.DOTALL)


NO_PINS: Final = Pins()


def parse_pins(text: str) -> Pins:
    """Pins from the text of the file; raises ValueError with a sentence that says which entry is wrong and how."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"is no TOML: {str(error)[:1].lower()}{str(error)[1:]}") from None
    for name in found:
        if name not in _LISTS:
            raise ValueError(f"has {name!r}, which means nothing there; it can hold pins and keep")
    return Pins(*(_patterns(name, found.get(name, [])) for name in _LISTS))


def _patterns(name: str, found: Any) -> tuple[str, ...]:
    if not isinstance(found, list) or len(found) > ENTRIES_MAX:
        raise ValueError(f"must have {name} as a list of at most {ENTRIES_MAX} patterns")
    for number, pattern in enumerate(found, 1):
        wrong = _wrong(name, pattern)
        if wrong:
            shown = f"{pattern!r:.80}"
            raise ValueError(f"has {shown} as entry {number} of {name}, which {wrong}")
    return tuple(pattern.rstrip("/") or "/" for pattern in found)


def _wrong(name: str, pattern: Any) -> str | None:
    """What is wrong with a pattern, as half a sentence."""
    if not isinstance(pattern, str) or not pattern.startswith("/"):
        return "must be a path such as '/blog/{slug}'"
    if len(pattern) > PATTERN_MAX or "//" in pattern or re.search(r"[?#%\x00-\x1f\x7f]", pattern):
        return f"must be a decoded path of at most {PATTERN_MAX} characters, without a query string and empty segments"
    literal = _NAME.sub("", pattern)
    if "{" in literal or "}" in literal:
        return "has a brace that is no {name}"
    if any(len(_NAME.findall(segment)) > 1 for segment in pattern.split("/")):
        return "has two {names} in one segment, of which there can be one"
    if name == "keep" and literal != pattern:
        return "must be a path without {names}; put patterns under pins"
    if "{rest}" in pattern and not (pattern.endswith("/{rest}") and pattern.count("{rest}") == 1):
        return "can have {rest} only as its last segment"
    return None


def _expression(route: str) -> str:
    """A pattern as a regular expression that polars and Python read alike."""
    parts = re.split(f"({_NAME.pattern})", route.rstrip("/"))
    return "".join(_part(part) for part in parts)


def _part(part: str) -> str:
    if part == "{rest}":
        return "(?s:.+)"
    return "[^/]+?" if _NAME.fullmatch(part) else _SPECIAL.sub(r"\\\g<0>", part)
