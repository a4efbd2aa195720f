"""A long backlog of router rows as wide as real ones, for the memory test and the benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from ingest.eventlog.contract import NewEntry
from tests.transforms.lines import NOON, payload
from transforms.bites import entry_schema

if TYPE_CHECKING:
    from ingest.eventlog.contract import EventLog

DISTINCT_ROWS = 200_000


def router_rows(count: int) -> pl.DataFrame:
    """Router rows as wide as real ones."""
    number = pl.int_range(count)
    filled = pl.select(
        timestamp=pl.lit(NOON) + pl.duration(milliseconds=(number * 7919) % 3_600_000),
        app=pl.lit("shop"),
        source=pl.lit("heroku"),
        level=pl.lit("info"),
        method=pl.lit("GET"),
        host=pl.lit("www.example.com"),
        path=pl.format("/products/{}/reviews?page={}", number * 7919 % 2_003, number % 7),
        request_id=pl.format("8601b555-6a83-4c12-8269-{}", 100_000_000_000 + number),
        client_ip=pl.format("204.204.{}.{}", number % 200 + 10, number % 100 + 100),
        forwarded_for=pl.format("10.0.0.1,204.204.{}.{}", number % 200 + 10, number % 100 + 100),
        dyno=pl.format("web.{}", number % 4 + 1),
        connect_ms=number % 3,
        service_ms=number % 900,
        status=pl.lit(200),
        bytes=number * 31 % 60_000,
        protocol=pl.lit("http1.1"),
        tls_version=pl.lit("tls1.3"),
        extra=pl.lit('{"sock":"client","tls":"true"}'),
    )
    return filled.select(
        pl.col(name).cast(dtype) if name in filled.columns else pl.lit(None, dtype).alias(name)
        for name, dtype in entry_schema("router").items()
    )


def append(log: EventLog, rows: pl.DataFrame, *, entry_rows: int = 5_000, times: int = 1) -> None:
    """Append router rows in entries of ``entry_rows``, all of them so many times."""
    entries = [NewEntry("router", "shop", piece.height, payload(piece)) for piece in rows.iter_slices(entry_rows)]
    for _ in range(times):
        log.append(entries)


def append_backlog(log: EventLog, rows: int, *, entry_rows: int = 5_000) -> None:
    """Append entries of ``entry_rows`` router rows until the log holds ``rows`` of them."""
    distinct = router_rows(min(rows, DISTINCT_ROWS))
    append(log, distinct, entry_rows=entry_rows, times=rows // distinct.height)
