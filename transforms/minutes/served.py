"""Which router rows were in flight, and from when to when: as ``queries/shared/served.sql`` has it. Pure."""

from __future__ import annotations

from typing import Final

import polars as pl

from transforms.minutes.flights import HOUR_US

# Streams last hours; beyond a day a line is rather wrong than slow, and each hour that it touches would be made anew.
LONGEST_HOURS: Final = 24
COLUMNS: Final = ("timestamp", "source", "dyno", "status", "connect_ms", "service_ms")

IS_HEROKU: Final = pl.col("source") == "heroku"
# WebSockets stay out, and requests that reached no dyno.
IS_SERVED: Final = (
    IS_HEROKU & pl.col("dyno").is_not_null() & pl.col("service_ms").is_not_null() & (pl.col("status").ne_missing(101))
)
_LOGGED: Final = pl.col("timestamp").dt.epoch("us")
_TOOK: Final = 1000 * (pl.col("service_ms").cast(pl.Int64) + pl.col("connect_ms").fill_null(0))
START_US: Final = _LOGGED - _TOOK.clip(0, LONGEST_HOURS * HOUR_US)
# A request of no length takes a microsecond, else it would never be seen.
END_US: Final = pl.max_horizontal(_LOGGED, START_US + 1)
HOUR: Final = _LOGGED // HOUR_US
