"""The tables that are made from others are there when a report asks, and their absence stops nobody."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from drainlake import reporting
from drainlake.derived import keep_asset_sizes
from drainlake.settings import parse
from queries.report.model import Window
from tests.transforms.minute_rows import NOON, add, asset
from transforms.locallake import LocalLake

if TYPE_CHECKING:
    from pathlib import Path

    from drainlake.settings import Settings

NOW = NOON + timedelta(days=1)


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    """The settings of a lake that has a stylesheet of yesterday."""
    lake = LocalLake(tmp_path / "lake")
    lake.prepare()
    add(lake, "router", [asset(seconds, bytes=60_000) for seconds in range(30)])
    return parse({"DRAINLAKE_HOME": str(tmp_path)})


def test_a_report_makes_the_sizes_of_assets_and_an_alarm_check_does_not(home: Settings) -> None:
    """A report looks at a month of them; a check comes every few minutes and asks for none."""
    lake = LocalLake(str(home.lake))
    reporting.check(home, NOW)
    assert lake.listing("asset_sizes") == {}
    reporting.make_report(home, Window(NOON, NOON + timedelta(hours=1)), NOW)
    assert [file.date for file in lake.listing("asset_sizes")] == [NOON.date().isoformat()]


def test_a_report_is_made_where_sizes_cannot_be(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process makes them just now: the report has the same files in it, and says nothing of it."""
    monkeypatch.setattr("drainlake.derived.WAIT_SECONDS", 0.0)
    with LocalLake(str(home.lake)).own("asset_sizes", "all"):
        assert "Another process" in str(keep_asset_sizes(home, NOW))
        report = reporting.make_report(home, Window(NOON, NOON + timedelta(hours=1)), NOW)
    assert not any("Another process" in note for note in report.notes)
    (section,) = (each for each in report.sections if each.name == "compression")
    assert "/a.css" in section.sentence
