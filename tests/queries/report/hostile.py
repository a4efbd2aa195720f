"""A day of an app whose every name is an attack, and much that goes wrong with it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tests.queries.report import calm

if TYPE_CHECKING:
    from tests.queries.lakes import Row

HOSTILE = "o'$(id)`x`\n\u202e\x00\x1b[2J<b>|"


def hostile_tables() -> dict[str, list[Row]]:
    """Its rows by table."""
    begin = calm.DAY + timedelta(hours=10)
    request = {"app": HOSTILE, "source": "heroku", "method": "GET", "path": HOSTILE, "route": HOSTILE, "dyno": HOSTILE}
    timed_out = {"code": "H12", "status": 503, "service_ms": 30000, "connect_ms": 1, "request_id": HOSTILE}
    at = [begin + timedelta(seconds=second) for second in range(60)]
    php = {"app": HOSTILE, "dyno": HOSTILE, "component": "php", "level": "Fatal error", "message": HOSTILE}
    return {
        "router": [{**request, **timed_out, "timestamp": moment} for moment in at]
        + [{**request, "code": "H13", "status": 503, "timestamp": moment} for moment in at],
        "platform": [
            {"app": HOSTILE, "dyno": HOSTILE, "event": "error", "code": "R14", "timestamp": moment, "message": "R14"}
            for moment in at
        ],
        "php": [{**php, "file": HOSTILE, "line": 7, "timestamp": moment} for moment in at]
        + [
            {**php, "file": HOSTILE, "line": 8, "route": HOSTILE, "timestamp": moment}
            | {"memory_limit_bytes": 1 << 25, "memory_wanted_bytes": 9}
            for moment in at
        ],
        "releases": [{"app": HOSTILE, "event": "deploy", "message": HOSTILE, "timestamp": begin}],
    }
