"""What the database says: its metrics each minute, and its server log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ingest.simulator.shop import traffic
from ingest.simulator.shop.script import DATABASE_CONNECTIONS, DAY, MINUTE, PILE_UP, SECOND, Day
from ingest.simulator.shop.text_lines import Pen, app, samples

if TYPE_CHECKING:
    from ingest.simulator.shop.traffic import Requests
    from ingest.simulator.shop.workers import Served

_METRICS: Final = app("heroku-postgres", 134)
_REDIS: Final = app("heroku-redis", 134)
_SERVER: Final = app("postgres.18234", 134)
_REFUSED: Final = "FATAL:  remaining connection slots are reserved for non-replication superuser connections"
SLOW_QUERIES: Final = 2600
_SLOW: Final = (
    'SELECT "orders".* FROM "orders" WHERE "orders"."placed_at" > $1 ORDER BY "orders"."total" DESC',
    "SELECT p.*, count(l.id) FROM products p LEFT JOIN order_lines l ON l.product_id = p.id GROUP BY p.id",
    "UPDATE stock SET reserved = reserved + $1 WHERE sku = $2",
)


def write(day: Day, pen: Pen) -> None:
    """The lines of the data services that come whatever the traffic."""
    random = day.random("database")
    at = np.arange(26 * SECOND, DAY, MINUTE)  # not thinned on a small day, lest the pile-up fall between two
    _metrics(pen, random, at)
    _redis(pen, random, day.every(60, 49))
    _server(day, pen, random)


def write_refused(pen: Pen, requests: Requests, served: Served) -> None:
    """The server's lines about the connections it refused in the pile-up."""
    refused = np.flatnonzero(requests.fault == traffic.REFUSED)
    for number, at in enumerate((served.ended[refused] - 900).tolist()):
        _log(pen, at, number, _REFUSED, code="53300", note="refused")


def connections(at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Active and waiting connections: the pile-up climbs to the plan's limit within nine minutes."""
    hours = at / (60 * MINUTE)
    usual = 12 + 9 * np.exp(-(((hours - 15) / 6) ** 2))
    climb = np.clip((at - PILE_UP.begins) / (9 * MINUTE), 0, 1) * PILE_UP.holds(at)
    active = np.minimum(DATABASE_CONNECTIONS, usual + climb * DATABASE_CONNECTIONS).astype(np.int64)
    return active, (np.clip(climb - 0.4, 0, 1) * 62).astype(np.int64)


def _metrics(pen: Pen, random: np.random.Generator, at: np.ndarray) -> None:
    active, waiting = connections(at)
    noise = random.random((len(at), 4))
    for moment, used, waits, (a, b, c, d) in zip(
        at.tolist(), active.tolist(), waiting.tolist(), noise.tolist(), strict=True
    ):
        values = {
            "current_transaction": 1_873_000 + moment // 40_000,
            "db_size": f"{26_219_348_792 + moment // 900}bytes",
            "tables": 57,
            "active-connections": used,
            "waiting-connections": waits,
            "max-connections": DATABASE_CONNECTIONS,
            "connections-percentage-used": f"{used / DATABASE_CONNECTIONS:.5f}",
            "index-cache-hit-rate": f"{0.99 + a / 120:.5f}",
            "table-cache-hit-rate": f"{0.98 + b / 70:.5f}",
            "load-avg-1m": f"{0.2 + c + waits / 9:.3f}",
            "load-avg-5m": f"{0.3 + c / 2:.3f}",
            "load-avg-15m": f"{0.3 + d / 4:.3f}",
            "read-iops": f"{3 * a:.2f}",
            "write-iops": f"{112 * b:.2f}",
            "tmp-disk-used": 543_600_640 + int(d * 1e6),
            "tmp-disk-available": 72_435_191_808,
            "memory-total": "4045060kB",
            "memory-free": f"{159_696 - int(b * 9000)}kB",
            "memory-cached": f"{3_707_032 - int(a * 9000)}kB",
            "memory-postgres": f"{182_592 + used * 40}kB",
        }
        text = "source=DATABASE addon=postgresql-curved-40127 " + samples(values)
        pen.write(
            "samples",
            _METRICS,
            moment,
            text + "\n",
            rows=len(values),
            note=f"connections {used} {waits}",
        )


def _redis(pen: Pen, random: np.random.Generator, at: np.ndarray) -> None:
    for moment, draw in zip(at.tolist(), random.random(len(at)).tolist(), strict=True):
        values = {
            "active-connections": 9 + int(draw * 14),
            "load-avg-1m": f"{0.2 + draw:.3f}",
            "memory-total": "16167800kB",
            "memory-free": f"{10_693_340 - int(draw * 90_000)}kB",
            "memory-redis": f"{5_116_080 + int(draw * 4e6)}bytes",
            "hit-rate": f"{0.9 + draw / 11:.5f}",
            "evicted-keys": 0,
        }
        text = "source=REDIS addon=redis-rugged-24473 " + samples(values)
        pen.write("samples", _REDIS, moment, text + "\n", rows=len(values))


def _server(day: Day, pen: Pen, random: np.random.Generator) -> None:
    for number, at in enumerate(day.every(300, 71).tolist()):
        wrote = int(random.integers(90, 1900))
        _log(pen, at, number, "LOG:  checkpoint starting: time")
        _log(
            pen,
            at + 21 * SECOND,
            number,
            f"LOG:  checkpoint complete: wrote {wrote} buffers (0.{wrote % 97:02}%)",
        )
    times = traffic.arrivals(random, max(30, int(SLOW_QUERIES * day.scale)))
    for number, at in enumerate(times.tolist()):
        took = 2000 + float(random.standard_exponential()) * 900
        _log(pen, at, number, f"LOG:  duration: {took:.3f} ms  execute <unnamed>: {_SLOW[number % 3]}")


def _log(pen: Pen, at: int, number: int, text: str, *, code: str = "00000", note: str = "") -> None:
    message = f"[GOLD] [{number + 4}-1]  sql_error_code = {code} {text}\n"
    pen.write("lines", _SERVER, at, message, note=note)
