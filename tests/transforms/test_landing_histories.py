"""Random histories of appends, landings and crashes against the plainest model: a list of ids."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.transforms.lines import landed_ids, requests
from tests.transforms.memory_log import MemoryLog
from transforms.landing import land_once
from transforms.locallake import LocalLake

if TYPE_CHECKING:
    import pytest

POINTS = ("read", "tail read", "temporary written", "renamed", "before commit", "committed")
FILE_ROWS = 4

appends = st.tuples(
    st.just("append"),
    st.lists(
        st.tuples(st.integers(1, 6), st.integers(0, 2), st.sampled_from(["ant", "zoo"])),
        min_size=1,
        max_size=4,
    ),
)
steps = st.one_of(
    appends,
    appends,
    st.tuples(st.just("land"), st.just(0)),
    st.tuples(st.just("crash"), st.tuples(st.sampled_from(POINTS), st.integers(1, 4))),
    st.tuples(st.just("fall back"), st.just(0)),
    st.tuples(st.just("lose sentinel"), st.just(0)),
)


class CrashError(Exception):
    """A crash of the history."""


class History:
    """A log, a lake and the ids that were appended."""

    def __init__(self, folder: Path) -> None:
        self.log = MemoryLog()
        self.lake = LocalLake(folder / "lake")
        self.appended = 0

    def step(self, kind: str, what: object) -> None:
        """Do one step; a crash is survived as a new process survives it: the lake object is made anew."""
        getattr(self, kind.replace(" ", "_"))(what)

    def append(self, entries: list[tuple[int, int, str]]) -> None:
        """Append entries of (rows, day, app)."""
        for count, day, app in entries:
            ids = range(self.appended, self.appended + count)
            self.log.append([requests(list(ids), day=day, app=app)])
            self.appended += count

    def land(self, _: object) -> None:
        """A landing that comes through."""
        land_once(self.log, self.lake, file_rows=FILE_ROWS)

    def crash(self, where: tuple[str, int]) -> None:
        """A landing that dies at the nth visit of a point, if it comes there."""
        point, left = where

        def fault(reached: str) -> None:
            nonlocal left
            left -= reached == point
            if not left:
                raise CrashError

        try:
            land_once(self.log, self.lake, file_rows=FILE_ROWS, fault=fault)
        except CrashError:
            self.lake = LocalLake(self.lake.path)

    def fall_back(self, _: object) -> None:
        """Lose the low watermarks."""
        self.log.positions.clear()

    def lose_sentinel(self, _: object) -> None:
        """Lose the folder of the sentinel."""
        shutil.rmtree(self.lake.path / "router/date=1970-01-01", ignore_errors=True)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, max_size=12))
def test_every_history_ends_with_each_row_once(history_steps: list[tuple[str, object]]) -> None:
    """After any history a landing that comes through leaves every appended row in the lake once."""
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder))
        for kind, what in history_steps:
            history.step(kind, what)
        history.land(None)
        assert landed_ids(history.lake.path) == list(range(history.appended))


def test_the_model_notices_a_row_that_is_skipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The property above can fail: with files that claim too high an offset a row is missing."""
    monkeypatch.setattr("transforms.landing.Origin", _boastful_origin())
    history = History(tmp_path)
    for _ in range(2):
        history.append([(1, 0, "ant")])
        history.land(None)
    assert landed_ids(history.lake.path) != list(range(history.appended))


def _boastful_origin() -> object:
    from transforms.parquet import Origin

    return lambda identity, offset, memory_bytes, **rest: Origin(identity, offset + 1, memory_bytes, **rest)
