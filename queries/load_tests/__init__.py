"""Files that run a load test with the usual tools. Pure: a :class:`~queries.load_tests.plan.Plan` in, texts out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queries.load_tests import ab, k6, locust, oha, overview, vegeta

if TYPE_CHECKING:
    from queries.load_tests.plan import Plan

EXECUTABLE = (ab.SCRIPT, vegeta.SCRIPT, oha.SCRIPT, k6.RUNNER, locust.RUNNER)


def files(plan: Plan) -> dict[str, str]:
    """All files of a plan by name; each text ends with a newline, and no address in it leads off the plan's host."""
    found: dict[str, str] = {}
    for tool in (overview, ab, vegeta, oha, k6, locust):
        found |= tool.files(plan)
    return found
