"""What can be found wrong without any history: each check asks some questions and gives findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from queries.report.checks import (
    compression,
    crawlers,
    database,
    dynos,
    errors,
    memory,
    move,
    php,
    php_memory,
    timeouts,
    trust,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from queries.report.asked import Asked
    from queries.report.model import Finding

# By what a note calls them when they fail.
CHECKS: Final[Mapping[str, Callable[[Asked], Iterable[Finding]]]] = {
    "timeouts": timeouts.check,
    "error codes": errors.codes,
    "answers with 5xx": errors.answers,
    "memory over quota": memory.quota,
    "memory leaks": memory.leaks,
    "PHP's memory limit": php_memory.check,
    "PHP's workers": php.capacity,
    "PHP's busy workers": php.full,
    "slow PHP": php.slow,
    "fatal PHP errors": php.fatal,
    "database connections": database.connections,
    "database health": database.health,
    "compression": compression.check,
    "the move": move.check,
    "cold dynos": dynos.cold,
    "changes": dynos.changes,
    "restarts": dynos.restarts,
    "lost lines": trust.lost,
    "damaged lines": trust.damaged,
    "unparsed lines": trust.unparsed,
    "crawlers": crawlers.check,
}
