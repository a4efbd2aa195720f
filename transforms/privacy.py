"""Takes client addresses and query strings out of the rows that are about to land. Pure.

Only rows that come from the event log pass here, once: a tail that is rewritten was treated when its rows landed. So
files from before a key was set, changed or thrown away stay as they are, and a lake may hold addresses and hashes
under several keys beside each other. Rows join where both were landed under the same key.

PHP's continuation lines are treated before they are joined (``php_events``): what is read out of them later, such as
the client of an nginx line, is hashed and cut already.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import polars as pl

from transforms.addresses import SIEVE, SIX_SIEVE, Hasher
from transforms.distinct import by_distinct
from transforms.query_strings import MARK, cut_in_text, cut_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PIECE_ROWS: Final = 8_192

# By table: columns that are an address or a list of them, and columns in whose text there can be some. What a client or
# the app's own code can fill counts as text.
ADDRESSES: Final[Mapping[str, frozenset[str]]] = {
    "router": frozenset({"client_ip", "forwarded_for"}),
    "access": frozenset({"client_ip"}),
    "php": frozenset({"client_ip"}),
}
TEXTS: Final[Mapping[str, frozenset[str]]] = {
    "router": frozenset({"method", "host", "path", "route", "request_id", "user_agent", "extra"}),
    "access": frozenset({"method", "path", "route", "referrer", "user_agent", "request_id", "accept_encoding"}),
    "php": frozenset({"message", "file", "script", "method", "path", "route", "upstream", "trace"}),
    "platform": frozenset({"message"}),
    "releases": frozenset({"actor", "message"}),
    "lines": frozenset({"message"}),
}
# Names that drainlake, Heroku or a web server choose, and addresses of machines rather than of clients.
ADDRESS_FREE: Final[Mapping[str, frozenset[str]]] = {
    "router": frozenset({"app", "source", "level", "code", "description", "dyno", "protocol", "tls_version"}),
    "access": frozenset({"app", "dyno", "protocol", "content_type", "content_encoding"}),
    "php": frozenset({"app", "dyno", "component", "level"}),
    "platform": frozenset({"app", "dyno", "event", "code", "description", "from_state", "to_state"}),
    "samples": frozenset({"app", "source", "kind", "metric", "unit"}),
    "releases": frozenset({"app", "event"}),
    "lines": frozenset({"app", "process", "defect"}),
    "deliveries": frozenset({"app", "frame_id", "drain_token"}),
}
PATHS: Final[Mapping[str, frozenset[str]]] = {
    "router": frozenset({"path"}),
    "access": frozenset({"path", "referrer"}),
    "php": frozenset({"path", "upstream"}),
}
TEXTS_WITH_QUERIES: Final[Mapping[str, frozenset[str]]] = {
    "router": frozenset({"extra"}),
    "php": frozenset({"message", "trace"}),
    "platform": frozenset({"message"}),
    "releases": frozenset({"message"}),
    "lines": frozenset({"message"}),
}


@dataclass(frozen=True)
class Privacy:
    """What is taken out of rows: addresses are hashed if there is a ``key``, query strings dropped if so asked."""

    key: bytes | None = field(default=None, repr=False)
    drop_queries: bool = False


KEEP_ALL: Final = Privacy()


def masked(table: str, rows: pl.DataFrame, privacy: Privacy) -> pl.DataFrame:
    """Rows of a table as they may land; columns that it does not know stay as they are."""
    if privacy.drop_queries:
        rows = _without_queries(table, rows)
    return rows if privacy.key is None else _hashed(table, rows, Hasher(privacy.key))


def _without_queries(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    cuts = ((PATHS, cut_path), (TEXTS_WITH_QUERIES, cut_in_text))
    changed = {
        name: cut(pl.col(name))
        for columns, cut in cuts
        for name in _present(columns.get(table), rows)
        if _has_mark(rows[name])
    }
    return rows.with_columns(**changed)


def _has_mark(texts: pl.Series) -> bool:
    return bool(texts.str.contains(MARK, literal=True).any())


def _hashed(table: str, rows: pl.DataFrame, hasher: Hasher) -> pl.DataFrame:
    lists, texts = (_present(columns.get(table), rows) for columns in (ADDRESSES, TEXTS))
    changed = {name: by_distinct(rows[name], lambda distinct: _each_entry(distinct, hasher)) for name in lists}
    changed |= {name: hashed_text(rows[name], hasher) for name in texts}
    return rows.with_columns(**changed)


def _each_entry(distinct: pl.Series, hasher: Hasher) -> pl.Series:
    return pl.Series([hasher.entries(text) for text in distinct], dtype=pl.String)


def hashed_text(texts: pl.Series, hasher: Hasher) -> pl.Series:
    """Free texts with the addresses in them hashed; most hold none, and a sieve in native code says which may."""
    suspects = texts.str.contains(SIEVE).arg_true()
    if not suspects.len():
        return texts
    hashed = [_hashed_piece(texts.gather(piece), hasher) for piece in _slices(suspects)]
    return texts.scatter(suspects, pl.concat(hashed))


def _slices(rows: pl.Series) -> Iterator[pl.Series]:
    """In pieces: as Python's texts all of a bite's rows would take as much memory again, and more."""
    for start in range(0, rows.len(), PIECE_ROWS):
        yield rows[start : start + PIECE_ROWS]


def _hashed_piece(texts: pl.Series, hasher: Hasher) -> pl.Series:
    has_six = texts.str.contains(SIX_SIEVE)
    hashed = [hasher.in_text(text, has_six=six) for text, six in zip(texts, has_six, strict=True)]
    return pl.Series(hashed, dtype=pl.String)


def _present(names: frozenset[str] | None, rows: pl.DataFrame) -> list[str]:
    return [name for name in rows.columns if names and name in names]
