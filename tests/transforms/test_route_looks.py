"""What was said of a path by its look is said again without looking, and little is remembered."""

from __future__ import annotations

import polars as pl
import pytest

from transforms import route_looks
from transforms.route_looks import Looks
from transforms.routes import ROUTE_MAX, look_at

PATHS = pl.Series(["/a/b-c-d", "/user/me@example.org", "/x.3f2a9c1b.js", "/2024-05-01", "/plain"])


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that were really looked at, in order."""
    found: list[str] = []

    def looking(bare: pl.Series) -> pl.Series:
        found.extend(bare)
        return look_at(bare)

    monkeypatch.setattr(route_looks, "look_at", looking)
    return found


def test_a_path_is_looked_at_once(seen: list[str]) -> None:
    """Paths that were there before are not looked at; all have the route that looking gives, in order."""
    looks = Looks()
    assert looks(PATHS[:3]).to_list() == look_at(PATHS[:3]).to_list()
    assert looks(PATHS.reverse()).to_list() == look_at(PATHS.reverse()).to_list()
    assert sorted(seen) == sorted(PATHS)
    assert looks(PATHS.clear()).to_list() == []


def test_long_paths_are_not_remembered(seen: list[str]) -> None:
    """Who makes up long paths does not fill the memory."""
    looks, long = Looks(), pl.Series(["/" + "a" * ROUTE_MAX])
    assert looks(long).to_list() == looks(long).to_list()
    assert len(seen) == 2


def test_what_does_not_fit_takes_the_place_of_the_rest(seen: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory stays bounded, also when more paths come at once than fit."""
    monkeypatch.setattr(route_looks, "LOOKS_MAX", 2)
    looks = Looks()
    for paths in (PATHS[:2], PATHS[2:], PATHS[2:4], PATHS[4:], PATHS[4:]):
        assert looks(paths).to_list() == look_at(paths).to_list()
    assert seen == [*PATHS, PATHS[4]]
