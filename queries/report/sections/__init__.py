"""The standing questions of a report, each a section: a sentence that answers, charts, rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from queries.report.sections import (
    capacity,
    compression,
    database,
    deploys,
    latency,
    load_tests,
    memory,
    php,
    timeouts,
    trust,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from queries.report.asked import Asked
    from queries.report.model import Section

# By what a note calls them when they fail, in the order of the report.
SECTIONS: Final[Mapping[str, Callable[[Asked], Section]]] = {
    "timeouts": timeouts.section,
    "memory": memory.section,
    "compression": compression.section,
    "capacity": capacity.section,
    "PHP": php.section,
    "database": database.section,
    "latency": latency.section,
    "deploys": deploys.section,
    "load tests": load_tests.section,
    "trust": trust.section,
}
# They ask what no check and no other section asks, and can be made beside these.
APART: Final = frozenset({"load tests"})
