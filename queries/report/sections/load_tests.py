"""What must be load-tested before a launch?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queries.report.formatting import number
from queries.report.model import Section
from queries.report.words import at, counted

if TYPE_CHECKING:
    from queries.report.asked import Asked


def section(asked: Asked) -> Section:
    """The plan by workload."""
    return Section("load-tests", "Load-test plan", _sentence(asked), (), (asked.answer("load_test_plan"),))


def _sentence(asked: Asked) -> str:
    rows = asked.question("load_test_plan")
    if not rows:
        return "There were no requests to plan a load test from."
    top = max(rows, key=lambda row: row["arrivals_per_second"])
    ready = sum(row["command"] is not None for row in rows)
    return (
        f"Test {counted(len(rows), 'workload')}, {ready:,} of them with a command that is ready; the busiest,"
        f" {top['workload']}, had {number(top['arrivals_per_second'])} requests a second at"
        f" {at(top['busiest_at'], asked.window)}."
    )
