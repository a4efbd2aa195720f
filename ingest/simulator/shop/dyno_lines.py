"""What Heroku says about the dynos: life and death, memory, runtime metrics, releases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ingest.simulator.shop.script import (
    DEPLOY,
    LEAK,
    LEAKING,
    QUOTA_MB,
    SCALED,
    SECOND,
    Day,
    Start,
    clock,
    starts,
)
from ingest.simulator.shop.text_lines import Pen, app, heroku, samples

if TYPE_CHECKING:
    from ingest.simulator.shop.dynos import Run

_API: Final = app("api", 133)
_OPS: Final = "by user ops@example.com"
_COMMANDS: Final = {
    "web": "heroku-php-nginx -C nginx_app.conf web/",
    "worker": "php artisan queue:work --sleep=1",
}
_BOOT: Final = (
    "DOCUMENT_ROOT changed to 'web/'",
    "Using Nginx server-level configuration include 'nginx_app.conf'",
    "Available RAM is 512M Bytes",
    "PHP memory_limit is 128M Bytes",
    "Starting php-fpm with 4 workers...",
    "Starting nginx...",
)
_STOP: Final = (
    "SIGTERM received, attempting graceful shutdown...",
    "Stopping nginx gracefully...",
    "Stopping php-fpm gracefully...",
    "Shutdown complete.",
)
_RELEASES: Final = (
    (clock(8, 41, 3.6), "Set FEATURE_GIFT_CARDS config vars " + _OPS),
    (SCALED, "Scaled to web@4:Standard-1X worker@1:Standard-1X " + _OPS),
    (DEPLOY - 62 * SECOND, "Build started " + _OPS),
    (DEPLOY, "Deploy 5c1f09ab " + _OPS),
    (DEPLOY, "Release v118 created " + _OPS),
    (DEPLOY + 3 * SECOND, "Build succeeded"),
)


def write(day: Day, pen: Pen, lives: list[Run]) -> None:
    """All lines about dynos and releases."""
    for at, text in _RELEASES:
        pen.write("releases", _API, at, text)
    for start in starts():
        _start(pen, start)
    random = day.random("metrics")
    for life in lives:
        _metrics(day, pen, random, life)
    _leak(pen, random)


def _start(pen: Pen, start: Start) -> None:
    kind, manager, dyno = start.dyno.split(".")[0], heroku(start.dyno), app(start.dyno)
    if start.down is not None:
        reason = "Cycling" if start.why == "cycle" else "Restarting"
        for offset, text in (
            (0, reason),
            (700, "State changed from up to starting"),
            (190_000, "Stopping all processes with SIGTERM"),
        ):
            pen.write("platform", manager, start.down + offset, text)
        if kind == "web":
            for number, text in enumerate(_STOP):
                pen.write("lines", dyno, start.down + 210_000 + number * 31_000, text + "\n")
        pen.write("platform", manager, start.down + 620_000, "Process exited with status 0")
    begun = start.up - 3 * SECOND
    pen.write("platform", manager, begun, f"Starting process with command `{_COMMANDS[kind]}`")
    if kind == "web":
        for number, text in enumerate(_BOOT):
            pen.write("lines", dyno, begun + 1_100_000 + number * 90_000, text + "\n")
    pen.write("platform", manager, start.up, "State changed from starting to up")


def memory_mb(dyno: str, at: np.ndarray, begins: int) -> np.ndarray:
    """Memory in use: it grows for an hour after the start and then stays, but for the leak."""
    base = 180.0 if dyno.startswith("worker") else 262.0
    used = base + 70 * (1 - np.exp(-(at - begins) / (3600 * SECOND)))
    grown = np.clip((at - LEAK.begins) / (LEAK.ends - LEAK.begins), 0, 1) * 330
    return used + (grown if dyno == LEAKING and begins < LEAK.ends else 0.0)


def _metrics(day: Day, pen: Pen, random: np.random.Generator, life: Run) -> None:
    times = day.every(20, 3 + sum(map(ord, life.dyno)) % 17)
    at = times[(times > life.begins + 15 * SECOND) & (times < life.ends)] + 371
    memory = memory_mb(life.dyno, at, life.begins) + random.normal(0, 2.5, len(at))
    load = np.abs(0.4 + 0.3 * random.standard_normal((len(at), 3)))
    source = heroku(life.dyno)
    head = f"source={life.dyno} dyno=heroku.155370883.{life.uuid} "
    for moment, used, loads in zip(at.tolist(), memory.tolist(), load.tolist(), strict=True):
        text = "sample#load_avg_1m={:.2f} sample#load_avg_5m={:.2f} sample#load_avg_15m={:.2f}".format(*loads)
        pen.write("samples", source, moment, head + text, rows=3)
        swap = max(0.0, used - QUOTA_MB)
        memory_text = samples(
            {
                "memory_total": f"{used:.2f}MB",
                "memory_rss": f"{used - swap - 14.8:.2f}MB",
                "memory_cache": "14.80MB",
                "memory_swap": f"{swap:.2f}MB",
                "memory_pgpgin": f"{moment // 90_000}pages",
                "memory_pgpgout": f"{moment // 110_000}pages",
                "memory_quota": f"{QUOTA_MB:.2f}MB",
            }
        )
        pen.write("samples", source, moment + 92, head + memory_text, rows=7)


def _leak(pen: Pen, random: np.random.Generator) -> None:
    """The pair of lines that Heroku repeats about every 20 s for as long as the dyno is over its quota."""
    source, at = heroku(LEAKING), LEAK.begins
    while (at := at + int((20 + random.random()) * SECOND)) < LEAK.ends:
        used = float(memory_mb(LEAKING, np.array([at]), SCALED + 7 * SECOND)[0])
        if used <= QUOTA_MB:
            continue
        percent = used / QUOTA_MB * 100
        pen.write(
            "platform",
            source,
            at,
            f"Process running mem={used:.0f}M({percent:.1f}%)\n",
            note=f"memory {used:.0f} {percent:.1f}",
        )
        pen.write("platform", source, at + 1146, "Error R14 (Memory quota exceeded)\n", note="r14")
