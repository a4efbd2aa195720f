"""What a report could not look at, because the window or the log does not hold it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from queries.report.apps import apps, has_balancer
from queries.report.quoting import between, sql_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queries.report.asked import Asked

# A dyno's life needs so long before a cold cache or a change shows in it.
SHORT: Final = timedelta(hours=6)

_HELD: Final = """SELECT
  (SELECT count(*) FROM {samples} WHERE kind = 'dyno') AS dyno_samples,
  (SELECT count(*) FROM {samples} WHERE kind = 'postgres') AS postgres_samples,
  (SELECT count(*) FROM {php}) AS php_events,
  (SELECT count(*) FROM {access}) AS access_lines,
  (SELECT count(*) FROM {router} WHERE source = 'heroku') AS requests"""


_LAKE_KNOWS: Final = "SELECT EXISTS(FROM coverage(app_name := {app})) OR EXISTS(FROM router WHERE app = {app}) AS known"


def notes(asked: Asked) -> Iterator[str]:
    """One sentence for each thing that was not checked."""
    name = asked.window.app_name
    if name is not None and not apps(asked) and not asked.records(_LAKE_KNOWS.format(app=sql_text(name)))[0]["known"]:
        yield f"The lake holds nothing of an app named {name}: is that how its name is written?"
    tables = ("samples", "php", "access", "router")
    [held] = asked.records(_HELD.format(**{name: between(name, asked.window) for name in tables}))
    if not held["requests"]:
        yield "No line of Heroku's router came in this window: nothing about requests was checked."
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
    if not has_balancer(asked):
        yield "There is no load balancer's log to compare with: what changed with a move was not looked for."
