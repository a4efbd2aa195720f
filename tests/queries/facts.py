"""Rows of each table that the filters of questions find, over twelve days."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.queries.lakes import Row

# Rows of an hour that some question's filter finds, by table.
_ASSET: Row = {"method": "GET", "path": "/a.css", "status": 200, "bytes": 9000, "service_ms": 1, "connect_ms": 1}
FACTS: dict[str, list[Row]] = {
    "router": [
        _ASSET | {"source": "heroku"},
        _ASSET | {"source": "elb"},
        _ASSET | {"source": "heroku", "dyno": "web.1", "route": "/a.css", "request_id": "r"},
        {"source": "heroku", "code": "H12"},
    ],
    "access": [{"method": "GET", "path": "/b.css", "status": 200, "bytes": 9000, "request_ms": 1}],
    "platform": [{"code": "R14"}, {"code": "L10", "lines_dropped": 1}, {"dyno": "web.1", "event": "start"}],
    "php": [
        {"component": "php", "level": "Fatal error", "message": "m", "memory_limit_bytes": 1, "memory_wanted_bytes": 1},
        {"component": "php-fpm", "message": "child 1, executing too slow (3 sec)"},
    ],
    "samples": [
        {"source": "web.1", "kind": "dyno", "metric": "memory_total", "value": 1.0},
        {"source": "DATABASE", "kind": "postgres", "metric": "active_connections", "value": 1.0},
    ],
    "releases": [{"event": "deploy", "message": "Deploy 5c1f09ab"}],
    "lines": [{"process": "web.1", "message": "hello"}],
    "deliveries": [{"lines": 1}],
    "minutes": [{"per": "app", "is_covered": True, "requests": 1, "latency_buckets": [0], "latency_counts": [1]}],
}
HOURS = [f"2026-11-{day}T{hour:02d}:00:00Z" for day in range(10, 22) for hour in (0, 12, 23)]


def every_hour(facts: Mapping[str, Sequence[Row]]) -> dict[str, list[Row]]:
    """These rows by table, at each of the hours."""
    return {
        name: [{"timestamp": hour, "app": "shop", **row} for hour in HOURS for row in rows]
        for name, rows in facts.items()
    }
