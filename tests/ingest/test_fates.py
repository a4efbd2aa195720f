"""What the receiver's log says of deliveries that are refused, and when that is over."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ingest.fates import Fates

if TYPE_CHECKING:
    import pytest


def test_a_log_that_refuses_is_told_with_the_cause_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    """The first delivery that is stored again says so, once; counts by fate are for the end."""
    caplog.set_level(logging.INFO, "drainlake")
    fates = Fates()
    for step in (fates.stored, lambda: fates.refused("LogFull", "the disk is full"), fates.stored, fates.stored):
        step()
    fates.refused("loop")
    assert [vars(record)["event"] for record in caplog.records] == ["log_full", "log_well"]
    assert "the disk is full" in caplog.records[0].getMessage()  # and not that the budget is reached
    assert fates.counts == {"stored": 3, "refused_LogFull": 1, "refused_loop": 1}
