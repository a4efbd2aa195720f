"""Routes name the variable parts of a path and nothing else."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.routes import ROUTE_MAX, routes


def cases() -> list[tuple[str, str]]:
    """The table of data/routes.tsv: path and route."""
    text = (Path(__file__).parent / "data/routes.tsv").read_text(encoding="utf-8")
    lines = [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
    return [(path, route) for path, route, _ in lines]


@pytest.mark.parametrize(("path", "route"), cases())
def test_route_of_path(path: str, route: str) -> None:
    """Each case alone."""
    assert routes(pl.Series([path])).to_list() == [route]


def test_many_paths_at_once_keep_their_order() -> None:
    """All cases in one call, repeated and with NULLs between, give the same as each alone."""
    paths = [path for path, _ in cases() for path in (path, None)] * 3
    expected = [route for _, route in cases() for route in (route, None)] * 3
    assert routes(pl.Series(paths)).to_list() == expected


@pytest.mark.parametrize("paths", [[], [None], [None, None], [""]])
def test_nothing_to_name(paths: list[str | None]) -> None:
    """Empty columns and columns of NULLs come back as they are."""
    assert routes(pl.Series(paths, dtype=pl.String)).to_list() == paths


@given(st.lists(st.text(max_size=60).map(lambda text: "/" + text), max_size=20))
def test_any_path_has_a_bounded_route(paths: list[str]) -> None:
    """Whatever a client sends, a route is text of at most ROUTE_MAX characters that begins like a route."""
    found = routes(pl.Series(paths, dtype=pl.String)).to_list()
    assert all(len(route) <= ROUTE_MAX and route[:1] in ("/", ":") for route in found)


@given(st.lists(st.text("abc/012-.%é ", max_size=30).map(lambda text: "/" + text), min_size=1, max_size=10))
def test_route_does_not_depend_on_the_other_paths(paths: list[str]) -> None:
    """A path's route is the same alone and among others: landings cut the rows anywhere."""
    together = routes(pl.Series(paths)).to_list()
    assert together == [routes(pl.Series([path])).to_list()[0] for path in paths]
