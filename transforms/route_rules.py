"""What has been learned of an app's paths and how it is used: ``/blog/{slug}`` for the children of ``/blog``. Pure.

A rule belongs to one app and one place (``/blog``) and says: what comes next and is no word of the code is a
``{slug}``. Rules work on routes whose segments are typed already, so what was one route for two sources stays
one. Numbers, dates, UUIDs and the like keep their name: they tell more than ``{slug}`` does.

Rules only grow, up to bounds for each app and for all: what there is stays, so that nobody who makes up paths can drive
out the rules of real ones. Landers that learned apart are joined by :func:`merge`. Rules are kept as JSON
(:meth:`Rules.to_json`), to be read and deleted by people.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from transforms.route_pins import NO_PINS
from transforms.routes import ROUTE_MAX, SEGMENTS_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable

    from transforms.route_pins import Pins

SLUG: Final = "{slug}"
RULES_MAX: Final = 2_000
APP_RULES_MAX: Final = 200
KEEP_MAX: Final = 50
CHARACTERS_MAX: Final = 200_000  # of all rules: at most four bytes each, so that what is written can be read again
APP_CHARACTERS_MAX: Final = 40_000
JSON_MAX_BYTES: Final = 2 << 20
_VERSION: Final = 1

# Kinds of content; whatever else follows a dot belongs to the name (`lisa.m`, `v2.0`).
EXTENSION: Final = (
    r"(?i)\.(?:x?html?|json|xml|csv|txt|md|rss|atom|ics|pdf|epub|docx?|xlsx?|pptx?|png|jpe?g|gif|webp|avif|svg|bmp|"
    r"mp[34]|m4a|webm|ogg|mov|zip|t?gz|bz2|xz|rar|7z|tar|deb|rpm|exe|msi|dmg|apk|iso|jar|whl)$"
)
# Files of these kinds are written by developers, each for a purpose of its own: never one of many alike.
CODE_FILE: Final = (
    r"(?i)\.(?:m?js|css|map|wasm|woff2?|ttf|otf|eot|ico|php[0-9]?|phtml|aspx?|ashx|asmx|jspx?|cgi|pl|py|rb|do|"
    r"action|cfm)$"
)
# What stands where a name could stand, in site after site: `/blog/feed`, `/users/me`, `/products/new`.
WORDS: Final = (
    r"(?i)^(?:new|edit|create|add|delete|remove|update|save|show|view|list|index|all|search|find|filter|autocomplete|"
    r"suggest|login|logout|signin|signout|signup|sign_in|sign_out|sign_up|sign-in|sign-out|sign-up|register|"
    r"registration|password|reset|confirm|confirmation|verify|verification|unlock|activate|me|self|current|"
    r"profile|account|settings|preferences|feed|feeds|rss|atom|page|pages|tag|tags|category|categories|"
    r"kategorie|kategorien|author|authors|autor|topic|topics|archive|archives|archiv|latest|recent|popular|top|"
    r"unread|random|preview|print|embed|amp|export|import|upload|uploads|download|downloads|bulk|batch|count|"
    r"stats|status|health|admin|api|ajax|auth|oauth|callback|webhook|webhooks|suche|neu|bearbeiten)$"
)
# What can follow a page's name without being a place of its own.
VIEWS: Final = frozenset({"feed", "rss", "atom", "amp", "embed", "print", "page", "pages", "edit", "preview"})
# A child that the rules never touch; `{slug}`, `{token}` and `order-{id}` may be any name.
_KNOWN: Final = r"^(?:|:probe|\{rest\}|\{(?:id|date|uuid|hex|email)\}(?:\.[A-Za-z][A-Za-z0-9]{0,4})?)$"
_PLAIN: Final = r"^\p{L}*$"


@dataclass(frozen=True, order=True)
class Rule:
    """In ``app``, children of ``under`` with this file extension (or none) are one route.

    ``compound`` rules take only names that no single word is: with a hyphen, a digit, an underscore. ``leaf``
    rules take only names with nothing but :data:`VIEWS` below. ``keep`` are children that stay as they are.
    """

    app: str
    under: str
    extension: str = ""
    compound: bool = False
    leaf: bool = False
    keep: frozenset[str] = frozenset()

    @property
    def place(self) -> tuple[str, str, str]:
        """What there is at most one rule for."""
        return self.app, self.under, self.extension

    @property
    def pattern(self) -> str:
        """The route that the rule gives."""
        return f"{self.under}/{SLUG}{self.extension}"

    @property
    def characters(self) -> int:
        """How long its texts are."""
        return len(self.app) + 2 * len(self.under) + sum(map(len, self.keep))

    def join(self, other: Rule) -> Rule:
        """The rule that does what either does, for the same place."""
        keep = self.keep.union(sorted(other.keep - self.keep)[: max(KEEP_MAX - len(self.keep), 0)])
        compound, leaf = self.compound and other.compound, self.leaf and other.leaf
        return Rule(*self.place, compound=compound, leaf=leaf, keep=keep)


@dataclass(frozen=True)
class Rules:
    """Rules in order of their places, at most one for each."""

    rules: tuple[Rule, ...] = ()

    @cached_property
    def fingerprint(self) -> str:
        """A short name of exactly these rules, the same in every process; empty without any."""
        return hashlib.sha256(self.to_json()).hexdigest()[:12] if self.rules else ""

    def to_json(self) -> bytes:
        """As a file: the same rules are the same bytes."""
        rows = [
            {
                "app": rule.app,
                "route": rule.pattern,
                "under": rule.under,
                "extension": rule.extension,
                "compound": rule.compound,
                "leaf": rule.leaf,
                "keep": sorted(rule.keep),
            }
            for rule in self.rules
        ]
        lines = ",\n ".join(json.dumps(row, ensure_ascii=False) for row in rows)
        return f'{{"version": {_VERSION}, "rules": [\n {lines}\n]}}\n'.encode("utf-8", "replace")


def merge(*parts: Iterable[Rule]) -> Rules:
    """The union, in order of places; of what goes beyond the bounds the parts and rules that come first stay."""
    kept: dict[tuple[str, str, str], Rule] = {}
    counts: Counter[str] = Counter()
    characters: Counter[str] = Counter()
    for rule in chain.from_iterable(parts):
        known = kept.get(rule.place)
        wider = known.join(rule) if known else rule
        more = wider.characters - (known.characters if known else 0)
        has_room = more <= min(APP_CHARACTERS_MAX - characters[rule.app], CHARACTERS_MAX - characters.total())
        if has_room and (known or (counts[rule.app] < APP_RULES_MAX and len(kept) < RULES_MAX)):
            kept[rule.place] = wider
            characters[rule.app] += more
            counts[rule.app] += known is None
    return Rules(tuple(kept[place] for place in sorted(kept)))


def from_json(text: bytes) -> Rules:
    """Rules from a file; raises ValueError, with half a sentence, for what :meth:`Rules.to_json` did not write."""
    if len(text) > JSON_MAX_BYTES:
        raise ValueError(f"has more than {JSON_MAX_BYTES >> 20} MiB")
    try:
        found = json.loads(text)
        version = found["version"]
        rules = merge(map(_rule, found["rules"])) if version == _VERSION else None
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"holds no rules ({type(error).__name__})") from error
    if rules is None:
        raise ValueError(f"is of version {version!r:.20}, not {_VERSION}")
    return rules


def _rule(row: dict[str, Any]) -> Rule:
    app, under, ending, *keep = texts = [row["app"], row["under"], row["extension"], *row["keep"]]
    if not all(isinstance(text, str) and len(text) <= ROUTE_MAX for text in texts) or len(keep) > KEEP_MAX:
        raise TypeError("a rule holds something else than a few short texts")
    "".join(texts).encode()  # half a surrogate pair is no text: no column takes it
    if under.count("/") >= SEGMENTS_MAX:
        raise ValueError("no place lies so deep")
    return Rule(app, under, ending, compound=row["compound"] is True, leaf=row["leaf"] is True, keep=frozenset(keep))


def apply_rules(named: pl.DataFrame, rules: Rules, pins: Pins = NO_PINS) -> pl.Series:
    """The route of each row by the rules, from distinct ``app`` and typed ``route``; same length and order.

    The routes that the user pinned stay; so does what the user keeps, also as the beginning of a longer route.
    """
    if not rules.rules or not named.height:
        return named["route"]
    walk = _Walk(rules, pins)
    depth = 1 + max(rule.under.count("/") for rule in rules.rules)
    is_path = pl.col("route").str.starts_with("/") & ~pl.col("route").is_in(pins.routes)
    parts = named.select("app", "route", rest=pl.col("route").str.strip_prefix("/").str.split("/"), done=pl.lit(""))
    for index in range(depth):
        parts = walk.step(parts, index)
    tail = pl.col("rest").list.slice(depth)
    whole = pl.when(tail.list.len() > 0).then(pl.concat_str("done", pl.lit("/"), tail.list.join("/"))).otherwise("done")
    return parts.select(pl.when(is_path).then(whole.str.slice(0, ROUTE_MAX)).otherwise("route").alias("route"))["route"]


class _Walk:
    """The rules as a table, and the names that each keeps."""

    def __init__(self, rules: Rules, pins: Pins) -> None:
        given = rules.rules
        self.table = pl.DataFrame(
            {
                "app": [rule.app for rule in given],
                "done": [rule.under for rule in given],
                "extension": [rule.extension for rule in given],
                "compound": [rule.compound for rule in given],
                "leaf": [rule.leaf for rule in given],
            }
        )
        kept = [(rule.app, f"{rule.under}/{name}") for rule in given for name in rule.keep]
        self.kept = pl.DataFrame(kept, schema={"app": pl.String, "next": pl.String}, orient="row").with_columns(
            kept=pl.lit(value=True)
        )
        self.keep = pins.keep

    def step(self, parts: pl.DataFrame, index: int) -> pl.DataFrame:
        """Move one segment from the rest to what is done, by its rule if it has one."""
        child, below = (pl.col("rest").list.get(index + ahead, null_on_oob=True) for ahead in (0, 1))
        at = parts.with_columns(
            child=child, below=below, extension=extension(child), next=pl.concat_str("done", pl.lit("/"), child)
        )
        at = at.join(self.table, on=["app", "done", "extension"], how="left", maintain_order="left")
        at = at.join(self.kept, on=["app", "next"], how="left", maintain_order="left")
        taken = is_name("child") & pl.col("kept").is_null() & (~pl.col("compound") | is_compound("child"))
        taken &= ~pl.col("leaf") | is_view_or_nothing("below")
        taken &= pl.col("compound").is_not_null() & ~pl.col("next").is_in(self.keep)
        slug = pl.concat_str("done", pl.lit(f"/{SLUG}"), "extension")
        done = pl.when(taken).then(slug).otherwise(pl.coalesce("next", "done"))
        return at.select("app", "route", "rest", done=done)


def extension(child: pl.Expr) -> pl.Expr:
    """The extension of a segment with its dot, or nothing."""
    return child.str.extract(f"({EXTENSION})", 0).fill_null("")


def is_view_or_nothing(column: str) -> pl.Expr:
    """Whether a segment is absent, empty or one of :data:`VIEWS`."""
    return pl.col(column).fill_null("").is_in(["", *sorted(VIEWS)])


def is_name(column: str) -> pl.Expr:
    """Whether a typed segment can be one of many names: no number or the like, no file or word of the code."""
    child = pl.col(column)
    is_code = child.str.contains(WORDS) | child.str.contains(CODE_FILE)
    return child.is_not_null() & ~(child.str.contains(_KNOWN) | is_code)


def is_compound(column: str) -> pl.Expr:
    """Whether a segment, its extension aside, is more than a single word."""
    return ~pl.col(column).str.replace(EXTENSION, "").str.contains(_PLAIN)
