"""What users say about routes: which paths a pattern fits, and how a wrong file is refused."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.route_pins import ENTRIES_MAX, Pins, parse_pins
from transforms.routes import routes

PINS = Pins(
    pins=(
        "/blog/{year}/{slug}",
        "/blog/{slug}",
        "/shop/{category}/{product}.html",
        "/files/{rest}",
        "/ü.(b)*/{x}",
        "/pin",
    ),
    keep=("/blog/archive", "/v/2024"),
)


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/blog/hello", "/blog/{slug}"),
        ("/blog/hello/?page=2", "/blog/{slug}"),
        ("//blog//hello", "/blog/{slug}"),
        ("/blog/2024/hello", "/blog/{year}/{slug}"),
        ("/blog", "/blog"),
        ("/Blog/hello", "/Blog/hello"),
        ("/blog/a/b/c", "/blog/a/b/c"),
        ("/blog/archive", "/blog/archive"),
        ("/blog/archive/", "/blog/archive"),
        ("/blog/archive/12", "/blog/archive/{id}"),
        ("/blog/archives", "/blog/{slug}"),
        ("/v/2024", "/v/2024"),
        ("/v/2025", "/v/{id}"),
        ("/shop/shoes/red.html", "/shop/{category}/{product}.html"),
        ("/shop/shoes/redxhtml", "/shop/shoes/redxhtml"),
        ("/files/a/b/.env", "/files/{rest}"),
        ("/%C3%BC.(b)*/1", "/ü.(b)*/{x}"),
        ("/ü.(b)*/1", "/ü.(b)*/{x}"),
        ("/üx(b)*/1", "/üx(b)*/{id}"),
        ("/pin", "/pin"),
        ("pin", "pin"),
    ],
)
def test_route_of_path(path: str, route: str) -> None:
    """The first that fits wins, over any look of a segment; what fits none is named as ever."""
    assert routes(pl.Series([path]), PINS).to_list() == [route]


@settings(max_examples=25)
@given(st.lists(st.text("/blogfiesx{}ü.%\n", max_size=12).map(lambda text: "/" + text), max_size=8))
def test_one_path_does_not_depend_on_the_others(paths: list[str]) -> None:
    """All at once give the same as each alone."""
    together = routes(pl.Series(paths, dtype=pl.String), PINS).to_list()
    assert together == [routes(pl.Series([path]), PINS).item() for path in paths]


def test_the_file_gives_pins_and_paths_to_keep() -> None:
    """Both lists may be missing; a slash at the end says nothing."""
    found = parse_pins('pins = ["/a/{b}/", "/"]\nkeep = ["/c"]')
    assert found == Pins(pins=("/a/{b}", "/"), keep=("/c",))
    assert parse_pins("") == Pins()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pins = [", "no TOML"),
        ("pin = []", "'pin'"),
        ("pins = '/a'", "a list"),
        (f"pins = {['/a'] * (ENTRIES_MAX + 1)}", "at most"),
        ("pins = ['/a', 'b']", "'b' as entry 2 of pins"),
        ("pins = [1]", "entry 1"),
        ("pins = ['/a?b=1']", "query string"),
        ("pins = ['/a%20b']", "decoded"),
        ("pins = ['/a//b']", "empty segments"),
        (f"pins = ['/{'a' * 200}']", "200 characters"),
        ("pins = ['/{a']", "brace"),
        ("pins = ['/{}']", "brace"),
        ("pins = ['/{a b}']", "brace"),
        ("pins = ['/{a}-{b}']", "two {names}"),
        ("pins = ['/{rest}/a']", "last segment"),
        ("pins = ['/a{rest}']", "last segment"),
        ("keep = ['/a/{b}']", "pins"),
    ],
)
def test_a_wrong_entry_is_named(text: str, said: str) -> None:
    """The sentence says which entry is wrong and what it must be, on one line."""
    with pytest.raises(ValueError, match=r"^(is|has|must) ") as caught:
        parse_pins(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
