"""Reports and alarms from the settings: derived tables brought up to date, the lake asked, what was told noted."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Final

from drainlake.derived import keep_asset_sizes, keep_minutes
from drainlake.errors import Failure
from drainlake.lake import asked_beside, interruptible, open_lake

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import duckdb

    from drainlake.settings import Settings
    from queries.anomalies.watch import Watch
    from queries.report.model import Finding, Report, Window

NOT_NOTED: Final = "What this report tells could not be noted, so that the next one cannot say what is new: {reason}."


def make_report(
    settings: Settings, window: Window, now: datetime, meanwhile: Callable[[], object] = lambda: None
) -> Report:
    """The report on a window as it is known at ``now``; Ctrl-C stops the query that runs.

    What it tells is noted in the lake, for the next report to say what is new. ``meanwhile`` is done while DuckDB is
    busy: importing what will render the report, say. Raises :class:`drainlake.errors.Failure` when the lake or a note
    in it cannot be read, and what ``meanwhile`` raises.
    """
    from queries.report.early import early  # noqa: PLC0415 - duckdb is slow to import

    def prepared() -> tuple[Callable[..., Report], str | None, duckdb.DuckDBPyConnection]:
        left_old = keep_minutes(settings, now)
        keep_asset_sizes(settings, now)
        make = _maker(settings, window, now)
        meanwhile()
        # Opened last: before, it would have no view of a table that is made for the first time.
        return make, left_old, opened.enter_context(open_lake(settings))

    with ExitStack() as opened:
        answers, (make, left_old, connection) = asked_beside(settings, lambda lake: early(lake, window), prepared)
        report = interruptible(connection, lambda: make(connection, window, now, early=answers or {}))
    notes = (*report.notes, *filter(None, (left_old, _noted(settings, report))))
    return replace(report, notes=notes, settings=_described(settings))


def check(settings: Settings, now: datetime) -> list[Finding]:
    """All findings that may ring and are so at ``now``; raises :class:`drainlake.errors.Failure`."""
    from queries.anomalies.watch import Watch  # noqa: PLC0415 - numpy is slow to import
    from queries.budgets.findings import Budgets  # noqa: PLC0415
    from queries.report.alarms import alarms  # noqa: PLC0415

    if (left_old := keep_minutes(settings, now)) is not None:
        raise Failure(left_old, "drainlake status")  # silence must not be read from minutes that nobody made
    watch = Watch(settings.alarm_budget)
    with open_lake(settings) as connection:
        return interruptible(
            connection, lambda: alarms(connection, now, [watch.ringing, Budgets(settings.objectives).findings])
        )


def _maker(settings: Settings, window: Window, now: datetime) -> Callable[..., Report]:
    """How a report is made of a connection, a window and the time: what is asked besides, and what was told before."""
    from drainlake.notes import lake_notes  # noqa: PLC0415 - polars is slow to import
    from queries.budgets.findings import Budgets  # noqa: PLC0415
    from queries.delivery.mutes import muted  # noqa: PLC0415
    from queries.report import previous  # noqa: PLC0415
    from queries.report.making import make  # noqa: PLC0415

    @cache
    def watch() -> Watch:
        # NumPy's parts take time to import: in the thread that asks for them, DuckDB reads meanwhile.
        from queries.anomalies.watch import Watch  # noqa: PLC0415

        return Watch(settings.alarm_budget)

    budgets = Budgets(settings.objectives)
    with lake_notes(settings) as notes:
        return partial(
            make,
            more={"anomalies": lambda *asked: watch().findings(*asked), "budgets": budgets.findings},
            more_sections={"budgets": budgets.section, "anomalies": lambda *asked: watch().section(*asked)},
            previous=previous.before(notes.note(previous.NAME), window),
            mutes={finding_id: mute.until for finding_id, mute in muted(notes, now).items()},
        )


def _described(settings: Settings) -> dict[str, str]:
    """What the figures of a report depend on, as the settings write it."""
    objectives = "; ".join(map(str, settings.objectives)) or "none"
    return {"DRAINLAKE_ALARM_BUDGET": f"{settings.alarm_budget:g}", "DRAINLAKE_OBJECTIVES": objectives}


def _noted(settings: Settings, report: Report) -> str | None:
    """Note which findings the report has, where there is a lake; gives why that could not be."""
    from drainlake.notes import lake_notes  # noqa: PLC0415 - polars is slow to import
    from queries.report import previous  # noqa: PLC0415

    if not report.apps:
        return None
    try:
        with lake_notes(settings) as notes:
            notes.change_note(previous.NAME, lambda data: previous.after(data, report))
    except (Failure, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).removesuffix(".")
        return NOT_NOTED.format(reason=reason)
    return None
