"""Text as a literal of SQL, where a value cannot be bound: settings, DDL."""

from __future__ import annotations


def literal(text: str) -> str:
    """The text in single quotes."""
    return "'" + text.replace("'", "''") + "'"
