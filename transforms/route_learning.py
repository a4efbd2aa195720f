"""Finds the places in a site's paths where a name stands: many children that are alike. Pure.

The first step (``routes``) types a segment by its look; that a lone word such as ``/tag/php`` is a value shows only
beside its siblings. A :class:`Tally` counts the typed routes that were answered well, and :func:`learn` looks at each
place of each app, from the root down. It decides so:

1. At least :data:`MANY` children that can be names (no numbers, code files or words such as ``new``) are one
   ``{slug}``, if below them come the same segments, or nothing, or so many that they are names again.
2. Literal stays a child with a crowd of its own below where few others have anything (``/blog/tag/…`` among posts),
   and a word that stands apart: more than 5 % of the hits and three times those of the next (hits of real pages fall
   like 1, 1/2, 1/3, so a share alone would not do).
3. Where developers put routes side by side (the root, right below a language, ``/api/v1`` or ``/admin``; and where
   children have numbers below, like the collections of an API) single words stay, and other names must be
   :data:`MANY_IN_CODE`. Elsewhere, beside slugs that the first step found, :data:`MANY_BESIDE_SLUGS` that are more
   than a word are enough.

Only answers 200 to 299 and 304 count, so that what scanners ask for teaches nothing. The same tally gives the same
rules in whatever order its rows came. Bounded: the busiest :data:`APP_ROUTES_MAX` routes of an app and
:data:`ROUTES_MAX` in all, some 10 MB.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from transforms.route_pins import NO_PINS
from transforms.route_rules import (
    KEEP_MAX,
    SLUG,
    VIEWS,
    Rule,
    Rules,
    apply_rules,
    extension,
    is_compound,
    is_name,
    merge,
)
from transforms.routes import SEGMENTS_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from transforms.route_pins import Pins

MANY: Final = 20
MANY_IN_CODE: Final = 50
MANY_BESIDE_SLUGS: Final = 5
APART_SHARE: Final = 0.05
APART_TIMES: Final = 3
SHARE_MAX: Final = 0.4
SLUGS_SHARE: Final = 0.3
ALIKE_MIN: Final = 0.3
FEW_SHARE: Final = 0.2
CROWD: Final = 3
ROUTES_MAX: Final = 40_000
APP_ROUTES_MAX: Final = 5_000

_CODE_PLACE: Final = re.compile(
    r"(?i)v?\d+(?:\.\d+)*|[a-z]{2}(?:[-_][a-z]{2})?|api|rest|rpc|graphql|admin|administrator|backend|backoffice|manage|"
    r"dashboard|internal|ajax|actions?|app|web|site|public|static|assets|build|index\.php|account|konto|my|me|"
    r"settings|auth|oauth2?|checkout|wp-json|_next|_nuxt"
)
_TYPED: Final = re.compile(r"\{(?:id|uuid|hex|date)\}")

_TALLY: Final = pl.Schema({"app": pl.String, "route": pl.String, "hits": pl.Int64})


class Tally:
    """Hits of typed routes per app: the columns ``app``, ``route``, ``hits``; never changed, only replaced.

    ``new`` counts the routes that came since rules were last looked for, those that the bounds left out included.
    """

    def __init__(self, rows: pl.DataFrame | None = None, new: int = 0) -> None:
        self.rows = pl.DataFrame(schema=_TALLY) if rows is None else rows
        self.new = new

    def add(self, more: pl.DataFrame) -> Tally:
        """This tally and rows with the same columns; beyond the bounds the routes with fewest hits go."""
        joined = pl.concat([self.rows, more.select(_TALLY.names()).cast(_TALLY)])
        whole = joined.group_by("app", "route").agg(pl.col("hits").sum())
        return Tally(_bound(whole), self.new + whole.height - self.rows.height)

    def named_by(self, rules: Rules, pins: Pins = NO_PINS) -> Tally:
        """This tally with the routes that rules make of its routes, none of them new."""
        return Tally(Tally().add(self.rows.with_columns(route=apply_rules(self.rows, rules, pins))).rows)


def _bound(rows: pl.DataFrame) -> pl.DataFrame:
    if rows.height > APP_ROUTES_MAX:
        rows = rows.sort(["hits", "app", "route"], descending=[True, False, False])
        rows = rows.filter(pl.int_range(pl.len()).over("app") < APP_ROUTES_MAX).head(ROUTES_MAX)
    return rows


class Child(NamedTuple):
    """A name at a place, with its hits, whether it is more than a word, and what comes below it."""

    name: str
    hits: int
    is_compound: bool
    below: frozenset[str]


class _Place(NamedTuple):
    app: str
    under: str
    extension: str
    children: tuple[Child, ...]
    slug_hits: int


def learn(tally: Tally, known: Rules, pins: Pins = NO_PINS) -> Rules:
    """The known rules and those that the tally shows besides, from the root down: a rule changes what lies below."""
    rules, named = known, tally.named_by(known, pins)
    for depth in range(_deepest(named.rows)):
        found = [rule for place in _places(named.rows, depth) if (rule := _judge(place)) is not None]
        wider = merge(rules.rules, found)
        if wider != rules:
            rules, named = wider, tally.named_by(wider, pins)
    return rules


def _deepest(named: pl.DataFrame) -> int:
    """How many segments the longest route has, as far as they are looked at; rules do not change it."""
    found = named["route"].str.count_matches("/", literal=True).max()
    return min(found, SEGMENTS_MAX) if isinstance(found, int) else 0


def _places(named: pl.DataFrame, depth: int) -> Iterator[_Place]:
    """Places so deep that have children enough to be looked at, children by name."""
    children = _children(named, depth)
    slug = children.filter(pl.col("child") == pl.concat_str(pl.lit(SLUG), "extension"))
    names = children.filter(pl.col("is_name"), pl.col("child") != pl.concat_str(pl.lit(SLUG), "extension"))
    wide = names.group_by("app", "under", "extension").agg(
        pl.struct("child", "hits", "is_compound", "below").sort_by("child").alias("children")
    )
    enough = wide.filter(pl.col("children").list.len() >= MANY_BESIDE_SLUGS)
    slugs = slug.select("app", "under", "extension", slug_hits="hits")
    found = enough.join(slugs, on=["app", "under", "extension"], how="left").sort("app", "under", "extension")
    for app, under, ending, group, slug_hits in found.iter_rows():
        listed = (Child(c["child"], c["hits"], c["is_compound"], frozenset(c["below"])) for c in group)
        yield _Place(app, under, ending, tuple(listed), slug_hits or 0)


def _children(named: pl.DataFrame, depth: int) -> pl.DataFrame:
    """Each child of each place with its hits and the segments below it; one depth at a time bounds the memory."""
    segments = pl.col("route").str.strip_prefix("/").str.split("/")
    under = pl.concat_str(pl.lit("/"), segments.list.head(depth).list.join("/")) if depth else pl.lit("")
    at = named.filter(pl.col("route").str.starts_with("/"), segments.list.len() > depth).select(
        "app",
        "hits",
        under=under,
        child=segments.list.get(depth),
        below=segments.list.get(depth + 1, null_on_oob=True),
    )
    grouped = at.group_by("app", "under", "child")
    below = pl.col("below").filter(pl.col("below") != "").unique()
    return grouped.agg(pl.col("hits").sum(), below).with_columns(
        extension=extension(pl.col("child")), is_name=is_name("child"), is_compound=is_compound("child")
    )


def _judge(place: _Place) -> Rule | None:
    """The rule for a place, or None where its children are no names."""
    held = _crowded(place.children)
    names = [child for child in place.children if child.name not in held]
    leaf = _is_code_place(place.under)
    if leaf:
        names = [child for child in names if child.below <= VIEWS]
    for compound, needed in _demands(place, names, in_code=leaf or _have_numbers_below(names)):
        some = [child for child in names if child.is_compound or not compound]
        apart = {child.name for child in _apart(some, place.slug_hits)}
        some = [child for child in some if child.name not in apart]
        if len(some) >= needed and _are_alike(some):
            kept = sorted((-child.hits, child.name) for child in place.children if child.name in held | apart)
            keep = frozenset(name for _, name in kept[:KEEP_MAX])
            return Rule(place.app, place.under, place.extension, compound=compound, leaf=leaf, keep=keep)
    return None


def _demands(place: _Place, names: list[Child], *, in_code: bool) -> list[tuple[bool, int]]:
    """What to look for, in this order: whether only at names that are compound, and how many there must be."""
    beside_slugs = place.slug_hits >= SLUGS_SHARE * (place.slug_hits + sum(child.hits for child in names))
    if in_code:
        return [(True, MANY_IN_CODE)]
    return [(False, MANY), (True, MANY_BESIDE_SLUGS if beside_slugs else MANY)]


def _is_code_place(under: str) -> bool:
    """The root, what lies right below languages and versions, and all below ``/api`` or ``/admin``."""
    segments = under.split("/")[1:]
    return not segments or _CODE_PLACE.fullmatch(segments[-1]) is not None


def _have_numbers_below(children: Iterable[Child]) -> bool:
    """Collections, such as ``/x/users/{id}`` and ``/x/orders/{id}``."""
    deep = [child for child in children if child.below]
    numbered = sum(any(_TYPED.match(name) for name in child.below) for child in deep)
    return numbered >= MANY_BESIDE_SLUGS and 2 * numbered >= len(deep)


def _crowded(children: tuple[Child, ...]) -> set[str]:
    """Where few have anything below, those with a crowd below."""
    deep = [child for child in children if child.below]
    if len(deep) > FEW_SHARE * len(children):
        return set()
    return {child.name for child in deep if len(child.below - VIEWS) >= CROWD}


def _apart(children: list[Child], slug_hits: int) -> list[Child]:
    """The busiest words, down to the last gap: above it a share that is heavy, below it hits three times fewer.

    A busy name that is more than a word is a name all the same, within reason.
    """
    total = slug_hits + sum(child.hits for child in children)
    falling = sorted(children, key=lambda child: (-child.hits, child.name))
    heavy = [child for child in falling if child.hits > APART_SHARE * total]
    gaps = [
        index
        for index, (one, following) in enumerate(zip(heavy, falling[1:], strict=False), 1)
        if one.hits >= APART_TIMES * following.hits
    ]
    found = falling[: gaps[-1]] if gaps else []
    return [one for one in found if not one.is_compound or one.hits > SHARE_MAX * total]


def _are_alike(children: list[Child]) -> bool:
    """Whether the same segments come below, or so many names that they are names again."""
    deep = [child for child in children if child.below]
    if len(deep) <= FEW_SHARE * len(children):
        return True
    owners = Counter(name for child in deep for name in child.below)
    shared = sum(count * count for count in owners.values()) / (owners.total() * len(deep))
    return shared >= ALIKE_MIN or len(owners) >= MANY_IN_CODE
