"""What a report could not look at, because the window or the log does not hold it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from queries.report.apps import apps
from queries.report.asked import EXAMPLED_MAX
from queries.report.balancer import has_balancer, newest
from queries.report.parts import PART_OF, Part
from queries.report.quoting import between, sql_text
from queries.report.sums import of_window
from queries.report.words import counted, during, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queries.report.asked import Asked, Record

# A dyno's life needs so long before a cold cache or a change shows in it.
SHORT: Final = timedelta(hours=6)

_HELD: Final = """SELECT
  EXISTS(FROM {samples} WHERE kind = 'dyno') AS dyno_samples,
  EXISTS(FROM {samples} WHERE kind = 'postgres') AS postgres_samples,
  EXISTS(FROM {php}) AS php_events,
  EXISTS(FROM {access}) AS access_lines,
  (SELECT count(*) FROM {router} WHERE source = 'heroku') AS requests,
  (SELECT coalesce(sum(requests), 0)::BIGINT FROM {app}) AS in_minutes"""
# A report of now has requests whose minute is not over yet.
IN_MINUTES: Final = 0.9


_LAKE_KNOWS: Final = "SELECT EXISTS(FROM coverage(app_name := {app})) OR EXISTS(FROM router WHERE app = {app}) AS known"


def notes(asked: Asked) -> Iterator[str]:
    """One sentence for each thing that was not checked."""
    name = asked.window.app_name
    if name is not None and not apps(asked) and not asked.records(_LAKE_KNOWS.format(app=sql_text(name)))[0]["known"]:
        yield f"The lake holds nothing of an app named {name}: is that how its name is written?"
    tables = ("samples", "php", "access", "router")
    sources = {name: between(name, asked.window) for name in tables}
    [held] = asked.records(of_window(_HELD, asked.window, **sources))
    if not held["requests"]:
        yield "No line of Heroku's router came in this window: nothing about requests was checked."
    yield from _left_out(asked, held)
    if not held["dyno_samples"]:
        yield (
            "The dynos' memory was not measured: leaks were not looked for, only R14 lines. To measure it:"
            " heroku labs:enable log-runtime-metrics."
        )
    if not held["postgres_samples"]:
        yield "No Postgres metrics came: the database's connections and health were not checked."
    if not held["php_events"] and not held["access_lines"]:
        yield "No line of PHP or its web server came: PHP was not checked."
    if asked.window.until - asked.window.since < SHORT:
        yield "The window is shorter than six hours: cold caches and the effect of changes may not show in it."
    yield from _compared_with(asked)


def _compared_with(asked: Asked) -> Iterator[str]:
    if not has_balancer(asked):
        yield "There is no load balancer's log to compare with: what changed with a move was not looked for."
    elif since := newest(asked):
        yield f"Of the load balancer's log only what was logged since {since.date()} was compared with, enough to tell."


def narrowed_to(asked: Asked, question: str) -> str:
    """'between 2026-10-12 08:00 and 2026-10-12 15:00 UTC': what of a long window the question was asked of."""
    return listed([during(one.since, one.until, asked.window) for one in asked.narrowed[question]])


def _left_out(asked: Asked, held: Record) -> Iterator[str]:
    """What is told of a part only, because there is too much of it, or because nobody made the minutes."""
    if held["in_minutes"] < IN_MINUTES * held["requests"]:
        yield (
            f"The one-minute series hold {held['in_minutes']:,} of the {counted(held['requests'], 'request')}: charts"
            " have gaps, and alarms and budgets know no more."
        )
    yield from _narrowed(asked)
    if asked.exampled > EXAMPLED_MAX:
        yield f"Request ids were looked up for the first {EXAMPLED_MAX} of {asked.exampled:,} findings that have some."


def _narrowed(asked: Asked) -> Iterator[str]:
    """What was asked of a part of the window, which part, and why that one."""
    for part in Part:
        names = sorted(name for name in asked.narrowed if PART_OF[name] is part)
        if names:
            yield (
                f"There are too many requests to ask everything of all of them: {listed(names)}"
                f" looked at {part.value} only, {narrowed_to(asked, names[0])}."
            )
