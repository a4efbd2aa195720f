"""A day in which nothing happens but what happens every day: a deploy, two daily restarts, a few errors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.queries.lakes import Row

DAY = datetime(2026, 11, 25, tzinfo=UTC)
MB = 1_048_576
ROUTES = (("/", 180), ("/product/{slug}", 240), ("/cart", 150), ("/search", 420), ("/api/stock", 40), ("/app.css", 1))
STARTS = {"web.1": (187, 720), "web.2": (211, 721)}  # minutes of the day: the daily restart, the deploy
REQUESTS = 3600
APP = {"app": "shop"}


def tables() -> dict[str, list[Row]]:
    """Rows by table."""
    requests = [_request(number) for number in range(REQUESTS)]
    return {
        "router": requests,
        "access": [_access(row) for row in requests],
        "php": [
            _at(
                60 * hour + 7,
                dyno="web.1",
                component="php",
                level="Warning",
                message="Undefined array key",
                file="/a.php",
            )
            for hour in range(24)
        ],
        "samples": [*_memory(), *_postgres()],
        "platform": [row for dyno, starts in STARTS.items() for start in starts for row in _restart(dyno, start)],
        "releases": [
            _at(720, event="deploy", message="Deploy 5c1f09ab by user ops@example.com", actor="ops@example.com"),
            _at(720, event="release", version=118, message="Release v118 created", actor="ops@example.com"),
        ],
        "lines": [_at(minute, process="web.1", message="Starting php-fpm with 4 workers...") for minute in (188, 721)],
        "deliveries": [_at(60 * hour + 59, lines=400, parsed=380, defects=0, repeated=0) for hour in range(24)],
    }


def _at(minute: float, **row: object) -> Row:
    return {**APP, "timestamp": DAY + timedelta(minutes=minute), **row}


def _request(number: int) -> Row:
    route, usual_ms = ROUTES[number % len(ROUTES)]
    spread = 0.6 + (number * 7919 % 100) / 100
    return _at(
        1440 * number / REQUESTS + 0.1,
        source="heroku",
        method="GET",
        path=route.replace("{slug}", f"chair-{number % 9}"),
        route=route,
        request_id=f"00000000-0000-4000-8000-{number:012}",
        dyno=f"web.{1 + number // len(ROUTES) % 2}",
        connect_ms=1,
        service_ms=round(usual_ms * spread),
        status=500 if number % 1201 == 1 else 404 if number % 240 == 3 else 200,
        bytes=3000 + number * 31 % 900,
        protocol="http1.1",
    )


def _access(request: Row) -> Row:
    names = ("timestamp", "app", "dyno", "method", "path", "route", "status", "bytes", "request_id")
    return {name: request[name] for name in names} | {
        "request_ms": request["service_ms"],
        "content_type": "text/css" if request["route"].endswith(".css") else "text/html",
        "content_encoding": "gzip",
        "accept_encoding": "gzip",
        "user_agent": "Mozilla/5.0",
    }


def _memory() -> list[Row]:
    """Each dyno fills up after a start and then stays."""
    rows = []
    for dyno, starts in STARTS.items():
        for minute in range(1, 1440, 2):
            age = min((minute - start for start in starts if start <= minute), default=900)
            used = 260 + 60 * min(age, 90) / 90 + minute * 37 % 11
            metrics = {
                "memory_total": used * MB,
                "memory_rss": used * MB,
                "memory_swap": 0.0,
                "memory_quota": 512.0 * MB,
            }
            rows += [
                _at(minute, source=dyno, kind="dyno", metric=metric, value=value, unit="bytes")
                for metric, value in metrics.items()
            ]
    return rows


def _postgres() -> list[Row]:
    rows = []
    for minute in range(0, 1440, 4):
        metrics = {
            "active_connections": (15 + minute % 5, "count"),
            "max_connections": (120, "count"),
            "waiting_connections": (0, "count"),
            "load_avg_5m": (0.3, "load"),
            "table_cache_hit_rate": (99.6, "percent"),
            "index_cache_hit_rate": (99.8, "percent"),
        }
        rows += [
            _at(minute, source="DATABASE", kind="postgres", metric=metric, value=float(value), unit=unit)
            for metric, (value, unit) in metrics.items()
        ]
    return rows


def _restart(dyno: str, minute: int) -> list[Row]:
    begin: list[Row] = [_at(minute, dyno=dyno, event="cycle", message="Cycling")] if minute < 300 else []
    return [
        *begin,
        _at(minute + 0.01, dyno=dyno, event="state", from_state="up", to_state="starting", message="State changed"),
        _at(minute + 0.02, dyno=dyno, event="exit", exit_status=0, message="Process exited with status 0"),
        _at(minute + 0.05, dyno=dyno, event="start", message="Starting process with command `heroku-php-nginx`"),
        _at(minute + 0.1, dyno=dyno, event="state", from_state="starting", to_state="up", message="State changed"),
    ]
