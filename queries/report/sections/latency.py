"""Which routes are slow?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from queries.report import series
from queries.report.apps import drawn, traffic
from queries.report.formatting import duration
from queries.report.model import Section
from queries.report.words import named

if TYPE_CHECKING:
    from queries.report.asked import Asked

# A route of few requests is slow by chance.
REQUESTS_LEAST: Final = 20


def section(asked: Asked) -> Section:
    """Percentiles over time and by route, and the slowest single requests."""
    routes = f"FROM {asked.call('latency')} ORDER BY p95_ms DESC, requests DESC, app, route"
    answers = (asked.answer_to("latency", routes), asked.answer("slowest"), asked.answer("cold_dynos"))
    return Section("latency", "Latency by route", _sentence(asked), drawn(asked, series.latency), answers)


def _sentence(asked: Asked) -> str:
    p95 = traffic(asked)["p95_ms"]
    rows = [row for row in asked.question("latency") if row["source"] == "heroku"]
    if p95 is None or not rows:
        return "No request reached a dyno."
    top = max([row for row in rows if row["requests"] >= REQUESTS_LEAST] or rows, key=lambda row: row["p95_ms"])
    return (
        f"95 % of the requests took {duration(p95)} at most; the slowest route is {named(top['route'])}, with a p95 of"
        f" {duration(top['p95_ms'])}."
    )
