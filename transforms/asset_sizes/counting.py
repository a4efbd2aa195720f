"""From requests to rows of ``asset_sizes``. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import polars as pl

from ingest.schema import ASSET_SIZES

if TYPE_CHECKING:
    from collections.abc import Iterable

SCHEMA: Final = pl.Schema(ASSET_SIZES.arrow)
COLUMNS: Final = ("timestamp", "app", "source", "method", "status", "code", "bytes", "protocol", "path")
EMPTY: Final = pl.DataFrame(schema=SCHEMA)

_SENT: Final = (
    (pl.col("source") == "heroku")
    & (pl.col("method") == "GET")
    & (pl.col("status") == 200)
    & pl.col("code").is_null()
    & (pl.col("bytes") > 0)
)
# The older router, http or https, counts the headers as well.
_HAS_HEADERS: Final = pl.col("protocol").fill_null("http").is_in(["http", "https"])
_ONE: Final = {
    "timestamp": pl.col("timestamp").dt.truncate("1h"),
    "responses": pl.lit(1, pl.Int64),
    "with_headers": _HAS_HEADERS.cast(pl.Int64),
    "first_at": pl.col("timestamp"),
    "last_at": pl.col("timestamp"),
}
_ENDINGS: Final = (
    *("css", "js", "mjs", "json", "map", "svg", "html", "htm", "xml", "txt", "csv"),
    *("webmanifest", "ttf", "otf", "eot", "rss", "atom"),
)


def _percent_encoded(text: str) -> str:
    """A pattern for a text any character of which may be percent-encoded."""
    codes = ((re.escape(each), f"%{ord(each):x}", f"%{ord(each.upper()):x}") for each in text)
    return "".join(f"(?:{'|'.join(code)})" for code in codes)


# A path, query string off, where `compressible_name` of queries/shared/assets.sql holds of its `bare_path`; and a few
# more, since whoever asks looks at each again.
_ASSET: Final = f"(?i)^([^?#]*{_percent_encoded('.')}(?:{'|'.join(map(_percent_encoded, _ENDINGS))}))(?:[?#]|$)"


def counted(rows: pl.DataFrame) -> pl.DataFrame:
    """What the router's rows tell: the sizes of assets; and without a path how many rows an app and source have.

    ``rows`` have :data:`COLUMNS`; what comes back is in the order of the table.
    """
    # Most paths have neither, and to look for them costs less than the pattern.
    perhaps = pl.any_horizontal(pl.col("path").str.contains(each, literal=True) for each in ".%")
    assets = rows.filter(_SENT & perhaps).with_columns(pl.col("path").str.extract(_ASSET)).drop_nulls("path")
    every = rows.with_columns(path=pl.lit(None, pl.String), bytes=pl.lit(None, pl.Int64))
    return summed(each.with_columns(**_ONE).select(EMPTY.columns) for each in (assets, every))


def summed(parts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """The rows of several parts put together, in the order of the table."""
    group = ("app", "path", "bytes", "timestamp", "source")
    found = (
        pl.concat([EMPTY, *parts])
        .group_by(group)
        .agg(pl.col("responses", "with_headers").sum(), pl.col("first_at").min(), pl.col("last_at").max())
    )
    return found.sort(group).select(EMPTY.columns)
