"""Asks a question of a report before all others, while what is made from the lake's rows is brought up to date.

It is the dearest of those that read no made table, and always asked. One more would hold up what the others need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from queries.report.asked import Asked
from queries.report.parts import LONG

if TYPE_CHECKING:
    import duckdb

    from queries.report.asked import Early
    from queries.report.model import Window

QUESTION: Final = "h12_autopsy"


def early(connection: duckdb.DuckDBPyConnection, window: Window) -> Early:
    """The answer, by how it is called; none in a long window, of which made tables say what part is asked."""
    if window.until - window.since > LONG:
        return {}
    with Asked(connection, window) as asked:
        text = asked.call(QUESTION)
        return {text: asked.whole(text)}
