"""Which errors does PHP report?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from queries.report.model import Section
from queries.report.words import counted, named, times

if TYPE_CHECKING:
    from queries.report.asked import Asked

# As the check of fatal errors has it.
FATAL: Final = frozenset({"fatal error", "parse error", "recoverable fatal error"})


def section(asked: Asked) -> Section:
    """Errors by place, requests at the memory limit, slow and killed requests."""
    answers = tuple(asked.answer(name) for name in ("php_errors", "php_memory", "php_slow"))
    return Section("php", "PHP", _sentence(asked), (), answers)


def _sentence(asked: Asked) -> str:
    errors = asked.question("php_errors")
    if not errors:
        return "PHP, php-fpm and nginx reported no errors."
    fatal = [row for row in errors if (row["level"] or "").lower() in FATAL]
    killed = sum(row["killed"] for row in asked.question("php_slow"))
    said = counted(sum(row["errors"] for row in fatal), "fatal error")
    said += f" and {counted(killed, 'killed request')}" if killed else ""
    if not fatal:
        often = max(row["errors"] for row in errors)
        return f"{said.capitalize()}; the most frequent of other messages came {times(often)}."
    top = max(fatal, key=lambda row: row["errors"])
    place = f"{named(top['file'])}:{top['line']}" if top["file"] is not None else named(top["shape"])
    return f"{said}; most fatal errors, {top['errors']:,}, in {place}."
