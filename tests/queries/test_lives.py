"""dyno_lives: where the life of a dyno begins and ends by Heroku's lines."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.queries.lakes import instant, write_lake

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import duckdb

    Opened = Callable[[Path], duckdb.DuckDBPyConnection]

START, UP = {"event": "start"}, {"event": "state", "from_state": "starting", "to_state": "up"}
CYCLE, STOP, LEFT = (
    {"event": "cycle"},
    {"event": "stop"},
    {"event": "state", "from_state": "up", "to_state": "starting"},
)
EXIT, CRASHED = {"event": "exit", "exit_status": 143}, {"event": "state", "from_state": "up", "to_state": "crashed"}
DOWN = {"event": "state", "from_state": "up", "to_state": "down"}

# What happens at which second, and the lives: number, started, up, ended, began, ended by, exit status.
STORIES: dict[str, tuple[list[tuple[float, dict[str, Any]]], list[tuple[Any, ...]]]] = {
    "a daily restart ends the life before the window": (
        [(10, CYCLE), (10.1, LEFT), (10.2, STOP), (11, EXIT), (12, START), (15, UP)],
        [(0, None, None, 10, None, "cycle", 143), (1, 12, 15, None, "start", None, None)],
    ),
    "an old process that exits after the new one was started does not end the new life": (
        [(1, START), (4, UP), (10, LEFT), (10.2, STOP), (12, START), (13, EXIT), (15, UP), (50, STOP), (51, EXIT)],
        [(1, 1, 4, 10, "start", "restart", None), (2, 12, 15, 50, "start", "restart", 143)],
    ),
    "a crash": (
        [(1, START), (4, UP), (20, EXIT | {"exit_status": 1}), (20.1, CRASHED), (30, START), (33, UP)],
        [(1, 1, 4, 20, "start", "crash", 1), (2, 30, 33, None, "start", None, None)],
    ),
    "a crash before it was up": (
        [(1, START), (3, EXIT | {"exit_status": 70}), (3.1, CRASHED | {"from_state": "starting"}), (9, START)],
        [(1, 1, None, 3, "start", "crash", 70), (2, 9, None, None, "start", None, None)],
    ),
    "lines that came twice": (
        [(1, START), (1.002, START), (4, UP), (4.002, UP), (9, DOWN), (9.002, DOWN)],
        [(1, 1, 4, 9, "start", "down", None)],
    ),
    "a start whose line was lost": (
        [(1, LEFT), (8, UP), (20, LEFT)],
        [(0, None, None, 1, None, "restart", None), (1, 8, 8, 20, "up", "restart", None)],
    ),
    "an end whose lines were lost": (
        [(1, START), (4, UP), (90, START), (93, UP)],
        [(1, 1, 4, 90, "start", "unseen", None), (2, 90, 93, None, "start", None, None)],
    ),
    "signs of one instant end before they begin": (
        [(9, START), (9, EXIT), (9, LEFT), (9, UP)],
        [(0, None, None, 9, None, "restart", 143), (1, 9, 9, None, "start", None, None)],
    ),
    "memory lines and errors are no life": ([(1, {"event": "memory"}), (1, {"event": "error", "code": "R14"})], []),
}


@pytest.mark.parametrize("story", STORIES)
def test_lives(story: str, tmp_path: Path, opened: Opened) -> None:
    """Each story has the lives told, for each dyno apart, and no life of another app."""
    events, lives = STORIES[story]
    midnight = instant("2026-11-23T00:00:00Z")
    rows = [
        {"app": app, "dyno": dyno, "timestamp": midnight + timedelta(seconds=at), **event}
        for app, dyno in (("shop", "web.1"), ("shop", "web.2"), ("blog", "web.1"))
        for at, event in events
    ]
    connection = opened(write_lake(tmp_path / "lake", {"platform": rows}))
    seconds = "(epoch_us({}) - epoch_us(TIMESTAMPTZ '2026-11-23 00:00:00+00')) / 1e6"
    columns = ", ".join(seconds.format(name) for name in ("started_at", "up_at", "ended_at"))
    answer = connection.execute(
        f"SELECT app, dyno, life, {columns}, began, ended, exit_status FROM dyno_lives(NULL, NULL, 'shop') ORDER BY ALL"
    ).fetchall()
    assert answer == [("shop", dyno, *life) for dyno in ("web.1", "web.2") for life in lives]
