"""The autopsy of the timeouts that the simulated shop has, against what was planted there."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest

from ingest.parsing import Body, parse
from ingest.simulator.shop import ShopDay
from tests.queries.flights import fill
from transforms.route_book import RouteBook

LINES = 30_000  # incidents do not shrink with the day


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_planted_culprit_and_its_victims(memory: Any, seed: int) -> None:
    """The planted route comes out on top with nearly all worker-seconds; every H12 of it is its own doing, every other
    one a victim's."""
    day = ShopDay(seed, date(2026, 11, 22), LINES)
    bodies = [Body("shop", delivery.body) for delivery in day.deliveries()]
    fill(memory, RouteBook().name(pl.DataFrame(parse(bodies, 0).tables["router"])).to_dicts())
    found = memory.execute("SELECT * EXCLUDE (app, dynos, culprit_seconds, victims) FROM h12_autopsy()").fetchall()
    [(first_at, last_at, timeouts, culprit, share, example, victim_timeouts, culprits)] = found
    planted = day.truth.timeouts
    own = planted.by_route[planted.culprit]
    assert (first_at, last_at, timeouts) == (planted.first_at, planted.last_at, planted.count)
    assert culprit == planted.culprit
    assert share > 0.95
    assert (culprits[0]["timeouts"], victim_timeouts) == (own, planted.count - own)
    looked_up = memory.execute("SELECT route, code FROM router WHERE request_id = ?", [example]).fetchall()
    assert looked_up == [(planted.culprit, "H12")]
