"""A small lake that is the same on every machine: the simulated shop's day, and its load balancer's log of before."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from drainlake import settings as settings_module
from drainlake.derived import keep_minutes
from drainlake.log import open_local_log
from drainlake.places import lake_at
from ingest.batch import store
from ingest.deliveries import Delivery
from ingest.importing import LogFile
from ingest.simulator.shop import ShopDay
from ingest.simulator.shop.before import DayBefore
from transforms.landing import land_once

if TYPE_CHECKING:
    from pathlib import Path

    from drainlake.settings import Settings

APP: Final = "shop"
DAY: Final = date(2026, 11, 23)
LINES: Final = 60_000
SEED: Final = 1


def make(home: Path) -> Settings:
    """Take in and land both days, and make their minutes; gives the settings of a home that holds them."""
    settings = settings_module.parse({"DRAINLAKE_HOME": str(home)})
    next_day = datetime.combine(DAY + timedelta(days=1), datetime.min.time(), UTC)
    received_at_us = int(next_day.timestamp()) * 1_000_000
    with open_local_log(settings, make=True) as log:
        for sent in ShopDay(SEED, DAY, LINES).deliveries():
            store(log, [Delivery(APP, sent.body, received_at_us, frame_id=sent.frame_id)])
        balanced = home / "load-balancer.log"
        with balanced.open("wb") as file:
            file.writelines(DayBefore(SEED, DAY - timedelta(days=7), LINES).lines())
        source = LogFile(balanced, APP, "elb")
        source.append_to(log, source.content(_silent), received_at_us, _silent)
        land_once(log, lake_at(settings.lake), file_rows=settings.file_rows)
    keep_minutes(settings, next_day)
    return settings


def _silent(read: int) -> None:
    """Show no progress."""
