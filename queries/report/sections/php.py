"""Which errors does PHP report?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queries.report.model import Section
from queries.report.words import counted, named

if TYPE_CHECKING:
    from queries.report.asked import Asked


def section(asked: Asked) -> Section:
    """Errors by place, requests at the memory limit, slow and killed requests."""
    answers = tuple(asked.answer(name) for name in ("php_errors", "php_memory", "php_slow"))
    return Section("php", "PHP", _sentence(asked), (), answers)


def _sentence(asked: Asked) -> str:
    errors = asked.question("php_errors")
    if not errors:
        return "PHP, php-fpm and nginx reported no errors."
    fatal = [row for row in errors if (row["level"] or "").lower() in {"fatal error", "parse error"}]
    killed = sum(row["killed"] for row in asked.question("php_slow"))
    said = f"{counted(sum(row['errors'] for row in fatal), 'fatal error')} and {counted(killed, 'killed request')}"
    if not fatal:
        return f"{said}; the most frequent of other messages came {counted(errors[0]['errors'], 'time')}."
    top = max(fatal, key=lambda row: row["errors"])
    place = f"{named(top['file'])}:{top['line']}" if top["file"] is not None else named(top["shape"])
    return f"{said}; most fatal errors, {top['errors']:,}, in {place}."
