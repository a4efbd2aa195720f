"""Router rows as a shop with some 200 routes would make them, for measuring sizes and speeds. Seeded.

Request ids are 16 bytes of pure randomness, as Router 2.0 writes them. Clients, routes and the items of a route are
drawn by Zipf's law, each request for itself: a real client's requests stand closer together, which takes less space.
Requests come at random, 20 a second; an asset has always the same size, a page about the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
import pyarrow as pa

from ingest.eventlog.contract import NewEntry
from ingest.eventlog.entry import encode
from ingest.schema import DIGEST_BYTES, PIECE, PIECE_TYPE, ROUTER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FIRST_US: Final = 1_793_491_200_000_000  # 2026-11-01 00:00:00 UTC
ID_LENGTH: Final = 36
CLIENTS: Final = 20_000
ITEMS: Final = 5_000
GAP_US: Final = 50_000
LATE_US: Final = 30_000
ASSETS: Final = 60
_SECTIONS: Final = ("product", "category", "api/orders", "api/cart", "blog", "account/orders", "search", "brand")
_PAGES: Final = (
    "", "/reviews", "/related", "/images", "/stock", "/print", "/edit", "/history", "/share", "/price", "/variants",
    "/questions", "/shipping", "/returns", "/gift", "/compare", "/size", "/video",
)  # fmt: skip


def router_rows(count: int, *, seed: int = 7, after: int = 0, app: str = "shop") -> pl.DataFrame:
    """So many router rows in order of time, with all columns; ``after`` is the number of rows before them."""
    pick = np.random.default_rng((seed, after))
    asset, route, path = _paths(pick, count)
    failed = pick.random(count) < 0.0005
    fresh = asset & (pick.random(count) < 0.3)
    status = np.select([failed, fresh, pick.random(count) < 0.02], [503, 304, 404], 200)
    median_ms = np.where(asset, 2, 5 * 1.02**route)
    service_ms = np.where(failed, 30_000, np.minimum(median_ms * np.exp(0.7 * pick.standard_normal(count)), 29_999))
    size = np.where(asset, 900 * 1.08**route, 4_000 * 1.012**route * np.exp(0.1 * pick.standard_normal(count)))
    client = _addresses(zipf(pick, CLIENTS, count))
    forged = pl.Series(pick.random(count) < 0.02)
    filled = pl.DataFrame({
        "timestamp": FIRST_US + after * GAP_US + np.cumsum(pick.exponential(GAP_US, count)).astype(np.int64),
        "level": _named(("info", "error"), failed),
        "code": _named((None, "H12"), failed),
        "description": _named((None, "Request timeout"), failed),
        "method": _named(("GET", "POST", "PUT"), np.select([asset, pick.random(count) < 0.08], [0, 1], 0)),
        "host": _named(("www.example.org", "example.org", "m.example.org"), zipf(pick, 3, count)),
        "path": path,
        "request_id": _request_ids(pick, count),
        "client_ip": client,
        "forwarded_for": forged.set(forged.is_null(), False).to_frame("forged").select(
            pl.when("forged").then(pl.lit("10.1.2.3, ") + client).otherwise(client)
        ).to_series(),
        "dyno": _named([f"web.{n}" for n in range(1, 11)], pick.integers(0, 10, count)),
        "connect_ms": np.where(pick.random(count) < 0.1, 1, 0),
        "service_ms": service_ms.astype(np.int64),
        "status": status,
        "bytes": np.where(fresh, 0, size).astype(np.int64),
        "protocol": _named(("http2.0", "http1.1"), pick.random(count) < 0.3),
        "tls_version": _named(("tls1.3", "tls1.2"), pick.random(count) < 0.05),
    }).with_columns(app=pl.lit(app), source=pl.lit("heroku"), extra=pl.lit('{"tls":"true"}'))  # fmt: skip
    schema = pl.Schema(ROUTER.arrow)
    return filled.select(
        pl.col(name).cast(dtype) if name in filled.columns else pl.lit(None, dtype).alias(name)
        for name, dtype in schema.items()
    )


def as_arrived(rows: pl.DataFrame, seed: int = 7) -> pl.DataFrame:
    """Rows in the order in which a log drain brings them: late by 30 ms on average, each by itself."""
    late_us = np.random.default_rng(seed).exponential(LATE_US, rows.height).astype(np.int64)
    return rows[(rows["timestamp"].to_physical() + pl.Series(late_us)).arg_sort()]


def entries(rows: pl.DataFrame, entry_rows: int, apps: int = 1) -> list[NewEntry]:
    """Entries of so many rows, as the receiver encodes them; the apps take turns."""
    made = []
    for number, piece in enumerate(rows.iter_slices(entry_rows)):
        app = f"shop-{number % apps}" if apps > 1 else "shop"
        table = piece.with_columns(app=pl.lit(app)).rechunk().to_arrow().cast(ROUTER.arrow)
        part = number.to_bytes(DIGEST_BYTES)
        whole = table.append_column(PIECE, pa.array([part] * piece.height, PIECE_TYPE))
        made.append(NewEntry("router", app, piece.height, encode(whole.combine_chunks().to_batches()[0])))
    return made


def zipf(pick: np.random.Generator, kinds: int, count: int) -> NDArray[np.int64]:
    """Numbers below ``kinds``, the n-th of them as often as one by n."""
    shares = np.cumsum(1 / np.arange(1, kinds + 1))
    return np.searchsorted(shares / shares[-1], pick.random(count)).astype(np.int64)


def _paths(pick: np.random.Generator, count: int) -> tuple[NDArray[np.bool_], NDArray[np.int64], pl.Series]:
    """Which requests are for assets, the number of their route, and their paths."""
    asset = pick.random(count) < 0.25
    kinds = len(_SECTIONS) * len(_PAGES)
    route = np.where(asset, zipf(pick, ASSETS, count), zipf(pick, kinds, count))
    section, page = np.divmod(route, len(_PAGES))
    item = pl.Series(zipf(pick, ITEMS, count) * 7_919 % 99_991 + 10_000)
    parts = {"asset": asset, "route": route, "item": item, "section": _named(_SECTIONS, section % len(_SECTIONS)),
             "page": _named(_PAGES, page)}  # fmt: skip
    of_asset = pl.format("/assets/part-{}.3f2a9c{}.js", "route", pl.col("route") + 10)
    of_search = pl.format("/search?q=shoes+{}&page={}", "item", "route")
    of_page = pl.format("/{}/{}{}", "section", "item", "page")
    choice = pl.when("asset").then(of_asset).when(pl.col("section") == "search").then(of_search).otherwise(of_page)
    return asset, route, pl.DataFrame(parts).select(choice.alias("path")).to_series()


def _request_ids(pick: np.random.Generator, count: int) -> pl.Series:
    digits = np.frombuffer(pick.bytes(16 * count).hex().encode(), dtype=np.uint8).reshape(count, 32)
    texts = np.full((count, ID_LENGTH), ord("-"), dtype=np.uint8)
    for begin, end in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)):
        dashes = max(min(begin // 4 - 1, 4), 0)
        texts[:, begin + dashes : end + dashes] = digits[:, begin:end]
    offsets = np.arange(0, ID_LENGTH * (count + 1), ID_LENGTH, dtype=np.int32)
    return pl.Series(pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(texts)))


def _addresses(client: NDArray[np.int64]) -> pl.Series:
    place = pl.Series(client * 2_654_435_761 % 2**32).to_frame("place")
    octets = [pl.col("place") // 256**power % 256 for power in range(4)]
    return place.select(pl.format("{}.{}.{}.{}", *octets)).to_series()


def _named(names: Sequence[str | None], index: NDArray[np.int64] | NDArray[np.bool_]) -> pl.Series:
    return pl.Series(names, dtype=pl.String).gather(pl.Series(index.astype(np.uint32)))
