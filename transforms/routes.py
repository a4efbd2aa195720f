"""Names the variable parts of a path: ``/users/123?tab=2`` becomes ``/users/{id}``. Pure.

One path goes this way: query string off, percent-decoded, empty segments out, cut into segments; each
segment is typed by its look alone; the segments are joined again. The work is done once per distinct path,
and the typing once per distinct segment, so a million requests for a thousand paths cost a thousand.

What a segment can become: ``{id}`` (digits), ``{date}``, ``{uuid}``, ``{hex}`` (8 or more hex digits, one
of them a digit), ``{email}``, ``{token}`` (long and mixed), ``{slug}`` (three words or more joined by
hyphens); a file keeps its extension (``{id}.json``) and an asset loses its fingerprint (``app-3f2a9c1b.js``
is ``app.js``). A path that only scanners ask for becomes ``:probe``. ``/v2``, ``/404`` and plain words
stay.

Bounded: at most :data:`SEGMENTS_MAX` segments and :data:`ROUTE_MAX` characters. To add a type, add a line
to ``_typed``. This is the first step; what needs to see all paths of a site, rather than one segment, is the second
(``route_learning``), and the user's own word on it is ``route_pins``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import polars as pl

from transforms.distinct import by_distinct
from transforms.route_pins import NO_PINS

if TYPE_CHECKING:
    from collections.abc import Callable

    from transforms.route_pins import Pins

    Look = Callable[[pl.Series], pl.Series]

ROUTE_MAX: Final = 200
SEGMENTS_MAX: Final = 10
PATH_MAX: Final = 2_000
PIECE_PATHS: Final = 40_000  # a long path takes some 1 KB on its way
LOOK_PATHS: Final = 4_096  # typing takes some 2 KB for a path of many segments
_ERROR_PAGE: Final = r"^/[45][0-9][0-9](?:\.html?|\.php)?/?$"
PROBE: Final = ":probe"
REST: Final = "{rest}"

_ASSET: Final = r"(?i)\.(?:m?js|css|map|png|jpe?g|gif|svg|webp|avif|ico|bmp|woff2?|ttf|otf|eot|mp[34]|webm|ogg|wasm)$"
_PAGE: Final = r"(?i)\.html?$"
_EXTENSION: Final = r"\.[A-Za-z][A-Za-z0-9]{0,4}$"

_WORD: Final = r"^[A-Za-z_]{0,15}$"
_ID: Final = r"^[0-9]+(?:[-,_:][0-9]+)*$"
_NAMED_ID: Final = r"^([A-Za-z][A-Za-z]*[-_.])[0-9]{3,}$"
_UUID: Final = r"(?i)^\{?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}?$"
_HEX: Final = r"(?i)^(?:0x)?[0-9a-f]{8,}$"
_DATE: Final = r"^(?:19|20)[0-9]{2}[-_.](?:0[1-9]|1[0-2])(?:[-_.](?:0[1-9]|[12][0-9]|3[01]))?(?:T[0-9:.]+Z?)?$"
_EMAIL: Final = r"^[^@\s]+@[^@\s]+\.[A-Za-z]{2,}$"
_DENSITY: Final = r"@[1-9](?:\.[0-9]+)?x[^A-Za-z0-9]"  # `logo@2x.png` is for screens of twice as many dots
_SLUG: Final = r"^[\p{L}\p{M}\p{N}]+(?:-+[\p{L}\p{M}\p{N}]+){2,}-?$"
_JWT: Final = r"^eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?$"
_LONG: Final = r"^[A-Za-z0-9_~+=-]{16,}$"
TURNS_MIN: Final = 2
CASED_MIN: Final = 20
SEGMENT_MAX: Final = 80

# A fingerprint stands between a separator and the rest of the extensions: `-3f2a9c1b.js`,
# `.3f2a9c1b.chunk.js`.
_HEX_PRINT: Final = r"[-._]([0-9a-fA-F]{8,})((?:\.[A-Za-z0-9]+)+)$"
_MIXED_PRINT: Final = r"[-.]([A-Za-z0-9_]{8,})((?:\.[A-Za-z0-9]+)+)$"

# What bundlers call the parts that they load late: `127.3f2a9c1b.js`, `12.chunk.css`.
_NUMBERED: Final = r"^[0-9]+((?:\.(?:chunk|bundle))?\.(?:js|css)(?:\.map)?)$"

# Only what no site serves: wp-login.php and xmlrpc.php are asked for by scanners and served by every
# WordPress.
_HIDDEN: Final = r"^\.[^.]"
_SCANNED: Final = (
    r"(?i)^(?:php-?my-?admin.*|pma[0-9]*|myadmin|mysqladmin|cgi-bin|phpunit|eval-stdin\.php|wp-config\.php.*|"
    r"boaform|hnap1|phpinfo\.php|.*\.(?:php[0-9]?\.?(?:bak|old|orig|save|swp)|php~))$"
)

_CONTROL: Final = {code: f"%{code:02X}" for code in (*range(0x20), 0x7F)}
_UNDECODABLE: Final = {0xDC00 + byte: f"\\x{byte:02X}" for byte in range(0x80, 0x100)}
_CLEAN: Final = _CONTROL | _UNDECODABLE


def routes(paths: pl.Series, pins: Pins = NO_PINS) -> pl.Series:
    """The route of each path (strings to strings, same length and order). NULL stays NULL.

    A pin wins over any look. What is no path (does not begin with a slash) is its own route, cut to :data:`ROUTE_MAX`
    characters.
    """
    return by_distinct(paths, lambda distinct: distinct_routes(distinct, pins))


def distinct_routes(paths: pl.Series, pins: Pins = NO_PINS, look: Look | None = None) -> pl.Series:
    """As :func:`routes`, for paths that are distinct already and not NULL.

    ``look`` does what :func:`look_at` does, for who remembers what was looked at before.
    """
    return _in_pieces(paths, PIECE_PATHS, lambda piece: _routes_of(piece, pins, look or look_at))


def _in_pieces(texts: pl.Series, rows: int, work: Look) -> pl.Series:
    return pl.concat([work(texts[start : start + rows]) for start in range(0, texts.len(), rows)] or [texts])


def _routes_of(paths: pl.Series, pins: Pins, look: Look) -> pl.Series:
    """What is cheap is done for all paths; what is left to look at are few, or else, in a flood, many small pieces."""
    bare = _bare(_cut(paths, PATH_MAX))
    route = by_distinct(_without_ids(bare), look)
    if pins.routes:
        found = by_distinct(bare, pins.find)
        route = found.zip_with(found.is_not_null(), route)
    is_path = bare.str.starts_with("/")
    return _cut(route if is_path.all() else route.zip_with(is_path, paths), ROUTE_MAX)


def look_at(bare: pl.Series) -> pl.Series:
    """The routes of distinct decoded paths without query string, by the look of each segment."""
    return _in_pieces(bare, LOOK_PATHS, _of_bare)


def _cut(texts: pl.Series, characters: int) -> pl.Series:
    longest = texts.str.len_bytes().max()
    return texts.str.slice(0, characters) if isinstance(longest, int) and longest > characters else texts


def _bare(paths: pl.Series) -> pl.Series:
    """Decoded paths without query string. Most paths are that already, and are not touched."""
    cut = _where(paths, paths.str.contains("[?#]"), _before_query)
    return _where(cut, cut.str.contains(r"[%\x00-\x1f\x7f]"), lambda encoded: by_distinct(encoded, _decode))


def _where(texts: pl.Series, chosen: pl.Series, work: Look) -> pl.Series:
    """The texts with work done on those that are chosen."""
    places = chosen.arg_true()
    return texts.clone().scatter(places, work(texts.gather(places))) if places.len() else texts


def _without_ids(bare: pl.Series) -> pl.Series:
    """Numbers alone are most of what varies: settled here, a site has few distinct paths left to look at."""
    named = bare.str.replace_all("/{2,}", "/") if bare.str.contains("//", literal=True).any() else bare
    # No groups, and the end apart: so one pass of an automaton does.
    named = named.str.replace_all("/[0-9]+/", "/{id}/")
    if named.str.contains(r"/\{id\}/[0-9]+/").any():  # a match cannot share its slash with the next one
        named = named.str.replace_all("/[0-9]+/", "/{id}/")
    named = named.str.replace("/[0-9]+$", "/{id}")
    return bare.zip_with(bare.str.contains(_ERROR_PAGE), named)


def _before_query(paths: pl.Series) -> pl.Series:
    for mark in "?#":
        if paths.str.contains(mark, literal=True).any():
            paths = paths.str.splitn(mark, 2).struct.field("field_0")
    return paths


def _decode(paths: pl.Series) -> pl.Series:
    """Percent-decode, and cut again; control characters stay encoded, bytes that are not UTF-8 become ``\\xFF`` as in
    every table.

    The newer router logs paths decoded, nginx as they came: both must give one route.
    """
    decoded = [unquote(path, errors="surrogateescape").translate(_CLEAN) for path in paths]
    return _before_query(pl.Series(decoded, dtype=pl.String))


def _of_bare(bare: pl.Series) -> pl.Series:
    """Routes of distinct decoded paths without query string."""
    cut = bare.to_frame("bare").select(segment=_segments(pl.col("bare"))).with_row_index("row")
    typed = _type_segments(cut.explode("segment"))
    lists = typed.group_by("row", maintain_order=True).agg("typed", probe=(pl.col("typed") == PROBE).any())
    joined = pl.concat_str(pl.lit("/"), pl.col("typed").list.join("/"))
    # A site's own error pages are the one place where a number alone is a name.
    route = pl.when(bare.str.contains(_ERROR_PAGE)).then(bare).when("probe").then(pl.lit(PROBE)).otherwise(joined)
    return lists.select(route.alias("route"))["route"]


def _type_segments(segments: pl.DataFrame) -> pl.DataFrame:
    """Add `typed` to a frame with `segment`. Short words and sure types first: they are the most."""
    word = pl.col("segment").str.contains(_WORD) & ~pl.col("segment").str.contains(_SCANNED)
    keyed = segments.with_columns(odd=pl.when(~word).then("segment"))
    distinct = keyed.select(pl.col("odd").drop_nulls().unique()).with_columns(typed=_plain(pl.col("odd")))
    sure = distinct.filter(pl.col("typed").is_not_null())
    guessed = _parts(distinct.filter(pl.col("typed").is_null())["odd"]).select("odd", typed=_typed())
    known = pl.concat([sure, guessed])
    found = keyed.join(known, on="odd", how="left", maintain_order="left")
    return found.with_columns(typed=pl.coalesce("typed", "segment"))


def _segments(bare: pl.Expr) -> pl.Expr:
    """The segments behind the first slash; a trailing slash gives a last empty one."""
    cut = bare.str.replace_all("/{2,}", "/").str.strip_prefix("/").str.split("/")
    too_many = cut.list.len() > SEGMENTS_MAX
    short = pl.concat_list(cut.list.head(SEGMENTS_MAX), pl.lit(REST))
    return pl.when(too_many).then(short).otherwise(cut)


def _parts(segments: pl.Series) -> pl.DataFrame:
    """Segments as ``odd``, and what each type looks at; NULL where it need not look, since that costs next to nothing.

    ``asset`` or else ``other`` is the segment, ``stem`` what stands before its ``extension``, ``other_stem`` the same
    but for assets.
    """
    segment, is_asset = pl.col("odd"), pl.col("odd").str.contains(_ASSET)
    parts = segments.to_frame("odd").with_columns(
        extension=segment.str.extract(f"({_EXTENSION})", 1),
        asset=pl.when(is_asset).then(segment),
        other=pl.when(~is_asset).then(segment),
    )
    parts = parts.with_columns(
        stem=pl.when(pl.col("extension").is_not_null()).then(segment.str.replace(_EXTENSION, ""))
    )
    return parts.with_columns(other_stem=pl.when(pl.col("other").is_not_null()).then("stem"))


def _typed() -> pl.Expr:
    """The type of a segment that is not plain, or the segment itself, from its parts. The first that fits wins."""
    segment, extension, stem = pl.col("odd"), pl.col("extension"), pl.col("stem")
    return pl.coalesce(
        _kept(segment),
        _probe(segment),
        _email(segment, pl.col("asset")),
        pl.concat_str(_plain(stem), extension),
        _without_fingerprint(pl.col("asset")),
        _mixed(pl.col("other")),
        pl.concat_str(_mixed(pl.col("other_stem")), extension),
        _name(segment, _SLUG, "{slug}"),
        pl.when(segment.str.contains(_PAGE)).then(pl.concat_str(_name(stem, _SLUG, "{slug}"), extension)),
        pl.when(segment.str.len_chars() > SEGMENT_MAX).then(pl.lit("{token}")),
        segment,
    )


def _kept(segment: pl.Expr) -> pl.Expr:
    return pl.when(segment.is_in([REST, ".well-known"])).then(segment)


def _probe(segment: pl.Expr) -> pl.Expr:
    return pl.when(segment.str.contains(_HIDDEN) | segment.str.contains(_SCANNED)).then(pl.lit(PROBE))


def _name(text: pl.Expr, pattern: str, name: str) -> pl.Expr:
    return pl.when(text.str.contains(pattern)).then(pl.lit(name))


def _email(segment: pl.Expr, asset: pl.Expr) -> pl.Expr:
    is_email = segment.str.contains(_EMAIL) & ~asset.str.contains(_DENSITY).fill_null(value=False)
    return pl.when(is_email).then(pl.lit("{email}"))


def _plain(text: pl.Expr) -> pl.Expr:
    """Types that are certain from the look: NULL for any other text."""
    has_digit = text.str.contains("[0-9]")
    return pl.coalesce(
        _name(text, _UUID, "{uuid}"),
        _name(text, _DATE, "{date}"),
        _name(text, _ID, "{id}"),
        pl.when(text.str.contains(_HEX) & has_digit).then(pl.lit("{hex}")),
    )


def _mixed(text: pl.Expr) -> pl.Expr:
    """Types that are a guess: a word with a number, a long text of letters and digits in turn."""
    cased = text.str.contains("[a-z]") & text.str.contains("[A-Z]") & text.str.contains("[0-9]")
    turns = text.str.count_matches("[A-Za-z][0-9]") >= TURNS_MIN
    looks_random = turns | (cased & (text.str.len_bytes() >= CASED_MIN) & ~text.str.contains("-"))
    return pl.coalesce(
        pl.when(text.str.contains(_NAMED_ID)).then(text.str.replace(_NAMED_ID, "${1}{id}")),
        _name(text, _JWT, "{token}"),
        pl.when(text.str.contains(_LONG) & looks_random).then(pl.lit("{token}")),
    )


def _without_fingerprint(asset: pl.Expr) -> pl.Expr:
    by_hash = asset.str.extract(_HEX_PRINT, 1).str.contains("[0-9]").fill_null(value=False)
    mixed = asset.str.extract(_MIXED_PRINT, 1)
    is_mixed = mixed.str.contains("[0-9]") & mixed.str.contains("[a-z]") & mixed.str.contains("[A-Z]")
    bare = (
        pl.when(by_hash)
        .then(asset.str.replace(_HEX_PRINT, "${2}"))
        .when(is_mixed.fill_null(value=False))
        .then(asset.str.replace(_MIXED_PRINT, "${2}"))
        .otherwise(asset)
    )
    return bare.str.replace(_NUMBERED, "{id}${1}")
