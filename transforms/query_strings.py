r"""Cuts query strings out of paths, URLs and free text: ``/x?a=b`` becomes ``/x``. Pure.

A path or URL ends at its first question mark. In free text a query string is what stands behind a question mark of
something with a slash in it, or behind one that a name and ``=`` follow, up to a blank, a quote, or a backslash before
a quote. nginx does not escape quotes in its error lines, so there the labels tell where a request or referrer ends. A
raw quote elsewhere ends the query string: what a client that does not encode it put behind the quote stays. A query
string inside a percent-encoded URL is a part of the path and stays too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import polars as pl

MARK: Final = "?"
_NGINX_REQUEST: Final = (
    r'(?m)(, request: "[^" ?\n]* [^" ?\n]*)\?[^\n]*?( HTTP/[0-9.]+"|", (?:upstream|host|referrer): "|"$)'
)
_NGINX_REFERRER: Final = r'(?m)(, referrer: "[^"?\n]*)\?[^\n]*"$'
_QUERY: Final = r'(?:[^\s"\\]|\\[^"\s])*'
_OF_PATH: Final = rf'(/[^\s"?]*)\?{_QUERY}'
_OF_NAME: Final = rf'\?[^\s"\\=&?]{{1,100}}={_QUERY}'


def cut_path(path: pl.Expr) -> pl.Expr:
    """A path or a URL without its query string."""
    return path.str.splitn(MARK, 2).struct.field("field_0")


def cut_in_text(text: pl.Expr) -> pl.Expr:
    """Free text, the query strings cut out of it."""
    for pattern, rest in (
        (_NGINX_REQUEST, "${1}${2}"),
        (_NGINX_REFERRER, '${1}"'),
        (_OF_PATH, "${1}"),
        (_OF_NAME, ""),
    ):
        text = text.str.replace_all(pattern, rest)
    return text
