"""Metric lines: one row per ``sample#name=value`` token (heroku-logs.md 4.3, 6, 11.7).

* A token stands between blanks; ``measure#`` and ``count#`` count too. A value is a finite number, with an
  exponent if need be (Ruby prints small ratios so), and a suffix of letters or ``%``; of other tokens a row of
  ``lines`` tells.
* A line whose source has more than 256 letters, or has none and a sender of so many, is no metric line.
* A suffix decides the unit, an unknown one is a count; without a suffix the metric's name decides.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.ingest.reference.header import Line

TOKEN = re.compile(
    r"(?:sample|measure|count)#([A-Za-z0-9_.-]+)=(-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)([A-Za-z]*|%)"
)
SOURCE = re.compile(r"(?:^| )source=([^ ]+)")
SUFFIXES = {
    "TiB": ("bytes", 1024.0**4, 1.0),
    "GiB": ("bytes", 1024.0**3, 1.0),
    "MiB": ("bytes", 1024.0**2, 1.0),
    "KiB": ("bytes", 1024.0, 1.0),
    "TB": ("bytes", 1024.0**4, 1.0),
    "GB": ("bytes", 1024.0**3, 1.0),
    "MB": ("bytes", 1024.0**2, 1.0),
    "kB": ("bytes", 1024.0, 1.0),
    "KB": ("bytes", 1024.0, 1.0),
    "bytes": ("bytes", 1.0, 1.0),
    "B": ("bytes", 1.0, 1.0),
    "s": ("ms", 1000.0, 1.0),
    "ms": ("ms", 1.0, 1.0),
    "us": ("ms", 1.0, 1000.0),
    "pages": ("pages", 1.0, 1.0),
    "%": ("percent", 1.0, 1.0),
}
PGBOUNCER = {
    "avg_query": ("ms", 1.0, 1000.0),
    "max_wait": ("ms", 1000.0, 1.0),
    "avg_recv": ("bytes", 1.0, 1.0),
    "avg_sent": ("bytes", 1.0, 1.0),
}


def kind(line: Line) -> str | None:
    """What a metric line of this sender measures; None if its samples are not understood."""
    if line.app == "heroku":
        return "dyno"
    if line.process in ("heroku-postgres", "heroku-pgbouncer"):
        return line.process.removeprefix("heroku-")
    if line.process == "heroku-redis" or line.process.startswith("redis"):
        return "redis"
    return "kafka" if line.process == "heroku-kafka" or line.process.startswith("kafka") else None


def measures(message: str) -> int:
    """How many words of a message are to be measures."""
    return sum(word.startswith(("sample#", "measure#", "count#")) for word in message.split(" "))


def tokens(message: str) -> list[tuple[str, float, str]]:
    """Metric, value and suffix of every valid token, in order."""
    found = [match.groups() for word in message.split(" ") if (match := TOKEN.fullmatch(word))]
    return [
        (name.lower().replace("-", "_").replace(".", "_"), float(value), suffix)
        for name, value, suffix in found
        if math.isfinite(float(value))
    ]


def parse(line: Line) -> list[dict[str, Any]]:
    """The rows of one metric line."""
    source = SOURCE.search(line.message)
    shared = {"source": source[1] if source else line.process, "kind": kind(line)}
    if len(shared["source"]) > 256:
        return []
    rows = []
    for metric, number, suffix in tokens(line.message):
        unit, times, by = _unit(metric, suffix, str(shared["kind"]))
        if math.isfinite(number * times / by):
            rows.append({**shared, "metric": metric, "value": number * times / by, "unit": unit})
    return rows


def _unit(metric: str, suffix: str, sender: str) -> tuple[str, float, float]:
    """The unit, and what to multiply with and to divide by."""
    if suffix:
        return SUFFIXES.get(suffix, ("count", 1.0, 1.0))
    if sender == "pgbouncer" and metric in PGBOUNCER:
        return PGBOUNCER[metric]
    if metric.startswith("load_avg"):
        return "load", 1.0, 1.0
    if metric.endswith(("hit_rate", "percentage_used")):
        return "percent", 100.0, 1.0
    if metric == "db_size" or metric.startswith("tmp_disk_"):
        return "bytes", 1.0, 1.0
    return "count", 1.0, 1.0
