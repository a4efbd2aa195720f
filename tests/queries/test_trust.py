"""The trust line: the sums of the coverage, for any window and app."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from queries.trust import trust
from tests.queries.lakes import instant, write_lake

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import duckdb

    Opened = Callable[[Path], duckdb.DuckDBPyConnection]


@pytest.fixture
def connection(tmp_path: Path, opened: Opened) -> duckdb.DuckDBPyConnection:
    """Two apps over two hours, one loss."""
    delivery = {"app": "shop", "parsed": 70, "defects": 2, "lines": 100}
    tables = {
        "deliveries": [
            {**delivery, "timestamp": "2026-11-23T10:00:00Z", "repeated": 20},
            {**delivery, "timestamp": "2026-11-23T11:00:00Z", "repeated": 0},
            {**delivery, "timestamp": "2026-11-23T11:00:00Z", "repeated": 0, "app": "blog"},
        ],
        "platform": [{"timestamp": "2026-11-23T10:30:00Z", "app": "shop", "code": "L10", "lines_dropped": 20}],
    }
    return opened(write_lake(tmp_path / "lake", tables))


def test_all_lines_are_summed(connection: duckdb.DuckDBPyConnection) -> None:
    """The share is of new lines over all hours, not a mean of the hours' shares."""
    assert trust(connection, app_name="shop") == {
        "received": 200,
        "parsed": 140,
        "defective": 4,
        "repeated": 20,
        "dropped": 20,
        "share_seen": 0.9,
    }


def test_the_window_bounds_it(connection: duckdb.DuckDBPyConnection) -> None:
    """Times may be datetimes or text; nothing outside the window counts."""
    line = trust(connection, since=instant("2026-11-23T11:00:00Z"), until="2026-11-23T12:00:00Z")
    assert (line["received"], line["dropped"], line["share_seen"]) == (200, 0, 1.0)


def test_nothing_seen_has_no_share(connection: duckdb.DuckDBPyConnection) -> None:
    """A window without lines has zeros and no share, neither 0 nor 1."""
    line = trust(connection, since="2027-01-01")
    assert (line["received"], line["dropped"], line["share_seen"]) == (0, 0, None)
