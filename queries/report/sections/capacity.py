"""How many requests ran at once, and are there workers for them?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queries.report import series
from queries.report.apps import drawn
from queries.report.model import Section, Threshold
from queries.report.words import at, counted, named

if TYPE_CHECKING:
    from queries.report.asked import Asked
    from queries.report.model import Chart


def section(asked: Asked) -> Section:
    """Requests in flight, and what PHP's workers can take."""
    answers = (
        asked.answer("peak_concurrency"),
        asked.answer("php_capacity"),
        asked.answer("concurrency_levels", per="dyno"),
    )
    return Section("capacity", "Concurrency and capacity", _sentence(asked), drawn(asked, _chart), answers)


def _sentence(asked: Asked) -> str:
    peaks = asked.question("peak_concurrency")
    if not peaks:
        return "No request reached a dyno."
    top = max(peaks, key=lambda row: row["peak"])
    least = "at least " if top["is_lower_bound"] else ""
    said = f"{least}{counted(top['peak'], 'request')} ran at once at {at(top['peak_at'], asked.window)}"
    said = f"{said[:1].upper()}{said[1:]}"
    now = [row for row in asked.question("php_capacity") if row["is_now"]]
    if not now:
        return f"{said}; how many workers the dynos have is not logged."
    row = max(now, key=lambda one: one["busiest_peak"] / one["workers"])
    return (
        f"{said}; {named(row['busiest_dyno'])} had {row['busiest_peak']:,} PHP requests for its"
        f" {counted(row['workers'], 'worker')} at {at(row['busiest_at'], asked.window)}: {row['verdict']}."
    )


def _chart(asked: Asked, app: str) -> Chart:
    now = [row for row in asked.question("php_capacity") if row["app"] == app and row["is_now"]]
    levels = tuple(
        Threshold(f"workers of {counted(row['dynos_then'], 'dyno')}", row["workers"] * row["dynos_then"])
        for row in now
        if row["dynos_then"]
    )
    return series.in_flight(asked, app, levels)
