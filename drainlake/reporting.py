"""A report from the settings: the lake is opened, read and closed; what comes out can be rendered and sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drainlake.lake import interruptible, open_lake

if TYPE_CHECKING:
    from datetime import datetime

    from drainlake.settings import Settings
    from queries.report.model import Report, Window


def make_report(settings: Settings, window: Window, now: datetime) -> Report:
    """The report on a window as it is known at ``now``; Ctrl-C stops the query that runs.

    Raises :class:`drainlake.errors.Failure` when the lake cannot be read.
    """
    from queries.report.making import make  # noqa: PLC0415

    with open_lake(settings) as connection:
        report: Report = interruptible(connection, lambda: make(connection, window, now))
        return report
