"""The section of the report: how objectives stand, or which could be set."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from fractions import Fraction
from itertools import groupby
from typing import TYPE_CHECKING, Final

from queries.budgets import charts, reading
from queries.budgets.objectives import Objective
from queries.budgets.reading import Asked
from queries.budgets.standing import Verdict, is_too_small
from queries.report.model import Answer, Section

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import duckdb

    from queries.budgets.burn_rates import Count
    from queries.budgets.standing import Standing
    from queries.report.model import Chart, Window

NAME: Final = "budgets"
TITLE: Final = "Error budgets"
CHARTS_MAX: Final = 6
ROWS_MAX: Final = 50
LIMITS_MS: Final = (500, 1000, 2500)
_TARGETS: Final = tuple(Fraction(text) / 100 for text in ("99.99", "99.95", "99.9", "99.5", "99", "98", "95"))
_LATENCY_TARGETS: Final = (Fraction(99, 100), Fraction(95, 100))
_SPARE: Final = Fraction(3, 4)  # of the budget that may be used: an objective that is barely met burns next month
# What the setting can name; nothing else is put into a line to copy.
_NAMEABLE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_ORDER: Final = list(Verdict)
_COLUMNS: Final = (
    "app", "objective", "requests", "bad", "reached", "budget_left", "verdict", "runs_out_at", "in_words",
)  # fmt: skip


def standings(standing: Sequence[Standing], window: Window) -> Section:
    """How each objective stands, the worst first."""
    found = sorted(standing, key=lambda item: _ORDER.index(item.verdict))
    rows = tuple(
        (
            item.app, str(item.objective), item.requests, item.bad, item.share, item.budget_left, item.verdict.value,
            item.runs_out_at, item.sentence,
        )
        for item in found[:ROWS_MAX]
    )  # fmt: skip
    answer = Answer("burn_rates", _COLUMNS, rows, len(found), Asked(window.until, window.app_name).sql("burn_rates"))
    return Section(NAME, TITLE, _summary(found), tuple(_charts(found)), (answer,))


def _summary(found: Sequence[Standing]) -> str:
    if not found:
        return "No objective holds for this app."
    if len(found) == 1:
        return found[0].sentence
    counts = Counter(item.verdict for item in found)
    told = ", ".join(f"{counts[verdict]} {verdict.value}" for verdict in _ORDER if counts[verdict])
    worst = found[0]
    more = "" if worst.verdict is Verdict.KEPT else f" {worst.sentence}"
    return f"Of {len(found)} objectives: {told}.{more}"


def _charts(found: Sequence[Standing]) -> Iterator[Chart]:
    """One for each app, of those that stand worst."""
    known = [item for item in found if item.requests]
    apps = list(dict.fromkeys(item.app for item in known))[:CHARTS_MAX]
    ordered = sorted((item for item in known if item.app in apps), key=lambda item: apps.index(item.app))
    for app, of_app in groupby(ordered, key=lambda item: item.app):
        yield charts.lefts(app, list(of_app))


def proposal(connection: duckdb.DuckDBPyConnection, window: Window) -> Section:
    """Without objectives: what the 30 days would have met."""
    asked = Asked(window.until, window.app_name)
    months = reading.months(connection, window.until, window.app_name, LIMITS_MS)
    available = {app: count for app, (count, _) in months.items()}
    within = {ms: {app: counts[ms] for app, (_, counts) in months.items()} for ms in LIMITS_MS}
    apps = [app for app, count in available.items() if count.requests]
    rows = [
        (app, available[app].requests, _good(available[app]), *(_good(within[ms].get(app)) for ms in LIMITS_MS))
        for app in apps
    ]
    columns = ("app", "requests", "available", *(f"within_{ms}_ms" for ms in LIMITS_MS))
    answer = Answer("burn_rates", columns, tuple(rows[:ROWS_MAX]), len(rows), asked.sql("burn_rates"))
    promises = [_promises(app, available[app], {ms: within[ms].get(app) for ms in LIMITS_MS}) for app in apps]
    return Section(NAME, TITLE, _offer([promise for promise in promises if promise]), (), (answer,) if rows else ())


def _good(count: Count | None) -> float | None:
    return None if count is None or count.share is None else 1 - count.share


def _offer(promises: Sequence[str]) -> str:
    told = "No objective is set, so there is no error budget to keep."
    if not promises:
        return f"{told} The last 30 days have too few requests to propose any."
    line = shlex.quote("; ".join(promises[:ROWS_MAX]))
    return f"{told} What the log covers of 30 days would have met this: DRAINLAKE_OBJECTIVES={line}"


def _promises(app: str, available: Count, within: Mapping[int, Count | None]) -> str:
    """The line of an app for the setting: the highest usual target that leaves some of its budget; '' if none does."""
    if not _NAMEABLE.fullmatch(app):
        return ""
    found = [_met(Objective(app, target), available) for target in _TARGETS]
    fast = [_met(Objective(app, target, ms), within[ms]) for ms in LIMITS_MS for target in _LATENCY_TARGETS]
    kept = [next((item.promise for item in group if item is not None), None) for group in (found, fast)]
    told = ", ".join(promise for promise in kept if promise)
    return f"{app}: {told}" if told else ""


def _met(objective: Objective, count: Count | None) -> Objective | None:
    if count is None or not count.requests or is_too_small(count, objective):
        return None
    return objective if count.bad <= _SPARE * objective.budget * count.requests else None
